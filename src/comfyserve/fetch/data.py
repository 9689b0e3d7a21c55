"""The Source for data: URIs (RFC 2397)."""

import hashlib
from pathlib import Path

from comfyserve.core.credentials import Auth
from comfyserve.core.data_uri import decode_data_uri
from comfyserve.core.errors import StorageFailed
from comfyserve.fetch.source import UNKNOWN, Arrived, Order, Unchanged, Validators
from comfyserve.fetch.threads import in_thread

HEAD_BYTES = 64


class DataSource:
    """The Source for data URIs: decoded piece by piece, in a thread."""

    async def download(self, order: Order, path: Path) -> Arrived | Unchanged:
        """Decode to `path`. Raises TooLarge, StorageFailed; InvalidInput for what is no data URI."""
        return await in_thread(lambda: _decode(order, path))

    async def check(self, url: str, auth: Auth | None, held: Validators = UNKNOWN) -> bool:
        """Everybody who has a data URI has its content."""
        return True

    async def close(self) -> None:
        """Nothing to let go of."""


def _decode(order: Order, path: Path) -> Arrived:
    mime, pieces = decode_data_uri(order.url, order.limit)
    digest, size, head = hashlib.sha256(), 0, b""
    try:
        with path.open("wb") as file:
            for piece in pieces:
                file.write(piece)
                digest.update(piece)
                size += len(piece)
                head = head or piece[:HEAD_BYTES]
    except OSError as error:
        raise StorageFailed(f"The file cannot be kept on disk: {error.strerror}.") from error
    return Arrived(size, digest.hexdigest(), mime, validators=Validators(size=size), head=head)
