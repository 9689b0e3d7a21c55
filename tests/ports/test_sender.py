"""Every Sender adapter keeps the promises of the port."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from comfyserve.core.errors import FetchRefused
from comfyserve.fetch.guard import Guard
from comfyserve.fetch.sender import HttpSender
from comfyserve.ports import Sender
from tests.fetch.origin import Origin
from tests.ports.sender_suite import BIG, SenderSuite, post

PAUSE = 0.04


@pytest.fixture
async def origin() -> AsyncIterator[Origin]:
    """A receiver on loopback."""
    made = Origin()
    await made.start()
    yield made
    await made.stop()


class TestHttp(SenderSuite):
    @pytest.fixture
    async def sender(self) -> AsyncIterator[Sender]:
        made = HttpSender(Guard("127.0.0.0/8"), connect_seconds=1, answer_seconds=0.3)
        yield made
        await made.close()


async def test_without_leave_even_loopback_is_refused(origin: Origin) -> None:
    sender = HttpSender(Guard())
    for host in ("localhost", "127.0.0.1"):
        with pytest.raises(FetchRefused):
            await post(sender, f"http://{host}:{origin.port}/hook/200")
    assert origin.bodies == []
    await sender.close()


async def test_a_slow_receiver_has_time_as_long_as_it_takes_something() -> None:
    """All in all longer than it may owe the answer."""

    async def sip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        while sum(sips) < len(body):
            sips.append(len(await reader.read(500_000)))
            await asyncio.sleep(PAUSE)
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        writer.close()

    sips: list[int] = []
    body = BIG * 8
    server = await asyncio.start_server(sip, "127.0.0.1", 0, limit=500_000)
    sender = HttpSender(Guard("127.0.0.0/8"), connect_seconds=0.1, answer_seconds=1.0)
    assert await post(sender, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook", body) == 204
    assert len(sips) * PAUSE > 1.1
    await sender.close()
    server.close()
