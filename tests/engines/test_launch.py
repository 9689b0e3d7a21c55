"""How a real ComfyUI is started: by what, with which arguments, and where its files lie then."""

import sys
from pathlib import Path

import pytest

from comfyserve.engines.launch import PORT, comfyui


def test_the_virtual_environment_in_its_folder_runs_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    python = tmp_path / "ComfyUI" / "venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.touch()
    monkeypatch.chdir(tmp_path)
    launch = comfyui(Path("ComfyUI"), "--cpu")
    assert launch.command[:2] == (str(python), "main.py") and launch.command[-1] == "--cpu"
    assert launch.cwd == launch.base_directory == tmp_path / "ComfyUI"
    assert PORT in launch.command


def test_without_one_our_python_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    launch = comfyui(Path("~/ComfyUI"))
    assert (launch.command[0], launch.cwd) == (sys.executable, tmp_path / "ComfyUI")


def test_a_command_takes_the_place_of_ours(tmp_path: Path) -> None:
    launch = comfyui(tmp_path, "--lowvram", command=["run-it", "--port", PORT])
    assert launch.command == ("run-it", "--port", PORT, "--lowvram")
    assert launch.base_directory == tmp_path
    assert comfyui(None, command=["run-it"]).base_directory is None


@pytest.mark.parametrize(
    ("arguments", "folder"),
    [
        ((), "home"),
        (("--base-directory", "/data/comfy"), "/data/comfy"),
        (("--base-directory=files",), "home/files"),
        (("--output-directory", "/data/out"), None),
        (("--temp-directory=/tmp/x", "--base-directory", "/data"), None),
    ],
)
def test_its_files_are_ours_only_where_they_lie(arguments: tuple[str, ...], folder: str | None, tmp_path: Path) -> None:
    launch = comfyui(tmp_path / "home", *arguments)
    assert launch.base_directory == (None if folder is None else tmp_path / folder)
