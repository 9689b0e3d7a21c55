"""Every Sender adapter keeps the promises of the port."""

from collections.abc import AsyncIterator

import pytest

from comfyserve.core.errors import FetchRefused
from comfyserve.fetch.guard import Guard
from comfyserve.fetch.sender import HttpSender
from comfyserve.ports import Sender
from tests.fetch.origin import Origin
from tests.ports.sender_suite import SenderSuite


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
            await sender.post(f"http://{host}:{origin.port}/hook/200", b"{}", {})
    assert origin.bodies == []
    await sender.close()
