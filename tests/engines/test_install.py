"""Installing a ComfyUI, with a comfy-cli that the test writes: what it is told, and what its failures leave."""

import asyncio
import fcntl
import hashlib
import json
import os
import shutil
import stat
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from comfyserve.core.errors import DomainError, InvalidInput, NotFound
from comfyserve.engines.install import Installation, Installer, InstallFailed
from tests.engines.comfy_source import comfy_source, git

REQUIREMENTS = Path(__file__).parents[2] / "requirements" / "comfy-cli.txt"

CLONES = """#!/bin/sh
printf '%s\\n' "$@" > "{told}/arguments"
env > "{told}/environment"
echo "it is done soon"
git clone -q "{source}" "{folder}" 2>&1
"""


class Yard:
    """A source, an empty place, and a comfy-cli of our making."""

    def __init__(self, folder: Path, script: str = CLONES, **environment: str) -> None:
        self.told, self.folder = folder / "told", folder / "home" / "comfyui"
        self.told.mkdir()
        self.source = comfy_source(folder / "source")
        self.comfy = folder / "comfy"
        self.comfy.write_text(script.format(told=self.told, source=self.source, folder=self.folder))
        self.comfy.chmod(self.comfy.stat().st_mode | stat.S_IXUSR)
        variables = {"PATH": os.environ["PATH"], "HOME": str(folder)} | environment
        self.installer = Installer(self.source, folder / "tools", variables, comfy=str(self.comfy))

    def arguments(self) -> list[str]:
        """What comfy-cli was called with."""
        return (self.told / "arguments").read_text().splitlines()

    def environment(self) -> dict[str, str]:
        """What comfy-cli saw."""
        lines = (self.told / "environment").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines)

    def left(self) -> list[str]:
        """What lies where it was to be installed, and beside."""
        home = self.folder.parent
        return sorted(path.name for path in home.iterdir()) if home.exists() else []


async def test_comfy_cli_is_told_everything_so_that_it_need_not_ask(tmp_path: Path) -> None:
    yard, said = Yard(tmp_path), list[str]()
    done = await yard.installer.install(Installation(yard.folder, device="nvidia"), said.append)
    assert yard.arguments() == [
        *("--skip-prompt", "--no-enable-telemetry", "--workspace", str(yard.folder)),
        *("install", "--url", yard.source, "--version", "0.3.10", "--skip-manager", "--nvidia"),
    ]
    assert "it is done soon" in said
    assert (done.version, done.device, done.already) == ("0.3.10", "nvidia", False)
    assert done.commit == git(yard.folder, "rev-parse", "HEAD")
    assert yard.left() == ["comfyui"]


async def test_comfy_cli_sees_nothing_of_ours(tmp_path: Path) -> None:
    ours = {
        "COMFYSERVE_SECRET_KEY": "hush",
        "AWS_SECRET_ACCESS_KEY": "hush",
        "VIRTUAL_ENV": "/ours",
        "HF_TOKEN": "hush",
    }
    yard = Yard(tmp_path, **ours, PIP_INDEX_URL="https://mirror.example.com", https_proxy="http://proxy:3128")
    await yard.installer.install(Installation(yard.folder, skip_torch=True))
    seen = yard.environment()
    assert not seen.keys() & ours.keys() and "hush" not in json.dumps(seen)
    assert seen["DO_NOT_TRACK"] == "1" and seen["GIT_TERMINAL_PROMPT"] == "0"
    assert seen["PIP_INDEX_URL"] and seen["https_proxy"]
    assert seen["HOME"] == str(tmp_path / "tools" / "home") and seen["XDG_CONFIG_HOME"] == str(tmp_path / ".config")
    assert yard.arguments()[-1] == "--skip-torch-or-directml"


@pytest.mark.parametrize(
    ("version", "asked"), [("latest", "0.3.10"), ("0.3.9", "0.3.9"), ("v0.3.9", "0.3.9"), ("nightly", "nightly")]
)
async def test_versions(tmp_path: Path, version: str, asked: str) -> None:
    yard = Yard(tmp_path)
    done = await yard.installer.install(Installation(yard.folder, version))
    assert done.version == asked and yard.arguments()[yard.arguments().index("--version") + 1] == asked


async def test_a_second_call_says_that_it_is_there(tmp_path: Path) -> None:
    yard = Yard(tmp_path)
    first = await yard.installer.install(Installation(yard.folder))
    yard.comfy.unlink()
    for version in ("latest", "0.3.10", "v0.3.10"):
        again = await yard.installer.install(Installation(yard.folder, version))
        assert again.already and again.commit == first.commit
    with pytest.raises(InvalidInput, match=r"has version 0\.3\.10"):
        await yard.installer.install(Installation(yard.folder, "0.3.9"))
    assert yard.left() == ["comfyui"]


WRONG: list[tuple[dict[str, Any], type[DomainError], str]] = [
    ({"version": "0.3.8"}, NotFound, r"no version 0\.3\.8; its newest are: 0\.3\.10, 0\.3\.9\."),
    ({"version": "master"}, InvalidInput, "nightly or a number"),
    ({"version": "--upload-pack=x"}, InvalidInput, "nightly or a number"),
    ({"device": "tpu"}, InvalidInput, "nvidia, amd, m-series, cpu"),
]


