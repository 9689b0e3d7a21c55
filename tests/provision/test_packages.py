"""System packages and Python packages, by real processes that stand for apt-get, uv and pip."""

import asyncio
import base64
import hashlib
import json
import os
import shutil
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from comfyserve.core.errors import InvalidInput
from comfyserve.provision import ProvisionFailed
from comfyserve.provision.apt import check_packages, install_packages
from comfyserve.provision.programs import LINES_SHOWN, Programs
from tests.engines.test_process import gone, pids_in
from tests.provision.yard import Yard

PIP = json.dumps({"pip": ["one>=1", "git+https://host/two"]})


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    return Yard(tmp_path)


# ------------------------------------------------------------------------------------------------------ apt


async def test_apt_updates_then_installs_and_sees_nothing_of_ours(yard: Yard) -> None:
    yard.program("apt-get")
    await install_packages(("git", "libgl1:amd64"), Programs(yard.environment, 30), is_root=True)
    assert yard.words() == ["apt-get update", "apt-get install -y git libgl1:amd64"]
    _, _, _, seen = yard.calls()[0]
    assert seen["DEBIAN_FRONTEND"] == "noninteractive" and seen["COMFYSERVE_SECRET_KEY"] is None


async def test_no_packages_ask_nobody(yard: Yard) -> None:
    await install_packages((), Programs(yard.environment, 30), is_root=False)


async def test_no_apt_get_or_no_root_is_a_sentence(yard: Yard) -> None:
    with pytest.raises(ProvisionFailed, match="this system has no apt-get"):
        await install_packages(("git",), Programs(yard.environment, 30), is_root=True)
    yard.program("apt-get")
    with pytest.raises(ProvisionFailed, match="only root installs packages"):
        await install_packages(("git",), Programs(yard.environment, 30), is_root=False)
    assert yard.calls() == []


@pytest.mark.parametrize("name", ["-y", "--allow-downgrades", "a b", "git;rm", "git-", "$(x)", "Upper", "../x"])
def test_what_is_no_name_of_a_package_is_refused_before_anything_runs(name: str, yard: Yard) -> None:
    with pytest.raises(InvalidInput, match=r"apt\[1\]"):
        yard.provision(json.dumps({"apt": ["git", name]}))


def test_names_of_packages() -> None:
    check_packages(
        ["git", "libgl1-mesa-glx", "g++", "python3.11", "ffmpeg=7:5.1.6-0+deb12u1", "vim/bookworm-backports"]
    )


async def test_a_program_that_fails_ends_the_start_with_its_reason(yard: Yard) -> None:
    yard.program("apt-get", "print('x\\n' * 40); print('E: Unable to locate package nope'); sys.exit(100)")
    with pytest.raises(ProvisionFailed, match="apt-get update: apt-get ended with code 100: E: Unable to") as failed:
        await install_packages(("nope",), Programs(yard.environment, 30), is_root=True)
    assert len(failed.value.details["lines"]) == LINES_SHOWN


async def test_much_output_is_no_failure(yard: Yard) -> None:
    yard.program("apt-get", "sys.stdout.write('some words of a long log\\n' * 200_000)")
    await install_packages(("git",), Programs(yard.environment, 60), is_root=True)


