"""Models that were promised to callers: kept in a folder, each in a file under seal, until they are there or cannot be
had, so that a start after a kill goes on with them."""

import asyncio
import json
import os
from pathlib import Path

import structlog

from comfyserve.core.credentials import read_auth, write_auth
from comfyserve.core.errors import DomainError
from comfyserve.services.model_files import ModelOrder
from comfyserve.services.sealing import Sealing

ENDING, BEGUN = ".order", ".begun"

log = structlog.get_logger(__name__)


class ModelOrders:
    """The orders in a folder, which one process has."""

    def __init__(self, folder: Path, sealing: Sealing) -> None:
        self._folder = folder
        self._sealing = sealing

    async def keep(self, name: str, order: ModelOrder) -> None:
        """Keep an order under a name that no other has. Raises OSError."""
        await asyncio.to_thread(self._write, name, self._sealing.seal(_text(order)))

    async def forget(self, name: str) -> None:
        """Nobody waits for it any more."""
        await asyncio.to_thread((self._folder / f"{name}{ENDING}").unlink, missing_ok=True)

    async def left(self) -> list[tuple[str, ModelOrder]]:
        """The names and orders that are kept, oldest name first; one that cannot be read is removed, with a word in
        the log."""
        return await asyncio.to_thread(self._read)

    def _write(self, name: str, text: str) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._folder / f"{name}{BEGUN}"
        with open(path, "x", opener=_private) as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        path.rename(path.with_suffix(ENDING))

    def _read(self) -> list[tuple[str, ModelOrder]]:
        for path in self._folder.glob(f"*{BEGUN}"):
            path.unlink()
        found = []
        for path in sorted(self._folder.glob(f"*{ENDING}")):
            try:
                found.append((path.stem, _order(self._sealing.open(path.read_text()))))
            except (DomainError, ValueError, KeyError, TypeError) as error:
                log.error("model_order_lost", order=path.stem, problem=type(error).__name__)
                path.unlink()
        return found


def _text(order: ModelOrder) -> str:
    auth = None if order.auth is None else write_auth(order.auth)
    return json.dumps({"url": order.url, "folder": order.folder, "filename": order.filename, "auth": auth})


def _order(text: str) -> ModelOrder:
    kept = json.loads(text)
    auth = None if kept["auth"] is None else read_auth(kept["auth"])
    return ModelOrder(str(kept["url"]), str(kept["folder"]), str(kept["filename"]), auth)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
