"""Reading the body of an answer into a stretch of the file. Everything here blocks."""

import zlib
from http.client import HTTPResponse

from yarl import URL

from comfyserve.core.errors import FetchFailed
from comfyserve.fetch.http.answer import encoding_of
from comfyserve.fetch.http.part import Part, Stretch, too_large
from comfyserve.fetch.http.wire import Wire, as_fetch_failed, broken_off

READ_BYTES = 1024 * 1024
TLS_READ_BYTES = 32 * 1024
"""TLS gives 16 KiB at a time; more room for each would only cost time."""

WRITE_BYTES = 1024 * 1024
MOST_PIECES = 512
"""How many pieces one write takes; IOV_MAX is 1024."""

GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS


class Exchange:
    """A question that was answered: the connection, the answer, and where in the file its next byte belongs."""

    def __init__(self, wire: Wire, response: HTTPResponse, url: URL, linked_sha256: str = "") -> None:
        self.wire = wire
        self.response = response
        self.url = url
        self.linked_sha256 = linked_sha256
        self.position = 0
        self.until: int | None = None
        self._most = TLS_READ_BYTES if url.scheme == "https" else READ_BYTES
        self._unpack = zlib.decompressobj(GZIP_OR_ZLIB) if encoding_of(response.headers) else None

    @property
    def host(self) -> str:
        """What messages call the origin."""
        return self.url.host or ""

    def goes_on_at(self, place: int) -> bool:
        """Whether the next byte that comes belongs there."""
        return self.position == place and (self.until is None or place < self.until)

    @property
    def is_encoded(self) -> bool:
        """Whether the content is packed, although we asked for it as it is."""
        return self._unpack is not None

    def read(self, most: int) -> bytes:
        """Some bytes of the content, at most so many; empty at its end. Raises FetchFailed."""
        most = min(most, self._most)
        piece = self._read_packed(most) if self._unpack else self.response.read1(most)
        if not piece and self.response.length:
            raise broken_off(self.host)
        self.position += len(piece)
        return piece

    def _read_packed(self, most: int) -> bytes:
        assert self._unpack is not None
        piece = b""
        try:
            while not piece and not self._unpack.eof:
                if not (packed := self._unpack.unconsumed_tail or self.response.read1(self._most)):
                    raise broken_off(self.host)
                piece = self._unpack.decompress(packed, most)
            if self._unpack.unused_data:
                raise zlib.error("there is more behind its end")
        except zlib.error as error:
            raise FetchFailed(f"{self.host} sends content whose gzip coding is broken.") from error
        return piece

    def close(self) -> None:
        """Let go of the connection."""
        self.wire.cut()
        self.response.close()
        self.wire.close()


def fill(exchange: Exchange, stretch: Stretch, part: Part) -> None:
    """Read until the stretch is full or the body ends. What came is written even if it breaks off.

    Raises FetchFailed, TooLarge, StorageFailed.
    """
    pieces: list[bytes] = []
    try:
        while (room := stretch.end - stretch.seen) > 0:
            with as_fetch_failed(exchange.host):
                piece = exchange.read(room)
            if not piece:
                break
            pieces.append(piece)
            stretch.seen += len(piece)
            if stretch.seen - stretch.at >= WRITE_BYTES or len(pieces) == MOST_PIECES:
                stretch.at = part.write(pieces, stretch.at)
                pieces.clear()
    finally:
        if pieces:
            stretch.at = part.write(pieces, stretch.at)
        stretch.seen = stretch.at
    if stretch.at > part.limit:
        raise too_large(part.limit)
    if not stretch.is_done and part.facts.size is not None:
        raise broken_off(exchange.host)
    stretch.end = min(stretch.end, stretch.at) if part.facts.size is None else stretch.end
