"""A Fetching over a scripted source, on a clock that stands still."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from comfyserve.core.credentials import BearerAuth, Credential
from comfyserve.fetch.cache.store import Store
from comfyserve.fetch.fetching import Caps, Fetching, FetchingLimits
from comfyserve.fetch.guard import Guard
from comfyserve.ports import Fetched
from tests.fetch.cache.scripted import ScriptedSource

LIMITS = FetchingLimits(Caps(1_000_000, 20), Caps(8_000_000, 20), fresh_seconds=60, at_once=4)
START = 1_800_000_000.0
URL = "http://host.example/a/cat.png"
MINE = [Credential("http://host.example/**", BearerAuth("right"))]
THEIRS = [Credential("http://host.example/**", BearerAuth("wrong"))]


@dataclass
class Bench:
    """What a test plays with."""

    source: ScriptedSource
    fetching: Fetching
    folder: Path
    build: Callable[..., Fetching]
    now: float = START

    def names(self) -> list[str]:
        """The files in the cache, side-cars left out."""
        return sorted(path.name for path in self.folder.iterdir() if path.name[0] != "." and path.suffix != ".meta")

    def partials(self) -> list[str]:
        """What lies half-way, and what is locked."""
        return sorted(path.name for below in (".incoming", ".locks") for path in (self.folder / below).iterdir())


async def read(bench: Bench, url: str = URL, **options: object) -> tuple[bytes, Fetched]:
    """The content of an address, and what is told of it."""
    async with bench.fetching.fetch(url, **options) as file:  # type: ignore[arg-type]  # a test names real options
        return file.path.read_bytes(), file


def card_of(file: Fetched) -> dict[str, object]:
    """The side-car of a cached file."""
    found: dict[str, object] = json.loads(file.path.with_name(file.path.name + ".meta").read_text())
    return found


async def until(true: Callable[[], bool]) -> None:
    """Wait until something holds that tells nobody when it does."""
    async with asyncio.timeout(20):
        while not true():  # noqa: ASYNC110  (there is no event to wait for)
            await asyncio.sleep(0.001)


@pytest.fixture(name="bench")
async def make_bench(tmp_path: Path) -> AsyncIterator[Bench]:
    """A fresh one."""
    source, folder = ScriptedSource(), tmp_path / "cache"
    made: list[Fetching] = []

    def build(limit: int = 0, **changes: object) -> Fetching:
        store = Store(folder, limit)
        store.open()
        limits = replace(LIMITS, **changes)  # type: ignore[arg-type]  # a test names real fields
        sources = {"http": source, "s3": source, "data": source}
        made.append(Fetching(sources, store, Guard("off"), limits, clock=lambda: bench.now))  # type: ignore[arg-type]
        return made[-1]

    bench = Bench(source, build(), folder, build)
    yield bench
    for fetching in made:
        await fetching.close()
