"""Packs written into custom_nodes, and an engine that has loaded them."""

import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from comfyserve.embedded.engine import Engine, build_engine
from comfyserve.embedded.files.folders import Folders
from comfyserve.embedded.packs import PackChoice, load_catalogue, load_packs
from comfyserve.embedded.packs.finder import ROOTS
from tests.embedded.conftest import Seat, serve_engine

Write = Callable[..., Path]


@pytest.fixture(autouse=True)
def untouched_imports() -> Iterator[None]:
    """ComfyUI's names are importable while a test's engine is there, and not after it."""
    before, finders = set(sys.modules), list(sys.meta_path)
    yield
    sys.meta_path[:] = finders
    for name in set(sys.modules) - before:
        if name.startswith("/") or name.partition(".")[0] in ROOTS:
            del sys.modules[name]


@pytest.fixture
def write(folders: Folders) -> Write:
    """write("pack", {"file.py": source}) makes a folder, write("pack.py", source) a single file."""

    def pack(name: str, files: dict[str, str] | str) -> Path:
        path = folders.custom_nodes / name
        if isinstance(files, str):
            path.write_text(files)
            return path
        for file, text in files.items():
            (path / file).parent.mkdir(parents=True, exist_ok=True)
            (path / file).write_text(text)
        return path

    return pack


async def loaded(folders: Folders, choice: PackChoice | None = None) -> Engine:
    engine = build_engine(folders, load_catalogue(folders))
    await load_packs(engine, choice)
    return engine


@asynccontextmanager
async def serving(folders: Folders) -> AsyncIterator[Seat]:
    async with serve_engine(await loaded(folders)) as seat:
        yield seat
