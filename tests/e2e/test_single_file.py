"""The single file, beside a Python environment whose packages conflict with ours: it neither sees nor touches them."""

import asyncio
import base64
import hashlib
import json
import os
import signal
import subprocess
import sys
import venv
import zipfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.e2e.program import colour_graph

ROOT = Path(__file__).parents[2]
BUILD_SECONDS, START_SECONDS = 240, 90
CONFLICTS = {"pydantic": "1.10.2", "aiohttp": "3.8.1", "numpy": "1.21.0", "huggingface_hub": "0.1.0", "pyvips": "2.1.0"}
"""Packages of ours with versions that are not ours; whoever imports one of them fails."""
BROKEN = "raise SystemError('{name} {version} of the environment was imported')\n"
RECORD = """
import json, os, sys
with open({file!r}, "w") as file:
    json.dump({{"path": sys.path, "environment": dict(os.environ), "modules": sorted(sys.modules)}}, file)
import time
time.sleep(600)
"""
IMPORTS = "import huggingface_hub; print(huggingface_hub.__file__)"

pytestmark = pytest.mark.timeout(BUILD_SECONDS + 60)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("single-file")


@pytest.fixture(scope="module")
def single_file(folder: Path) -> Path:
    """The file, built as `script/build-single-file` builds it."""
    made = folder / "comfyserve.pyz"
    command = (str(ROOT / "script" / "build-single-file"), "--python", sys.executable, "--output", str(made))
    done = subprocess.run(command, capture_output=True, text=True, timeout=BUILD_SECONDS, check=False)
    assert done.returncode == 0, done.stderr
    return made


@pytest.fixture(scope="module")
def python(folder: Path) -> Path:
    """The Python of an environment that has other versions of our packages."""
    home = folder / "venv"
    venv.create(home, with_pip=False, symlinks=True)
    [packages] = home.glob("lib/python*/site-packages")
    for name, version in CONFLICTS.items():
        (packages / name).mkdir()
        (packages / name / "__init__.py").write_text(BROKEN.format(name=name, version=version))
        facts = packages / f"{name}-{version}.dist-info" / "METADATA"
        facts.parent.mkdir()
        facts.write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    return home / "bin" / "python"


@pytest.fixture(autouse=True)
def untouched(python: Path) -> Iterator[None]:
    """Whatever a test does, the environment is as it was."""
    before = hashes(python.parents[1])
    yield
    assert hashes(python.parents[1]) == before


def hashes(folder: Path) -> dict[str, str]:
    """Every file of a folder with the hash of its content."""
    files = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def surroundings(folder: Path, **more: str) -> dict[str, str]:
    """A user's environment, with a home of its own."""
    home = {"HOME": str(folder), "SHIV_ROOT": str(folder / "unpacked"), "PYTHONDONTWRITEBYTECODE": "1"}
    return {"PATH": os.environ["PATH"], **home, "HOST": "127.0.0.1", "PORT": "0", **more}


@asynccontextmanager
async def solo(
    python: Path, single_file: Path, environment: Mapping[str, str]
) -> AsyncIterator[asyncio.subprocess.Process]:
    """`comfyserve.pyz solo`, stopped at the end."""
    process = await asyncio.create_subprocess_exec(
        *(python, single_file, "solo", "--json"),
        env=environment,
        cwd=single_file.parent,
        stdout=asyncio.subprocess.PIPE,
        stderr=(single_file.parent / "solo.log").open("ab"),
    )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), 60)
        except TimeoutError:
            process.kill()
            raise


async def address(process: asyncio.subprocess.Process) -> str:
    """Where it answers, once it does."""
    assert process.stdout is not None
    async with asyncio.timeout(START_SECONDS):
        line = await process.stdout.readline()
    return str(json.loads(line)["url"])


def test_pages_and_examples_are_inside(single_file: Path) -> None:
    names = set(zipfile.ZipFile(single_file).namelist())
    ours = "site-packages/comfyserve"
    assert {f"{ours}/_pages/index.html", f"{ours}/_examples/manifest.yml", f"{ours}/cli/main.py"} <= names
    assert any(name.startswith(f"{ours}/_comfy_nodes/") for name in names)
    scripts = {path.name for path in (ROOT / "src" / "comfyserve" / "workflows" / "node").glob("*.js")}
    assert scripts and {f"{ours}/workflows/node/{name}" for name in scripts} <= names


async def test_it_answers_a_prompt_beside_conflicting_packages(single_file: Path, python: Path, folder: Path) -> None:
    async with (
        solo(python, single_file, surroundings(folder)) as process,
        httpx2.AsyncClient(base_url=await address(process), timeout=60, trust_env=False) as client,
    ):
        order: dict[str, Any] = {"prompt": colour_graph(200)}
        plain = await client.post("/prompt", json=order)
        assert plain.status_code == 200, plain.text
        assert base64.b64decode(plain.json()["images"][0]).startswith(b"\x89PNG")
        order = {"prompt": colour_graph(100), "convert_output": {"format": "webp"}}
        converted = await client.post("/prompt", json=order)
        assert base64.b64decode(converted.json()["images"][0])[8:12] == b"WEBP", converted.text


async def test_comfyui_gets_none_of_our_packages(single_file: Path, python: Path, folder: Path) -> None:
    home, told = folder / "ComfyUI", folder / "told.json"
    home.mkdir()
    (home / "main.py").write_text(RECORD.format(file=str(told)))
    command = {"CMD": f"{python} main.py", "COMFY_HOME": str(home), "COMFYSERVE_SECRET_KEY": "s3cret" * 8}
    async with solo(python, single_file, surroundings(folder, **command)):
        async with asyncio.timeout(START_SECONDS):
            while not told.exists() or not told.read_text().endswith("}"):  # noqa: ASYNC110  (it announces nothing)
                await asyncio.sleep(0.05)
    seen = json.loads(told.read_text())
    assert "unpacked" not in " ".join(seen["path"]) and "PYTHONPATH" not in seen["environment"]
    assert not {"pydantic", "comfyserve", "structlog"} & set(seen["modules"])
    assert "s3cret" not in str(seen["environment"])


def test_isolated_programs_of_ours_get_our_packages(single_file: Path, python: Path, folder: Path) -> None:
    subprocess.run([python, single_file, "--version"], env=surroundings(folder), check=True, timeout=START_SECONDS)
    [packages] = (folder / "unpacked").glob("*/site-packages")
    script = folder / "imports.py"
    script.write_text(IMPORTS)
    command = (python, "-I", packages / "comfyserve" / "fetch" / "program.py", script)
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True, env=surroundings(folder))
    assert Path(done.stdout.strip()).is_relative_to(packages)


def test_another_python_is_told_what_to_do(single_file: Path, folder: Path) -> None:
    other = folder / "other.py"
    preamble = zipfile.ZipFile(single_file).read("site-packages/bin/check-python.py").decode()
    other.write_text("import platform\nplatform.machine = lambda: 'sparc'\n" + preamble)
    done = subprocess.run([sys.executable, other], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1 and "script/build-single-file --python" in done.stderr
