"""Downloads over http and https with a guard of their own: for engines without a worker that fetches before the run.

The standard library only. Each connection goes to an address that was checked, redirects are followed by hand and
checked anew, and size, time and redirects have an end. Messages name the host, never path or query: those are secrets.
"""

import contextlib
import http.client
import os
import socket
import ssl
import threading
import uuid
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit
from urllib.request import getproxies, proxy_bypass

from . import _host, _settings
from ._guard import PORTS, Refused, Target, check_url, resolve

CONNECT_SECONDS = 10.0
IDLE_SECONDS = 30.0
REDIRECTS = 5
REDIRECT_STATUS = frozenset({301, 302, 303, 307, 308})
CHUNK_BYTES = 256 * 1024
HEADERS = {"Accept": "*/*", "Accept-Encoding": "identity", "User-Agent": "Mozilla/5.0 (comfyserve nodes)"}
GZIP_OR_ZLIB = 47

Connection = http.client.HTTPConnection


@dataclass(frozen=True)
class Bounds:
    """The most bytes and seconds of one download."""

    size: int
    seconds: float

    @classmethod
    def of(cls, what: str) -> "Bounds":
        """The operator's bounds for MEDIA or MODEL."""
        return cls(_settings.whole(f"{what}_MB") * _settings.MB, _settings.whole(f"{what}_SECONDS"))


def download(url: str, bounds: Bounds | None = None) -> bytes:
    """The bytes behind a URL. Raises ValueError."""
    return b"".join(_pieces(url, bounds or Bounds.of("MEDIA"), {}))


