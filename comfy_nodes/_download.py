"""Small downloads over http and https, for engines without a worker that fetches before the run."""

import time
import urllib.error
import urllib.request
from typing import IO

TIMEOUT_SECONDS = 30.0
MAX_BYTES = 100 * 1024 * 1024
CHUNK_BYTES = 256 * 1024


def download(url: str) -> bytes:
    """The bytes behind an http(s) URL. Raises ValueError for anything else, a failure, or more than MAX_BYTES."""
    try:
        with _opener().open(url, timeout=TIMEOUT_SECONDS) as answer:
            return _read(answer)
    except (OSError, urllib.error.URLError, ValueError) as error:
        raise ValueError(f"{url[:200]} could not be downloaded: {error}") from error


def _opener() -> urllib.request.OpenerDirector:
    """Without the handlers for files, data and FTP, so that a redirect cannot lead there."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler,
        urllib.request.HTTPHandler,
        urllib.request.HTTPSHandler,
        urllib.request.HTTPRedirectHandler,
        urllib.request.HTTPDefaultErrorHandler,
        urllib.request.HTTPErrorProcessor,
        urllib.request.UnknownHandler,
    ):
        opener.add_handler(handler())
    return opener


def _read(answer: IO[bytes]) -> bytes:
    deadline = time.monotonic() + TIMEOUT_SECONDS
    chunks: list[bytes] = []
    size = 0
    while chunk := answer.read(CHUNK_BYTES):
        size += len(chunk)
        if size > MAX_BYTES:
            raise ValueError(f"it is larger than {MAX_BYTES} bytes")
        if time.monotonic() > deadline:
            raise ValueError(f"it took longer than {TIMEOUT_SECONDS:.0f} s")
        chunks.append(chunk)
    return b"".join(chunks)
