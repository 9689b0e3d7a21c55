"""Targets in storages that the operator added."""

from urllib.parse import quote, urlsplit

from comfyserve.blobs.targets.names import join
from comfyserve.blobs.theirs import Theirs
from comfyserve.core.errors import DomainError, InvalidInput, Place, TargetFailed
from comfyserve.core.targets import StorageTarget
from comfyserve.ports import ByteStream, Storage, Storages

FIELD = "target.url"


def storage_of(wish: StorageTarget, storages: Storages) -> tuple[str, Storage]:
    """The scheme and the storage of a wish that can be. Raises InvalidInput."""
    try:
        parts = urlsplit(wish.url)
    except ValueError as error:
        raise InvalidInput("target.url is no address.", place=Place(field=FIELD)) from error
    scheme = parts.scheme.lower()
    if scheme not in storages:
        known = ", ".join(f"{one}://" for one in sorted(storages)) or "none"
        raise InvalidInput(f"target.url begins with no storage that was added here: {known}.", place=Place(field=FIELD))
    if not hasattr(storages[scheme], "write"):
        raise InvalidInput(f"The storage {scheme} takes no files.", place=Place(field=FIELD))
    if parts.query or parts.fragment or "@" in parts.netloc:
        sentence = "target.url has a query, a fragment or a login, which no address of a file can have."
        raise InvalidInput(sentence, place=Place(field=FIELD))
    return scheme, storages[scheme]


class AddedWriter:
    """The Target port on a storage: files `<url>/<name>`."""

    at_once = 4

    def __init__(self, wish: StorageTarget, storages: Storages) -> None:
        """Raises InvalidInput for a wish that cannot be."""
        self._scheme, self._storage = storage_of(wish, storages)
        self._url = wish.url.rstrip("/")

    def address(self, name: str) -> str:
        """Where the file will lie."""
        return f"{self._url}/{quote(join('', name, 'url'))}"

    async def put(self, name: str, content: ByteStream, *, size: int, mime: str) -> str:
        """Write a file. Raises TargetFailed."""
        address, theirs = self.address(name), Theirs(content)
        try:
            await self._storage.write(address, theirs.pieces(), size=size, mime=mime)
        except Exception as error:
            if error is theirs.raised or isinstance(error, DomainError):
                raise
            raise self._failed(error) from error
        return address

    def _failed(self, error: Exception) -> TargetFailed:
        if isinstance(error, PermissionError | FileNotFoundError | ValueError):
            return TargetFailed(f"The storage {self._scheme} refuses the file ({type(error).__name__}).")
        return TargetFailed(f"The storage {self._scheme} failed: {type(error).__name__}.", retryable=True)
