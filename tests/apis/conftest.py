"""The app over real services, in process: one for each test, or one that a table of scenarios shares."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.apis.world import World, open_world
from tests.services.bundle import open_bundle


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    bundle = await open_bundle(tmp_path)
    async with open_world(bundle) as made:
        yield made
    await bundle.db.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[World, dict[str, str]]]:
    """A world with one of everything, and the names of these things."""
    bundle = await open_bundle(tmp_path_factory.mktemp("shared"))
    async with open_world(bundle) as made:
        yield made, await made.names()
    await bundle.db.close()
