"""Files from storages that the operator added."""

import asyncio
import hashlib
from pathlib import Path
from typing import BinaryIO

from comfyserve.core.credentials import Auth
from comfyserve.core.errors import DomainError, FetchFailed, FetchRefused, StorageFailed, TooLarge
from comfyserve.fetch.source import UNKNOWN, Arrived, Order, Unchanged, Validators
from comfyserve.ports import Storage, Storages

HEAD_BYTES = 64


class AddedSource:
    """The Source for the schemes of `storages`. A file comes whole or not at all: what broke off begins anew."""

    def __init__(self, storages: Storages) -> None:
        self._storages = storages

    async def download(self, order: Order, path: Path) -> Arrived | Unchanged:
        """Write the whole file to `path`. See Source."""
        scheme, storage = self._find(order.url, order.auth)
        try:
            return await _keep(storage, order, path)
        except (DomainError, StorageFailed):
            raise
        except FileNotFoundError as error:
            raise FetchFailed(f"The storage {scheme} has no such file.") from error
        except PermissionError as error:
            raise FetchFailed(f"The storage {scheme} does not give this file.") from error
        except ValueError as error:
            raise FetchRefused(f"This is no address of the storage {scheme}.") from error
        except Exception as error:
            raise FetchFailed(f"The storage {scheme} failed: {type(error).__name__}.", retryable=True) from error

    async def check(self, url: str, auth: Auth | None, held: Validators = UNKNOWN) -> bool:
        """No credentials open these addresses. See Source."""
        self._find(url, auth)
        return False

    async def close(self) -> None:
        """Nothing to let go of."""

    def _find(self, url: str, auth: Auth | None) -> tuple[str, Storage]:
        scheme = url.partition(":")[0].lower()
        if auth is not None:
            raise FetchRefused(f"The storage {scheme} takes no credentials of callers.")
        if not hasattr(self._storages[scheme], "read"):
            raise FetchRefused(f"The storage {scheme} gives no files.")
        return scheme, self._storages[scheme]


async def _keep(storage: Storage, order: Order, path: Path) -> Arrived:
    digest, size, head = hashlib.sha256(), 0, b""
    with _created(path) as file:
        async for piece in storage.read(order.url):
            size += len(piece)
            if size > order.limit:
                raise TooLarge(f"The file is larger than the {order.limit} bytes that are allowed.")
            head = head if len(head) >= HEAD_BYTES else (head + piece)[:HEAD_BYTES]
            digest.update(piece)
            try:
                await asyncio.to_thread(file.write, piece)
            except OSError as error:
                raise _not_kept(error) from error
            order.on_bytes(size, None)
    return Arrived(size, digest.hexdigest(), head=head)


def _created(path: Path) -> BinaryIO:
    try:
        return path.open("wb")
    except OSError as error:
        raise _not_kept(error) from error


def _not_kept(error: OSError) -> StorageFailed:
    return StorageFailed(f"The file cannot be kept on disk: {error.strerror}.")
