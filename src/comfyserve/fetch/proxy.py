"""A forward proxy on loopback that applies the outbound policy (DESIGN.md section 7).

For libraries and child processes that do their own networking: object stores, Hugging Face, git. It speaks CONNECT and
plain HTTP with absolute URLs (RFC 9110 9.3.6, RFC 9112 3.2.2), one request per connection, and only to who knows the
password of a lease.
"""

import asyncio
import hmac
import secrets
from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus

import structlog
from yarl import URL

from comfyserve.core.errors import FetchFailed, FetchRefused
from comfyserve.fetch.dial import BUFFER_BYTES, Streams, dial
from comfyserve.fetch.guard import CheckedResolver, Guard
from comfyserve.fetch.heads import BadHead, Head, proxy_authorization, read_head

LOOPBACK = "127.0.0.1"

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class ProxyLimits:
    """Connections at once; seconds to send a request's head, to connect onward, and without a byte either way."""

    connections: int = 512
    head_seconds: float = 10.0
    connect_seconds: float = 10.0
    idle_seconds: float = 120.0


@dataclass
class Lease:
    """The right to use the proxy, for one piece of work.

    `trouble` is what it was last denied: a refusal of the policy, or a host that could not be reached. `received` is
    the bytes that came in through it.
    """

    name: str
    password: str = field(repr=False)
    port: int
    trusted: frozenset[str]
    trouble: FetchRefused | FetchFailed | None = None
    received: int = 0
    connections: "set[asyncio.Task[None]]" = field(default_factory=set, repr=False)

    @property
    def url(self) -> str:
        """The proxy's address with the password in it: for configuration and environments, never for argv or logs."""
        return f"http://{self.name}:{self.password}@{LOOPBACK}:{self.port}"

    @property
    def refused(self) -> FetchRefused | None:
        """What the policy refused, if it refused anything."""
        return self.trouble if isinstance(self.trouble, FetchRefused) else None

    def note(self, trouble: FetchRefused | FetchFailed | None) -> None:
        """Remember how a connection went. A refusal stays; a failure is forgotten when a later connection succeeds."""
        if self.refused is None:
            self.trouble = trouble


class GuardingProxy:
    """Listens on a free port of loopback from the first lease on, until it is closed."""

    def __init__(self, guard: Guard, limits: ProxyLimits | None = None) -> None:
        self._guard = guard
        self._limits = limits or ProxyLimits()
        self._leases: dict[str, Lease] = {}
        self._open = 0
        self._server: asyncio.Server | None = None
        self._starting = asyncio.Lock()

    @asynccontextmanager
    async def lease(self, trusted: Iterable[str] = ()) -> AsyncIterator[Lease]:
        """A lease until the context is left; its connections end with it.

        `trusted` are the `host:port` that the operator configured for this work: they are not checked.
        """
        port = await self._listen()
        lease = Lease(
            secrets.token_hex(8), secrets.token_urlsafe(24), port, frozenset(place.lower() for place in trusted)
        )
        self._leases[lease.name] = lease
        try:
            yield lease
        finally:
            del self._leases[lease.name]
            for connection in tuple(lease.connections):
                connection.cancel()

    async def close(self) -> None:
        """Stop listening and end every connection."""
        if self._server is not None:
            self._server.close()
        for lease in self._leases.values():
            for connection in tuple(lease.connections):
                connection.cancel()

    async def _listen(self) -> int:
        async with self._starting:
            if self._server is None:
                self._server = await asyncio.start_server(self._accept, LOOPBACK, 0, limit=BUFFER_BYTES)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, from its request's head to its end. Nothing may escape: nobody waits for this task."""
        client = Streams(reader, writer)
        self._open += 1
        try:
            await self._answer(client)
        except (OSError, EOFError, TimeoutError, asyncio.CancelledError) as error:  # cancelled: its lease has ended
            log.debug("proxy.broken", reason=type(error).__name__)
        finally:
            self._open -= 1
            client.close()

    async def _answer(self, client: Streams) -> None:
        try:
            async with asyncio.timeout(self._limits.head_seconds):
                head = await read_head(client.reader)
        except BadHead as error:
            return await _deny(client, HTTPStatus.BAD_REQUEST, str(error))
        lease = self._lease_of(head)
        if lease is None:
            return await _deny(client, HTTPStatus.PROXY_AUTHENTICATION_REQUIRED, "A password is needed.")
        if self._open > self._limits.connections:
            return await _deny(client, HTTPStatus.SERVICE_UNAVAILABLE, "Too many connections are open.")
        task = asyncio.current_task()
        assert task is not None
        lease.connections.add(task)
        try:
            await self._pass_on(client, head, lease)
        finally:
            lease.connections.discard(task)
        return None

    async def _pass_on(self, client: Streams, head: Head, lease: Lease) -> None:
        try:
            url = _target(head)
            onward, by_proxy = await self._connect_in_time(url, lease, tunnel=head.method == "CONNECT")
        except FetchRefused as error:
            lease.note(error)
            return await _deny(client, HTTPStatus.FORBIDDEN, error.message)
        except FetchFailed as error:
            lease.note(error)
            return await _deny(client, HTTPStatus.BAD_GATEWAY, error.message)
        except BadHead as error:
            return await _deny(client, HTTPStatus.BAD_REQUEST, str(error))
        lease.note(None)
        try:
            async with asyncio.timeout(self._limits.idle_seconds) as clock:
                if head.method == "CONNECT":
                    client.writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                else:
                    onward.writer.write(head.forwarded(url, by_proxy))
                idle = _Idle(clock, self._limits.idle_seconds)
                await _splice(client, onward, lease, idle, tunnel=head.method == "CONNECT")
        except BadHead:
            await _deny(client, HTTPStatus.BAD_GATEWAY, f"{url.host} does not answer with HTTP.")
        finally:
            onward.close()
        return None

    async def _connect_in_time(self, url: URL, lease: Lease, *, tunnel: bool) -> tuple[Streams, URL | None]:
        """`_connect`, with the look-up of names bounded too; a host may have several addresses to try."""
        try:
            async with asyncio.timeout(3 * self._limits.connect_seconds):
                return await self._connect(url, lease, tunnel=tunnel)
        except TimeoutError as error:
            raise FetchFailed(f"{url.host} does not answer.", retryable=True) from error

    async def _connect(self, url: URL, lease: Lease, *, tunnel: bool) -> tuple[Streams, URL | None]:
        """A connection to a checked address, or to the operator's proxy; that one is told when a tunnel is wanted."""
        trusted = f"{url.host}:{url.port}" in lease.trusted
        if trusted:
            proxy = self._guard.forward_proxy(url)
        else:
            url = self._guard.check_url(str(url))
            proxy = await self._guard.proxy_for(url)
        if proxy is None:
            names = self._guard.lookup if trusted else CheckedResolver(self._guard)
            return await dial(url, names, self._limits.connect_seconds), None
        by = URL(proxy)
        try:
            onward = await dial(by, self._guard.lookup, self._limits.connect_seconds)
        except FetchFailed as error:
            log.warning("proxy.forward_proxy_failed", proxy=by.host, reason=error.message)
            raise FetchFailed(f"{url.host} cannot be reached through the forward proxy.", retryable=True) from error
        if tunnel:
            await self._ask_for_tunnel(onward, url, by)
        return onward, by

    async def _ask_for_tunnel(self, onward: Streams, url: URL, by: URL) -> None:
        place = f"{url.host_subcomponent}:{url.port}"
        lines = [f"CONNECT {place} HTTP/1.1", f"Host: {place}", *proxy_authorization(by), "", ""]
        onward.writer.write("\r\n".join(lines).encode())
        try:
            async with asyncio.timeout(self._limits.connect_seconds):
                answer = await read_head(onward.reader)
        except (BadHead, OSError, EOFError, TimeoutError) as error:
            onward.close()
            raise FetchFailed(f"The forward proxy does not lead to {url.host}.", retryable=True) from error
        if not answer.status.startswith("2"):
            onward.close()
            raise FetchFailed(f"The forward proxy answers {answer.status} for {url.host}.", retryable=True)

    def _lease_of(self, head: Head) -> Lease | None:
        kind, _, coded = head.value("proxy-authorization").partition(" ")
        try:
            name, _, password = b64decode(coded, validate=True).decode().partition(":")
        except (NotBase64, UnicodeDecodeError):
            return None
        lease = self._leases.get(name)
        known = lease is not None and hmac.compare_digest(password.encode(), lease.password.encode())
        return lease if known and kind.lower() == "basic" else None


