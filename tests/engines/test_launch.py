"""How a real ComfyUI is started: by what, with which arguments, and where its files lie then."""

import sys
from pathlib import Path

import pytest

from comfyserve.engines.folders import Folders
from comfyserve.engines.launch import PORT, Launch, comfyui, folders_of, with_temp

KINDS = ("input", "output", "temp")


def base(launch: Launch) -> Path | None:
    """The folder of everything that was not moved."""
    return None if launch.folders is None else launch.folders.base


def test_the_virtual_environment_in_its_folder_runs_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    python = tmp_path / "ComfyUI" / "venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.touch()
    monkeypatch.chdir(tmp_path)
    launch = comfyui(Path("ComfyUI"), "--cpu")
    assert launch.command[:2] == (str(python), "main.py") and launch.command[-1] == "--cpu"
    assert launch.cwd == base(launch) == tmp_path / "ComfyUI"
    assert PORT in launch.command


def test_without_one_our_python_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    launch = comfyui(Path("~/ComfyUI"))
    assert (launch.command[0], launch.cwd) == (sys.executable, tmp_path / "ComfyUI")


def test_a_command_takes_the_place_of_ours(tmp_path: Path) -> None:
    launch = comfyui(tmp_path, "--lowvram", command=["run-it", "--port", PORT])
    assert launch.command == ("run-it", "--port", PORT, "--lowvram")
    assert base(launch) == tmp_path
    assert comfyui(None, command=["run-it"]).folders is None


@pytest.mark.parametrize(
    ("arguments", "folders"),
    [
        ((), ("home/input", "home/output", "home/temp")),
        (("--base-directory", "/data"), ("/data/input", "/data/output", "/data/temp")),
        (("--base-directory=files",), ("home/files/input", "home/files/output", "home/files/temp")),
        (("--output-directory", "/data/out"), ("home/input", "/data/out", "home/temp")),
        (("--temp-directory=/tmp/x", "--base-directory", "/data"), ("/data/input", "/data/output", "/tmp/x/temp")),
        (("--input-directory", "in", "--input-directory", "other"), ("home/other", "home/output", "home/temp")),
    ],
)
def test_its_files_are_looked_for_where_they_lie(
    arguments: tuple[str, ...], folders: tuple[str, ...], tmp_path: Path
) -> None:
    launch = comfyui(tmp_path / "home", *arguments)
    assert launch.folders is not None
    assert [launch.folders.root(kind) for kind in KINDS] == [tmp_path / folder for folder in folders]


def test_folders_that_an_operator_names_are_told_to_comfyui_and_not_to_a_command(tmp_path: Path) -> None:
    moved = {"input": Path("/data/in"), "output": Path("/data/out")}
    ours = comfyui(tmp_path, moved=moved)
    assert ours.command[-4:] == ("--input-directory", "/data/in", "--output-directory", "/data/out")
    script = comfyui(tmp_path, command=["init.sh"], moved=moved)
    assert script.command == ("init.sh",)
    for launch in (ours, script):
        assert launch.folders is not None
        assert [launch.folders.root(kind) for kind in KINDS] == [moved["input"], moved["output"], tmp_path / "temp"]


@pytest.mark.parametrize(
    ("command", "takes"),
    [((), True), (("comfy", "launch", "--", "--listen"), True), (("python", "/opt/main.py"), True), (("run",), False)],
)
def test_temporary_files_of_its_own(command: tuple[str, ...], takes: bool, tmp_path: Path) -> None:
    launch = comfyui(tmp_path, command=command)
    apart = with_temp(launch, Path("/data/engine-2"))
    assert (apart.command[-2:] == ("--temp-directory", "/data/engine-2")) is takes
    assert apart.folders is not None
    assert apart.folders.root("temp") == (Path("/data/engine-2/temp") if takes else tmp_path / "temp")
    assert apart.folders.root("output") == tmp_path / "output"


def test_the_folders_of_a_start_script_are_those_that_its_engine_names(tmp_path: Path) -> None:
    home, out = tmp_path / "comfy", tmp_path / "out"
    home.mkdir()
    script = comfyui(home, command=("start.sh",))
    assert folders_of(script, ["main.py", "--output-directory", str(out)]) == Folders(home, {"output": out})
    assert folders_of(script, ["main.py", f"--base-directory={tmp_path}"]) == Folders(tmp_path)
    for foreign in ([], ["\0"], ["/app/main.py", "--base-directory", "/app/x", "--output-directory", "/app/x/out"]):
        assert folders_of(script, foreign) == script.folders
    told = comfyui(home, command=("start.sh",), moved={"output": home})
    assert folders_of(told, ["main.py", "--output-directory", str(out)]) == told.folders


def test_a_start_script_without_a_folder_gets_that_of_its_engine(tmp_path: Path) -> None:
    script = comfyui(None, command=("start.sh",))
    assert folders_of(script, [str(tmp_path / "main.py")]) == Folders(tmp_path)
    assert folders_of(script, ["main.py"]) is None and folders_of(script, ["/nowhere/here/main.py"]) is None
