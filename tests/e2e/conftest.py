"""One program for the tests that leave it as they found it."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from comfyserve.client import Client
from tests.e2e.program import Program, program, ready


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Program]:
    """A server with the example deployed and fast simulated steps."""
    folder: Path = tmp_path_factory.mktemp("shared")
    async with program(folder / "data", simulated_step_ms="2", fetch_seconds="2") as running:
        async with running.client() as client:
            await ready(client)
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def client(shared: Program) -> AsyncIterator[Client]:
    """A client of the shared server with the admin's key."""
    async with shared.client() as connected:
        yield connected


@pytest_asyncio.fixture(loop_scope="module")
async def silent_url() -> AsyncIterator[str]:
    """The URL of a picture whose server takes connections and says nothing."""

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/logo.png"
    server.close()
