"""A fresh database."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from comfyserve.db.database import Database


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[Database]:
    opened = await Database.open(str(tmp_path / "test.db"))
    yield opened
    await opened.close()
