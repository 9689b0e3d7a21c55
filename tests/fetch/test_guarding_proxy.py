"""The proxy on loopback: what it passes on, what it refuses, and to whom."""

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator
from dataclasses import replace

import aiohttp
import pytest

from comfyserve.core.errors import FetchFailed
from comfyserve.fetch.guard import Guard
from comfyserve.fetch.proxy import GuardingProxy, Lease, ProxyLimits
from tests.fetch.forward_proxy import lookup_here
from tests.fetch.hostile import INSIDE, METADATA, NAMES_OF_LOOPBACK, REFUSED_URLS
from tests.fetch.origin import PNG, Origin

LIMITS = ProxyLimits(connections=4, head_seconds=0.5, connect_seconds=2, idle_seconds=0.5)
OPEN = Guard("127.0.0.0/8, localhost")


@pytest.fixture
async def proxy() -> AsyncIterator[GuardingProxy]:
    """A proxy that may lead to loopback."""
    made = GuardingProxy(OPEN, LIMITS)
    yield made
    await made.close()


@pytest.fixture
async def strict() -> AsyncIterator[GuardingProxy]:
    """A proxy under the policy as it comes."""
    made = GuardingProxy(Guard(), LIMITS)
    yield made
    await made.close()


def opened(lease: Lease) -> str:
    """The header that opens a lease."""
    return f"Proxy-Authorization: Basic {b64encode(f'{lease.name}:{lease.password}'.encode()).decode()}"


