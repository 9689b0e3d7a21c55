"""One HTTP/1.1 connection to a checked address.

The event loop resolves and connects; request and body are blocking calls in a thread. So 1 GiB costs a third of the
CPU time that it costs through aiohttp, and the loop is free for other things (`script/bench --download`).
"""

import asyncio
import os
import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse, IncompleteRead, LineTooLong

import structlog
from aiohttp.abc import AbstractResolver
from yarl import URL

from comfyserve.core.errors import FetchFailed
from comfyserve.fetch.guard import CheckedResolver, Guard, not_found
from comfyserve.fetch.heads import proxy_authorization

HEAD_TOO_LARGE = (HTTPException, LineTooLong)
"""What http.client raises for too many headers, and for too long ones."""

log = structlog.get_logger(__name__)


class Wire:
    """A connection for one thread at a time. `cut` may come from any other and ends what blocks."""

    def __init__(self, connected: socket.socket, url: URL, proxy: URL | None, idle_seconds: float) -> None:
        self._socket = connected
        self._url = url
        self._proxy = proxy
        self._is_cut = False
        connected.settimeout(idle_seconds)
        self._connection = HTTPConnection(url.raw_host or "")
        self._connection.auto_open = 0
        self._connection.sock = connected

    def start(self, tls: ssl.SSLContext) -> None:
        """Go through the proxy and begin TLS, where the URL wants that. Blocks. Raises FetchFailed."""
        if self._url.scheme != "https":
            return
        with as_fetch_failed(self._url.host):
            if self._proxy is not None:
                self._tunnel(self._proxy)
            wrapped = tls.wrap_socket(self._socket, server_hostname=self._url.host, do_handshake_on_connect=False)
            self._socket = self._connection.sock = wrapped
            if not self._is_cut:
                wrapped.do_handshake()

    def ask(self, method: str, url: URL, headers: Mapping[str, str]) -> HTTPResponse:
        """Send a request for this connection's host and read the head of the answer. Blocks. Raises FetchFailed."""
        target, head = url.raw_path_qs, {"Host": url.host_port_subcomponent or "", **headers}
        if self._proxy is not None and url.scheme == "http":
            target = f"http://{head['Host']}{target}"
            head |= dict(line.split(": ", 1) for line in proxy_authorization(self._proxy))
        with as_fetch_failed(self._url.host):
            self._connection.request(method, target, headers=head)
            return self._connection.getresponse()

    def cut(self) -> None:
        """Make every blocking call on this connection return at once."""
        self._is_cut = True
        with suppress(OSError):
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def close(self) -> None:
        """Let go of the connection."""
        self.cut()
        self._connection.close()
        self._socket.close()

    def _tunnel(self, proxy: URL) -> None:
        place = f"{self._url.host_subcomponent}:{self._url.port}"
        lines = [f"CONNECT {place} HTTP/1.1", f"Host: {place}", *proxy_authorization(proxy), "", ""]
        self._socket.sendall("\r\n".join(lines).encode("latin-1"))
        answer = HTTPResponse(self._socket, method="CONNECT")
        answer.begin()
        answer.close()
        if answer.status != 200:
            raise FetchFailed(f"The proxy answers with status {answer.status} for {self._url.host}.", retryable=True)


async def connect(guard: Guard, url: URL, *, connect_seconds: float, idle_seconds: float) -> Wire:
    """A connection to the checked URL's host, or to the proxy that leads there; `start` it in a thread.

    Raises FetchRefused, FetchFailed.
    """
    by = await guard.proxy_for(url)
    if not by:
        return Wire(await _open(url, CheckedResolver(guard), connect_seconds), url, None, idle_seconds)
    proxy = URL(by)
    try:
        connected = await _open(proxy, guard.lookup, connect_seconds)
    except FetchFailed as error:
        log.warning("fetch.forward_proxy_failed", proxy=proxy.host, reason=error.message)
        raise FetchFailed(f"{url.host} cannot be reached through the forward proxy.", retryable=True) from error
    return Wire(connected, url, proxy, idle_seconds)


async def _open(to: URL, names: AbstractResolver, connect_seconds: float) -> socket.socket:
    try:
        found = await names.resolve(to.host or "", to.port or 0, socket.AF_UNSPEC)
    except OSError as error:
        raise not_found(to.host) from error
    reason = "it has no address"
    for address in found:
        made = socket.socket(address["family"], socket.SOCK_STREAM)
        try:
            made.setblocking(False)
            async with asyncio.timeout(connect_seconds / len(found)):
                await asyncio.get_running_loop().sock_connect(made, (address["host"], address["port"]))
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return made
        except TimeoutError:
            reason = "it does not answer"
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno else type(error).__name__
        except BaseException:
            made.close()
            raise
        made.close()
    raise FetchFailed(f"{to.host} cannot be reached: {reason}.", retryable=True)


@contextmanager
def as_fetch_failed(host: str | None) -> Iterator[None]:
    """Say what went wrong on a connection in a sentence that names the host alone. Raises FetchFailed."""
    try:
        yield
    except TimeoutError as error:
        raise FetchFailed(f"{host} keeps us waiting too long.", retryable=True) from error
    except ssl.SSLCertVerificationError as error:
        raise FetchFailed(f"{host} cannot be trusted: {error.verify_message}.") from error
    except IncompleteRead as error:
        raise broken_off(host) from error
    except (HTTPException, OSError, ValueError) as error:
        if type(error) in HEAD_TOO_LARGE:
            raise FetchFailed(f"{host} answers with a head that is too large.") from error
        raise FetchFailed(f"{host} does not answer properly.", retryable=True) from error


def broken_off(host: str | None) -> FetchFailed:
    """The body ended before the file did."""
    return FetchFailed(f"{host} broke off in the middle of the file.", retryable=True)