@pytest.mark.parametrize(("wrong", "kind", "why"), WRONG)
async def test_what_cannot_be_is_said_before_anything_is_fetched(
    tmp_path: Path, wrong: dict[str, Any], kind: type[DomainError], why: str
) -> None:
    yard = Yard(tmp_path)
    with pytest.raises(kind, match=why):
        await yard.installer.install(Installation(yard.folder, **wrong))
    assert yard.left() == [] and not (yard.told / "arguments").exists()


@pytest.mark.parametrize("name", ["main.py", "diary.txt"])
async def test_a_folder_that_is_not_empty_is_left_alone(tmp_path: Path, name: str) -> None:
    yard = Yard(tmp_path)
    yard.folder.mkdir(parents=True)
    (yard.folder / name).write_text("mine")
    with pytest.raises(InvalidInput, match="is not empty") as refused:
        await yard.installer.install(Installation(yard.folder))
    assert ("COMFYSERVE_COMFY_HOME" in refused.value.message) == (name == "main.py")
    assert (yard.folder / name).read_text() == "mine"


async def test_no_git(tmp_path: Path) -> None:
    yard = Yard(tmp_path, PATH=str(tmp_path))
    with pytest.raises(InstallFailed, match="apt-get install git"):
        await yard.installer.install(Installation(yard.folder))


async def test_no_network(tmp_path: Path) -> None:
    yard = Yard(tmp_path)
    lost = Installer("http://127.0.0.1:1/ComfyUI", tmp_path / "tools", {"PATH": os.environ["PATH"]}, comfy="comfy")
    with pytest.raises(InstallFailed, match=r"git cannot read http://127\.0\.0\.1:1/ComfyUI\. Check the network"):
        await lost.install(Installation(yard.folder))


FAILS = CLONES + 'echo "no space for torch"; exit 7\n'
CLAIMS = "#!/bin/sh\necho done\n"
REPEATS = "#!/bin/sh\necho 'fatal: early EOF'; echo 'Traceback'; echo 'status 128.'; exit 1\n"


@pytest.mark.parametrize(
    ("script", "why"),
    [
        (FAILS, "code 7: no space for torch"),
        (CLAIMS, "no main.py"),
        (REPEATS, "code 1: fatal: early EOF$"),
    ],
)
async def test_an_installation_that_fails_leaves_nothing(tmp_path: Path, script: str, why: str) -> None:
    yard = Yard(tmp_path, script)
    with pytest.raises(InstallFailed, match=why):
        await yard.installer.install(Installation(yard.folder))
    assert yard.left() == []


HANGS = CLONES + 'sleep 600 & echo $! > "{told}/child"; echo it hangs; wait\n'


async def test_a_comfy_cli_that_hangs_is_ended_with_its_children(tmp_path: Path) -> None:
    yard = Yard(tmp_path, HANGS)
    with pytest.raises(InstallFailed, match="took longer than 2 s"):
        await yard.installer.install(Installation(yard.folder, seconds=2))
    await asyncio.to_thread(ends, yard)
    assert yard.left() == []


async def test_a_cancel_ends_it_and_leaves_nothing(tmp_path: Path) -> None:
    yard, hangs = Yard(tmp_path, HANGS), asyncio.Event()
    task = asyncio.create_task(
        yard.installer.install(Installation(yard.folder), lambda line: hangs.set() if line == "it hangs" else None)
    )
    await asyncio.wait_for(hangs.wait(), 30)
    with pytest.raises(InstallFailed, match="under way"):
        await yard.installer.install(Installation(yard.folder))
    task.cancel()
    await asyncio.wait([task])
    await asyncio.to_thread(ends, yard)
    assert task.cancelled() and yard.left() == []


def ends(yard: Yard) -> None:
    """The child of comfy-cli ends; one that nobody has buried yet counts."""
    with suppress(psutil.NoSuchProcess):
        child = psutil.Process(int((yard.told / "child").read_text()))
        if child.status() != psutil.STATUS_ZOMBIE:
            child.wait(10)


async def test_one_at_a_time_makes_our_comfy_cli(tmp_path: Path) -> None:
    yard, tools, said = Yard(tmp_path), tmp_path / "tools", asyncio.Queue[str]()
    installer = Installer(yard.source, tools, {"PATH": os.environ["PATH"]})
    tools.mkdir()
    with (tools / ".installing").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        installing = asyncio.create_task(installer.install(Installation(yard.folder), said.put_nowait))
        assert await asyncio.wait_for(said.get(), 20) == "Waiting for another installation of comfy-cli"
        (tools / "venv" / "bin").mkdir(parents=True)
        shutil.copy2(yard.comfy, tools / "venv" / "bin" / "comfy")
        (tools / "installed").write_text(hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest())
    assert (await installing).version == "0.3.10"
    assert yard.left() == ["comfyui"] and not (tools / ".installing").exists()
