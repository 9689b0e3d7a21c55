"""What a commit survives is the operator's choice."""

from pathlib import Path

import pytest

from comfyserve.db.database import Database
from comfyserve.db.engine import Durability

FULL, NORMAL = 2, 1
"""As PRAGMA synchronous tells them."""


@pytest.mark.parametrize(("durable", "synchronous"), [("disk", FULL), ("process", NORMAL)])
async def test_the_writer_waits_for_the_disk_or_does_not(tmp_path: Path, durable: Durability, synchronous: int) -> None:
    db = await Database.open(str(tmp_path / "a.db"), durable=durable)
    told = await db.write(lambda connection: connection.exec_driver_sql("PRAGMA synchronous").scalar_one())
    mode = await db.write(lambda connection: connection.exec_driver_sql("PRAGMA journal_mode").scalar_one())
    await db.close()
    assert (told, mode) == (synchronous, "wal")