async def ask(lease: Lease, *lines: str, more: bytes = b"") -> bytes:
    """Send these lines as a request's head; all that comes back until the end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", lease.port)
    writer.write("\r\n".join([*lines, "", ""]).encode() + more)
    try:
        async with asyncio.timeout(10):
            return await reader.read(-1)
    finally:
        writer.close()


async def connect(lease: Lease, place: str) -> bytes:
    """What CONNECT answers."""
    return await ask(lease, f"CONNECT {place} HTTP/1.1", f"Host: {place}", opened(lease))


async def get(lease: Lease, url: str) -> bytes:
    """What GET of an absolute URL answers."""
    return await ask(lease, f"GET {url} HTTP/1.1", opened(lease))


async def test_plain_http_is_passed_on(proxy: GuardingProxy, origin: Origin) -> None:
    async with proxy.lease() as lease, aiohttp.ClientSession() as session:
        for _ in range(2):
            async with session.get(f"{origin.url}/a.png?x=%7E", proxy=lease.url) as response:
                assert await response.read() == PNG
        async with session.post(f"{origin.url}/hook/201", data=b"x" * 300_000, proxy=lease.url) as response:
            assert response.status == 201
    assert origin.asked["a.png"] == 2
    assert origin.bodies == [b"x" * 300_000]
    assert lease.received >= 2 * len(PNG)


async def test_a_body_waits_for_the_go_ahead(proxy: GuardingProxy, origin: Origin) -> None:
    url = f"{origin.url}/hook/200"
    async with proxy.lease() as lease:
        said = await ask(
            lease, f"POST {url} HTTP/1.1", "Expect: 100-continue", "Content-Length: 4", opened(lease), more=b"late"
        )
    assert said.startswith(b"HTTP/1.1 100 ")
    assert b"HTTP/1.1 200 " in said
    assert origin.bodies == [b"late"]


async def test_tunnels_are_made(proxy: GuardingProxy, origin: Origin) -> None:
    async with proxy.lease() as lease:
        place = f"localhost:{origin.port}"
        reader, writer = await asyncio.open_connection("127.0.0.1", lease.port)
        writer.write(f"CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n{opened(lease)}\r\n\r\n".encode())
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
        for _ in range(2):
            writer.write(f"GET /a.png HTTP/1.1\r\nHost: {place}\r\n\r\n".encode())
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
            assert await reader.readexactly(len(PNG)) == PNG
        writer.close()


async def test_the_far_side_never_sees_the_password_and_the_connection_ends(proxy: GuardingProxy) -> None:
    seen: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok")

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, proxy.lease() as lease:
        url = f"http://127.0.0.1:{port}/a/../b%2Fc?d"
        answer = await ask(lease, f"GET {url} HTTP/1.1", "Connection: x-hop", "X-Hop: 1", "X-End: 2", opened(lease))
    assert b"Connection: close\r\n" in answer
    assert b"keep-alive" not in answer
    assert seen[0].startswith(f"GET /a/../b%2Fc?d HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n".encode())
    assert b"X-End: 2" in seen[0]
    assert b"Proxy" not in seen[0]
    assert b"X-Hop" not in seen[0]


async def test_nobody_uses_it_without_the_password(proxy: GuardingProxy, origin: Origin) -> None:
    async with proxy.lease() as lease, proxy.lease() as other:
        place = f"127.0.0.1:{origin.port}"
        wrong = [
            "X: y",
            "Proxy-Authorization: Basic ???",
            opened(replace(lease, password="guess")),
            opened(replace(lease, name="guess")),
            opened(replace(lease, password=other.password)),
            opened(lease).replace("Basic", "Bearer"),
        ]
        for line in wrong:
            assert b" 407 " in await ask(lease, f"CONNECT {place} HTTP/1.1", line)
            assert b" 407 " in await ask(lease, f"GET {origin.url}/a.png HTTP/1.1", line)
    assert b" 407 " in await ask(lease, f"GET {origin.url}/a.png HTTP/1.1", opened(lease))
    assert not origin.asked


@pytest.mark.parametrize("address", INSIDE + METADATA)
async def test_inside_is_refused(strict: GuardingProxy, address: str) -> None:
    host = f"[{address}]" if ":" in address else address
    for answer in (connect, get):
        async with strict.lease() as lease:
            said = await answer(lease, f"{host}:80" if answer is connect else f"http://{host}/")
            assert said.startswith((b"HTTP/1.1 403 ", b"HTTP/1.1 400 "))
            assert lease.refused is not None or b" 400 " in said


async def test_names_of_this_machine_are_refused(strict: GuardingProxy, origin: Origin) -> None:
    for host in NAMES_OF_LOOPBACK:
        async with strict.lease() as lease:
            said = await connect(lease, f"{host}:{origin.port}")
            assert b" 403 " in said
            assert lease.refused is not None
            assert lease.refused.message.encode() in said
    assert not origin.asked


@pytest.mark.parametrize("url", [url for url in REFUSED_URLS if url.isascii() and "x" * 9 not in url and url])
async def test_urls_that_are_refused(strict: GuardingProxy, url: str) -> None:
    async with strict.lease() as lease:
        assert (await get(lease, url)).startswith((b"HTTP/1.1 403 ", b"HTTP/1.1 400 "))


async def test_what_the_operator_configured_is_trusted_by_name_and_port(strict: GuardingProxy, origin: Origin) -> None:
    async with strict.lease(trusted=[f"LOCALHOST:{origin.port}"]) as lease:
        assert (await get(lease, f"http://localhost:{origin.port}/a.png")).endswith(PNG)
        assert b" 403 " in await get(lease, f"http://127.0.0.1:{origin.port}/a.png")
        assert b" 403 " in await get(lease, f"http://localhost:{origin.port + 1}/a.png")


async def test_a_refusal_stays_and_a_failure_goes(proxy: GuardingProxy, origin: Origin) -> None:
    async with proxy.lease() as lease:
        assert b" 502 " in await connect(lease, "no-such-host.invalid:443")
        assert isinstance(lease.trouble, FetchFailed)
        await get(lease, f"{origin.url}/a.png")
        assert lease.trouble is None
        assert b" 403 " in await connect(lease, "10.0.0.1:443")
        await get(lease, f"{origin.url}/a.png")
        assert lease.refused is not None


@pytest.mark.parametrize("password", ["", "us%40er:p%3Aw@"])
async def test_forward_proxies_are_used_after_the_check(origin: Origin, password: str) -> None:
    outer = GuardingProxy(Guard("on", lookup=lookup_here()), LIMITS)
    async with outer.lease() as onward:
        address = onward.url if not password else onward.url.replace(f"{onward.name}:{onward.password}@", password)
        proxies = {"http": address, "https": address, "no": "1.1.1.1"}
        inner = GuardingProxy(Guard("origin.test", proxies=proxies, lookup=lookup_here()), LIMITS)
        async with inner.lease() as lease:
            place = f"origin.test:{origin.port}"
            said = await get(lease, f"http://{place}/a.png")
            tunnel = await ask(
                lease, f"CONNECT {place} HTTP/1.1", opened(lease), more=b"GET /b.png HTTP/1.0\r\nHost: x\r\n\r\n"
            )
            assert b" 403 " in await get(lease, f"http://127.0.0.1:{origin.port}/c.png")
        if password:
            assert b" 407 " in said
            assert b" 502 " in tunnel
        else:
            assert said.endswith(PNG)
            assert tunnel.endswith(PNG)
            assert onward.received > 2 * len(PNG)
        await inner.close()
    await outer.close()
    assert origin.asked["c.png"] == 0


async def test_what_is_no_request_is_turned_away(proxy: GuardingProxy, origin: Origin) -> None:
    url = f"{origin.url}/a.png"
    async with proxy.lease() as lease:
        bad = [
            ["hello"],
            [f"GET {url} HTTP/2.0"],
            [f"GET {url} HTTP/1.1", " folded: x"],
            [f"GET {url} HTTP/1.1", "Na me: x"],
            [f"GET {url} HTTP/1.1", "X: a\rb"],
            [f"GET {url} HTTP/1.1", "Content-Length: 1", "Content-Length: 2"],
            [f"GET {url} HTTP/1.1", "Content-Length: 1", "Transfer-Encoding: chunked"],
            [f"GET {url} HTTP/1.1", "X: " + "y" * 70_000],
            ["GET / HTTP/1.1"],
            ["CONNECT localhost HTTP/1.1"],
            ["CONNECT localhost:80/path HTTP/1.1"],
            ["CONNECT user@localhost:80 HTTP/1.1"],
        ]
        for lines in bad:
            said = await ask(lease, *lines, opened(lease))
            assert said.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 403 ")), lines
    assert not origin.asked


async def test_silence_ends(proxy: GuardingProxy, origin: Origin) -> None:
    async with proxy.lease() as lease:
        reader, writer = await asyncio.open_connection("127.0.0.1", lease.port)
        writer.write(b"GET http://")
        assert await asyncio.wait_for(reader.read(), 10) == b""
        writer.close()
        assert await asyncio.wait_for(get(lease, f"{origin.url}/hang/"), 10) == b""


async def test_connections_are_counted_and_end_with_the_lease(proxy: GuardingProxy, origin: Origin) -> None:
    async with proxy.lease() as lease:
        tunnels = []
        for _ in range(LIMITS.connections):
            reader, writer = await asyncio.open_connection("127.0.0.1", lease.port)
            writer.write(f"CONNECT localhost:{origin.port} HTTP/1.1\r\n{opened(lease)}\r\n\r\n".encode())
            assert b" 200 " in await reader.readuntil(b"\r\n\r\n")
            tunnels.append((reader, writer))
        assert b" 503 " in await get(lease, f"{origin.url}/a.png")
    for reader, writer in tunnels:
        assert await asyncio.wait_for(reader.read(), 10) == b""
        writer.close()


def test_a_lease_never_shows_its_password() -> None:
    assert "hidden" not in repr(Lease("name", "hidden", 1, frozenset()))