async def test_a_program_that_hangs_is_ended(yard: Yard, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    yard.program("apt-get", f"open({str(pids)!r}, 'w').write(str(os.getpid())); import time; time.sleep(600)")
    with pytest.raises(ProvisionFailed, match=r"took longer than 1 s"):
        await install_packages(("git",), Programs(yard.environment, 1), is_root=True)
    await gone(*await pids_in(pids, 1))


async def test_a_cancelled_start_ends_its_program(yard: Yard, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    yard.program("uv", f"open({str(pids)!r}, 'w').write(str(os.getpid())); import time; time.sleep(600)")
    yard.program("python3")
    task = asyncio.create_task(yard.provision(PIP).before_start())
    started = await pids_in(pids, 1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await gone(*started)


# ---------------------------------------------------------------------------------------------- which Python


def resolved(path: str) -> Path:
    """The path without `..`."""
    return Path(path).resolve()


async def test_uv_installs_into_the_systems_python(yard: Yard) -> None:
    yard.program("uv")
    python = yard.program("python3")
    await yard.provision(PIP).before_start()
    assert yard.words() == [f"uv pip install --system --python {python} one>=1 git+https://host/two"]


@pytest.mark.parametrize("variable", ["VIRTUAL_ENV", "CONDA_PREFIX"])
async def test_an_active_environment_is_installed_into(variable: str, yard: Yard, tmp_path: Path) -> None:
    yard.program("uv")
    yard.program("python3")
    python = yard.program("python", folder=tmp_path / "active" / "bin")
    yard.environment |= {variable: str(tmp_path / "active"), "CONDA_DEFAULT_ENV": "base"}
    await yard.provision(PIP).before_start()
    assert yard.words() == [f"uv pip install --python {python} one>=1 git+https://host/two"]


async def test_without_uv_the_interpreters_own_pip_installs(yard: Yard) -> None:
    yard.program("python3")
    await yard.provision(PIP).before_start()
    assert yard.words() == ["python3 -m pip install one>=1 git+https://host/two"]


@pytest.mark.parametrize("first", ["{root}/its/bin/python3.12", "python3.12", "../its/bin/python3.12"])
async def test_the_python_of_the_command_wins(first: str, yard: Yard, tmp_path: Path) -> None:
    yard.program("uv")
    python = yard.program("python3.12", folder=tmp_path / "its" / "bin")
    yard.program("python", folder=tmp_path / "active" / "bin")
    yard.environment |= {"VIRTUAL_ENV": str(tmp_path / "active"), "PATH": f"{yard.bin}:{python.parent}"}
    await yard.provision(PIP, command=(first.format(root=tmp_path), "main.py")).before_start()
    assert resolved(yard.calls()[0][1][3]) == python


async def test_the_environment_in_its_folder_and_that_of_its_script(yard: Yard, tmp_path: Path) -> None:
    yard.program("uv")
    yard.program("python3")
    python = yard.program("python", folder=tmp_path / "comfy-cli" / "bin")
    script = yard.bin / "comfy"
    script.write_text(f"#!{python}\n")
    script.chmod(0o755)
    command = ("comfy", "--workspace", "x", "launch")
    await yard.provision(PIP, command=command).before_start()
    inside = yard.program("python", folder=yard.home / ".venv" / "bin")
    await yard.provision(PIP, command=command).before_start()
    assert [arguments[4] for _, arguments, _, _ in yard.calls()] == [str(python), str(inside)]


async def test_never_into_our_own_environment(yard: Yard, tmp_path: Path) -> None:
    yard.program("uv")
    with pytest.raises(ProvisionFailed, match=r"comfyserve's own environment\. Set VIRTUAL_ENV"):
        await yard.provision(PIP, command=(sys.executable, "main.py"), own_prefix=Path(sys.prefix)).before_start()
    yard.environment["VIRTUAL_ENV"] = sys.prefix
    python = yard.program("python3")
    await yard.provision(PIP, own_prefix=Path(sys.prefix)).before_start()
    assert yard.calls()[0][1][3:4] == [str(python)]


async def test_no_python_at_all(yard: Yard) -> None:
    with pytest.raises(ProvisionFailed, match="There is no Python of the ComfyUI"):
        await yard.provision(PIP).before_start()


async def test_a_real_uv_installs_into_a_real_environment(yard: Yard, tmp_path: Path) -> None:
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    assert uv is not None
    (yard.bin / "uv").symlink_to(uv)
    venv.create(yard.home / "venv", with_pip=False)
    wheel = make_wheel(tmp_path)
    yard.environment["UV_OFFLINE"] = "1"
    await yard.provision(json.dumps({"pip": [str(wheel)]}), own_prefix=Path(sys.prefix)).before_start()
    [module] = (yard.home / "venv").glob("lib/python*/site-packages/tiny.py")
    assert module.read_text() == "answer = 42\n"


def make_wheel(folder: Path) -> Path:
    """A wheel with one module."""
    path = folder / "tiny-1.0-py3-none-any.whl"
    files = {
        "tiny.py": "answer = 42\n",
        "tiny-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n",
        "tiny-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    with zipfile.ZipFile(path, "w") as archive:
        record = ""
        for name, text in files.items():
            archive.writestr(name, text)
            digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")
            record += f"{name},sha256={digest},{len(text)}\n"
        archive.writestr("tiny-1.0.dist-info/RECORD", record + "tiny-1.0.dist-info/RECORD,,\n")
    return path
