"""An origin that serves well and badly, and a source that may reach it."""

from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path

import pytest

from comfyserve.fetch.guard import Guard
from comfyserve.fetch.http import HttpSource
from tests.fetch.downloads import LIMITS
from tests.fetch.origin import Origin


@pytest.fixture
async def origin() -> AsyncIterator[Origin]:
    """A server on loopback."""
    server = Origin()
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
def processes_of() -> Callable[[Path], list[int]]:
    """The living processes that work in a folder."""

    def found(folder: Path) -> list[int]:
        alive = []
        for entry in Path("/proc").iterdir():
            with suppress(OSError):
                if entry.name.isdigit() and (entry / "cwd").readlink().is_relative_to(folder):
                    alive.append(int(entry.name))
        return alive

    return found


@pytest.fixture
async def source() -> AsyncIterator[HttpSource]:
    """The HTTP source, which may call loopback."""
    made = HttpSource(Guard("127.0.0.0/8, localhost"), LIMITS)
    yield made
    await made.close()