def download_to(path: Path, url: str, bounds: Bounds | None = None, headers: Mapping[str, str] | None = None) -> Path:
    """The bytes behind a URL as that file, which appears when it is whole. Raises ValueError."""
    part = path.with_name(f".{uuid.uuid4().hex}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            for piece in _pieces(url, bounds or Bounds.of("MEDIA"), headers or {}):
                file.write(piece)
        part.replace(path)
    except OSError as error:
        raise ValueError(f"The download cannot be kept on disk: {error.strerror}.") from error
    finally:
        part.unlink(missing_ok=True)
    return path


def _pieces(url: str, bounds: Bounds, headers: Mapping[str, str]) -> Iterator[bytes]:
    clock = _Clock(bounds.seconds)
    try:
        with contextlib.closing(clock), _followed(check_url(url), headers, clock) as (response, target):
            yield from _content(response, target, bounds.size)
            if clock.rang:
                raise TimeoutError
    except Refused:
        raise
    except (OSError, http.client.HTTPException, zlib.error) as error:
        host = urlsplit(url).hostname
        if clock.rang:
            raise ValueError(f"{host} did not give the file within {bounds.seconds:g} s.") from None
        raise ValueError(f"The file from {host} could not be downloaded: {_reason(error)}.") from error


@contextlib.contextmanager
def _followed(
    target: Target, headers: Mapping[str, str], clock: "_Clock"
) -> Iterator[tuple[http.client.HTTPResponse, Target]]:
    """The first answer that is no redirect. The caller's own headers go to the host that was asked first only."""
    first = target
    for _ in range(REDIRECTS + 1):
        own = headers if (target.scheme, target.host, target.port) == (first.scheme, first.host, first.port) else {}
        with contextlib.closing(_connected(target, clock)) as connection:
            connection.request("GET", _asked(connection, target), headers=HEADERS | dict(own))
            response = connection.getresponse()
            if response.status not in REDIRECT_STATUS:
                yield response, target
                return
            target = check_url(urljoin(target.url, response.headers.get("Location", "")))
    raise ValueError(f"{first.host} redirects more than {REDIRECTS} times.")


def _connected(target: Target, clock: "_Clock") -> Connection:
    """A connection to a checked address of the target, or to the operator's forward proxy after that check."""
    addresses = resolve(target)
    proxy = None if proxy_bypass(target.host) else getproxies().get(target.scheme)
    if proxy and target.scheme == "http":
        return _to_proxy(proxy, clock)
    made = http.client.HTTPSConnection if target.scheme == "https" else Connection
    connection = made(target.host, target.port, timeout=IDLE_SECONDS)
    plain = _tunnel(proxy, target) if proxy else _reached(addresses, target.port)
    try:
        plain.settimeout(IDLE_SECONDS)
        clock.watch(plain)
        if target.scheme == "https":
            plain = _trusted().wrap_socket(plain, server_hostname=target.host)
            clock.watch(plain)
    except BaseException:
        plain.close()
        raise
    connection.sock = plain
    return connection


def _to_proxy(proxy: str, clock: "_Clock") -> Connection:
    connection = Connection(*_proxy_address(proxy), timeout=IDLE_SECONDS)
    connection.connect()
    clock.watch(connection.sock)
    return connection


def _tunnel(proxy: str, target: Target) -> socket.socket:
    tunnel = Connection(*_proxy_address(proxy), timeout=IDLE_SECONDS)
    tunnel.set_tunnel(target.host, target.port)
    tunnel.connect()
    plain: socket.socket = tunnel.sock
    return plain


def _proxy_address(proxy: str) -> tuple[str, int]:
    parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    return parts.hostname or "", parts.port or PORTS["http"]


def _asked(connection: Connection, target: Target) -> str:
    """The path, or behind a plain proxy the whole URL."""
    return target.path if connection.host == target.host and connection.port == target.port else target.url


def _reached(addresses: list[str], port: int) -> socket.socket:
    failed: OSError = OSError("it has no address")
    for address in addresses:
        try:
            return socket.create_connection((address, port), timeout=CONNECT_SECONDS)
        except OSError as error:
            failed = error
    raise failed


@cache
def _trusted() -> ssl.SSLContext:
    return ssl.create_default_context()


def _content(response: http.client.HTTPResponse, target: Target, most: int) -> Iterator[bytes]:
    if response.status != 200:
        raise ValueError(f"{target.host} answers with status {response.status}.")
    if (response.length or 0) > most:
        raise _too_large(most)
    size = 0
    for piece in _decoded(response):
        size += len(piece)
        if size > most:
            raise _too_large(most)
        _host.engine().check_stopped()
        yield piece
    if response.length:
        raise http.client.IncompleteRead(b"", response.length)


def _decoded(response: http.client.HTTPResponse) -> Iterator[bytes]:
    """The content, also of a server that compresses although it was asked not to; no piece is large."""
    encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip", "deflate", ""):
        raise ValueError(f"The file comes compressed in a way that is not known here ({encoding[:20]}).")
    unpack: Any = zlib.decompressobj(GZIP_OR_ZLIB) if encoding in ("gzip", "deflate") else None
    while chunk := response.read1(CHUNK_BYTES):
        if unpack is None:
            yield chunk
        while unpack is not None and chunk:
            yield unpack.decompress(chunk, CHUNK_BYTES)
            chunk = unpack.unconsumed_tail


class _Clock:
    """Ends the connections of one download when its time is over, whatever they wait for."""

    def __init__(self, seconds: float) -> None:
        self.rang = False
        self._sockets: list[socket.socket] = []
        self._lock = threading.Lock()
        self._timer = threading.Timer(seconds, self._ring)
        self._timer.daemon = True
        self._timer.start()

    def watch(self, one: socket.socket) -> None:
        """End this connection, too. Raises OSError when the time is over already."""
        with self._lock:
            if self.rang:
                raise TimeoutError
            self._sockets.append(one)

    def close(self) -> None:
        """Stop watching."""
        self._timer.cancel()

    def _ring(self) -> None:
        with self._lock:
            self.rang = True
            for one in self._sockets:
                # The plain method: that of a TLS socket would change it under the reader.
                with contextlib.suppress(OSError):
                    socket.socket.shutdown(one, socket.SHUT_RDWR)


def _reason(error: Exception) -> str:
    if isinstance(error, socket.gaierror):
        return "the host cannot be found"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted ({error.verify_message})"
    if isinstance(error, TimeoutError):
        return "it keeps us waiting too long"
    if isinstance(error, http.client.IncompleteRead):
        return "it broke off in the middle"
    number = error.errno if isinstance(error, OSError) else None
    words = os.strerror(number) if number else type(error).__name__
    return words[:1].lower() + words[1:]


def _too_large(most: int) -> ValueError:
    return ValueError(f"The file is larger than the {most} bytes that are allowed.")
