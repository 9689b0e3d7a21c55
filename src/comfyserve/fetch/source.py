"""The seam inside `fetch`: one source per kind of address, behind the download cache."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from comfyserve.core.credentials import Auth
from comfyserve.ports import OnBytes


def nobody(received: int, total: int | None) -> None:
    """An OnBytes for whom it does not interest."""


@dataclass(frozen=True)
class Validators:
    """How the origin tells one state of a file from another; empty texts are unknown."""

    etag: str = ""
    last_modified: str = ""
    size: int | None = None

    def shows(self, other: "Validators") -> bool:
        """Whether both are proven to be of one state: the same ETag, or without any the same date and size; an ETag is
        not trusted where sizes contradict it."""
        sized = None not in (self.size, other.size)
        if self.etag or other.etag:
            return self.etag == other.etag and (not sized or self.size == other.size)
        return self.last_modified == other.last_modified != "" and sized and self.size == other.size


UNKNOWN = Validators()
"""Of a state that nothing tells from others: no other is proven to be the same."""


@dataclass(frozen=True)
class Order:
    """One download: `limit` in bytes; `held` describes the copy that we have, so that the source may say Unchanged;
    `sha256`, if known, the caller compares in the end: a source may do it to find out that another try helps."""

    url: str
    limit: int
    auth: Auth | None = None
    held: Validators | None = None
    sha256: str = ""
    on_bytes: OnBytes = nobody


@dataclass(frozen=True)
class Arrived:
    """What was written: `names` are candidates for the file's name, best first; `mime` is what the sender says.

    `sha256` may be empty for a large file whose checksum nobody knew.
    """

    size: int
    sha256: str
    mime: str = ""
    names: tuple[str | None, ...] = ()
    validators: Validators = Validators()
    head: bytes = b""
    is_folder: bool = False


class Unchanged:
    """The copy we hold is still the file."""


class Source(Protocol):
    """One way to get files, under the outbound policy.

    Every method raises FetchRefused, FetchFailed (`retryable` says whether another try may help), TooLarge,
    StorageFailed (our disk). Messages name the host, never path, query or secret.
    """

    async def download(self, order: Order, path: Path) -> Arrived | Unchanged:
        """Write the whole file to `path`, tried again with back-off; the caller bounds the time.

        `path` and `path` + `.resume` are the source's own until this returns. Both may be left from an earlier,
        broken download of the same URL, which the source may continue; when it raises they may stay for the next.
        """

    async def check(self, url: str, auth: Auth | None, held: Validators = UNKNOWN) -> bool:
        """Whether the origin proves that it gives these credentials the very state `held`, without reading the file.

        Raises FetchRefused or FetchFailed unless they open the address at all.
        """

    async def close(self) -> None:
        """Let go of connections."""
