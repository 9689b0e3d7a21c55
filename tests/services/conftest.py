"""The bundle of services that the tests of this folder share."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.services.bundle import Bundle, open_bundle


@pytest.fixture
async def bundle(tmp_path: Path) -> AsyncIterator[Bundle]:
    made = await open_bundle(tmp_path)
    yield made
    await made.db.close()
