"""What the server and a worker of its own both stand on: the database, the files, the clock, the secrets."""

import asyncio
import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import structlog
import uuid_utils
from sqlalchemy.exc import SQLAlchemyError

from comfyserve.blobs.build import check_blobs, open_blobs
from comfyserve.blobs.own import hide_from_callers
from comfyserve.core.errors import Conflict, StorageFailed
from comfyserve.db.database import Database
from comfyserve.ports import Blobs, Clocks
from comfyserve.services.bell import LocalBell
from comfyserve.services.door import Door
from comfyserve.services.live import LocalLive
from comfyserve.services.record import Record
from comfyserve.services.request_ids import RequestIds
from comfyserve.services.sealing import Sealing
from comfyserve.settings import Settings, secret_of, write_private

STORAGE_FILE = "storage.txt"
FOLDER_OF_FILES = "a folder of the data directory"
log = structlog.get_logger(__name__)

OTHERS = 0o077
"""The bits of a mode that let other users in."""

CONVERTING, SENDING = "converting", "sending"
"""Folders of files on their way, in the scratch folder."""


def now() -> datetime:
    """The clock of the program."""
    return datetime.now(UTC)


def new_id() -> str:
    """A fresh UUID, ordered by time."""
    return str(uuid_utils.uuid7())


@dataclass(frozen=True)
class Base:
    """What everything else is built on. `scratch` is for files on their way and the engines' own folders; no other
    process has the same."""

    settings: Settings
    scratch: Path
    db: Database
    bell: LocalBell
    live: LocalLive
    blobs: Blobs
    door: Door
    sealing: Sealing
    clocks: Clocks
    request_ids: RequestIds = field(default_factory=RequestIds)


def make_data_dir(settings: Settings) -> None:
    """Make the data directory, for its owner alone. Whoever writes into it first calls this."""
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)


async def lay_base(settings: Settings, scratch: Path, passing: Iterable[Path]) -> Base:
    """Open the database and the storage. `passing`: folders in which a process that was killed left what nobody asks
    for any more. Raises InvalidInput, StorageFailed."""
    make_data_dir(settings)
    if settings.data_dir.stat().st_mode & OTHERS:
        advice = "chmod 700, unless other users of this machine shall read all runs"
        log.warning("data_dir.open_to_others", folder=str(settings.data_dir), advice=advice)
    for folder in (scratch / CONVERTING, scratch / SENDING, *passing):
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
    blobs = await open_storage(settings)
    return Base(
        settings=settings,
        scratch=scratch,
        db=await _open_database(settings),
        bell=LocalBell(),
        live=LocalLive(),
        blobs=blobs,
        door=Door(new_id),
        sealing=Sealing(secret_of(settings).encode()),
        clocks=Clocks(settings.queue_seconds, settings.start_seconds, settings.run_seconds, settings.heartbeat_seconds),
    )


def agree_on_storage(settings: Settings, *, ours: bool) -> None:
    """Have the server say, for its workers, where files are kept. Raises Conflict when a worker keeps them elsewhere:
    nobody would find what it stores."""
    note, here = settings.data_dir / STORAGE_FILE, settings.blobs or FOLDER_OF_FILES
    if ours:
        write_private(note, here + "\n")
    elif note.exists() and (there := note.read_text().strip()) != here:
        raise Conflict(
            f"The server with this data directory keeps its files in {there}, this worker in {here}. "
            "Give both the same COMFYSERVE_BLOBS."
        )


async def open_storage(settings: Settings) -> Blobs:
    """Where files are kept, tried out. Raises InvalidInput, StorageFailed for a bucket that cannot be used."""
    if not settings.blobs:
        make_data_dir(settings)
    blobs = open_blobs(
        settings.blobs,
        settings.data_dir,
        environment=os.environ,
        file_links=settings.file_links,
        storage_seconds=settings.storage_seconds,
        sync=settings.durable == "disk",
    )
    hide_from_callers(os.environ)
    await check_blobs(blobs)
    return blobs


async def _open_database(settings: Settings) -> Database:
    """Raises StorageFailed for a file that is no database."""
    try:
        return await Database.open(settings.database_url, durable=settings.durable)
    except SQLAlchemyError as error:
        reason = str(error).splitlines()[0]
        raise StorageFailed(f"The database {settings.database_url} cannot be used: {reason}") from error


def build_record(base: Base, ledger: type[Record] = Record) -> Record:
    """The ledger of this process's workers."""
    return ledger(
        base.db,
        base.door,
        clock=now,
        ids=new_id,
        bell=base.bell,
        live=base.live,
        sealing=base.sealing,
        lease_seconds=base.settings.lease_seconds,
        clocks=base.clocks,
        on_attempt=base.request_ids.note,
    )