class _Idle:
    """Moves a timeout on whenever bytes flow."""

    def __init__(self, clock: asyncio.Timeout, seconds: float) -> None:
        self._clock = clock
        self._seconds = seconds
        self._now = asyncio.get_running_loop().time

    def flows(self) -> None:
        self._clock.reschedule(self._now() + self._seconds)


def _target(head: Head) -> URL:
    """Where a request wants to go. Raises BadHead, FetchRefused."""
    try:
        if head.method == "CONNECT":
            url = URL(f"https://{head.target}")
            plain = url.host is not None and url.raw_path == "/" and not url.query_string and url.raw_user is None
            if not plain or url.explicit_port is None:
                raise BadHead("CONNECT takes a host and a port.")
            return url
        url = URL(head.target, encoded=True)
        if url.scheme != "http":
            raise FetchRefused("Only http URLs are passed on without CONNECT.")
        if not url.host or not url.port:
            raise BadHead("The target names no host.")
    except ValueError as error:
        raise BadHead("The target is no URL.") from error
    return url


async def _answer_head(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    """The head of the final answer, which ends the connection; interim answers (1xx) are written at once."""
    while True:
        answer = await read_head(reader)
        if not answer.status.startswith("1") or answer.status == "101":
            return answer.answered()
        writer.write(answer.interim())


async def _splice(client: Streams, onward: Streams, lease: Lease, idle: _Idle, *, tunnel: bool) -> None:
    """Copy both ways until the far side ends; the near side may end its half before. Raises BadHead."""

    def count(size: int) -> None:
        lease.received += size

    up = asyncio.create_task(_copy(client.reader, onward.writer, idle, lambda _: None))
    try:
        if not tunnel:
            client.writer.write(await _answer_head(onward.reader, client.writer))
        await _copy(onward.reader, client.writer, idle, count)
    finally:
        up.cancel()
        with suppress(asyncio.CancelledError, OSError):
            await up


async def _copy(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, idle: _Idle, count: Callable[[int], None]
) -> None:
    while data := await reader.read(BUFFER_BYTES):
        count(len(data))
        idle.flows()
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()


async def _deny(client: Streams, status: HTTPStatus, sentence: str) -> None:
    """Answer with a status and a sentence, and take no more."""
    body = sentence.encode()
    lines = [
        f"HTTP/1.1 {status.value} {status.phrase}",
        *(["Proxy-Authenticate: Basic"] if status is HTTPStatus.PROXY_AUTHENTICATION_REQUIRED else []),
        "Content-Type: text/plain; charset=utf-8",
        f"Content-Length: {len(body)}",
        "Connection: close",
    ]
    client.writer.write("\r\n".join([*lines, "", ""]).encode() + body)
    await client.writer.drain()
