"""`comfyserve engine install` with the real comfy-cli, from a repository on this machine."""

import sys
from pathlib import Path
from stat import S_IMODE

import pytest

from comfyserve.cli.console import Exit
from comfyserve.engines.launch import comfyui
from comfyserve.engines.process import ProcessEngine
from tests.cli.shell import Shell
from tests.engines.comfy_source import comfy_source, git

COMFY = Path(__file__).parents[2] / ".venv" / "comfy-cli" / "bin" / "comfy"


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    source = comfy_source(tmp_path / "source")
    variables = {"COMFYSERVE_COMFY_SOURCE": source, "COMFYSERVE_COMFY_CLI": str(COMFY)}
    return Shell(tmp_path, variables | {"COMFYSERVE_SECRET_KEY": "hush" * 10})


async def test_a_comfyui_is_installed_and_starts(shell: Shell) -> None:
    done = await shell("engine", "install", "--cpu", "--skip-torch")
    home = shell.folder / "data" / "comfyui"
    assert done.code == Exit.OK, done.err
    assert done.out.splitlines() == [
        f"ComfyUI 0.3.10 is installed in {home}, for cpu.",
        f"Use it: COMFYSERVE_COMFY_HOME={home} comfyserve up",
    ]
    assert S_IMODE((shell.folder / "data").stat().st_mode) == 0o700
    launch = comfyui(home)
    assert launch.command[0] == str(home / ".venv" / "bin" / "python") != sys.executable
    engine = ProcessEngine(launch)
    try:
        await engine.ready()
    finally:
        await engine.close()
    again = await shell("engine", "install", "--json", "--version", "0.3.10")
    assert again.code == Exit.OK, again.err
    commit = git(home, "rev-parse", "HEAD")
    assert again.document == {
        "folder": str(home),
        "version": "0.3.10",
        "commit": commit,
        "device": "cpu",
        "source": shell.variables["COMFYSERVE_COMFY_SOURCE"],
        "already": True,
    }
    assert commit == git(shell.folder / "source", "rev-parse", "v0.3.10^{commit}")
    assert not (shell.folder / ".config").exists()


async def test_what_goes_wrong_is_a_sentence_and_a_code(shell: Shell) -> None:
    unknown = await shell("engine", "install", "--version", "9.9.9", "--json")
    assert (unknown.code, unknown.document["error"]["code"]) == (Exit.USAGE, "not_found")
    assert "0.3.10, 0.3.9" in unknown.document["error"]["message"]
    both = await shell("engine", "install", "--cpu", "--nvidia")  # ends before it imports the server
    assert (both.code, both.err) == (Exit.USAGE, "Error: Give one of --nvidia, --cpu.\n")
    away = await shell("engine", "install", COMFYSERVE_COMFY_SOURCE=str(shell.folder / "nowhere"))
    assert away.code == Exit.UNHEALTHY and "git cannot read" in away.err
    assert not (shell.folder / "data" / "comfyui").exists()
