"""Webhooks under the outbound policy."""

import pytest

from comfyserve.core.errors import FetchFailed, FetchRefused
from comfyserve.fetch.guard import Guard
from comfyserve.fetch.sender import HttpSender
from tests.fetch.origin import Origin


async def test_it_posts_and_tells_the_status_without_following(origin: Origin) -> None:
    sender = HttpSender(Guard("on"), connect_seconds=1, answer_seconds=0.3)
    assert await sender.post(f"{origin.url}/hook/204", b'{"a": 1}', {"X-Signature": "s"}) == 204
    assert await sender.post(f"{origin.url}/hook/307", b"{}", {}) == 307
    assert origin.bodies == [b'{"a": 1}', b"{}"]
    with pytest.raises(FetchFailed, match=r"127\.0\.0\.1"):
        await sender.post(f"{origin.url}/hang", b"{}", {})
    await sender.close()


async def test_it_refuses_the_inside(origin: Origin) -> None:
    sender = HttpSender(Guard())
    for host in ("localhost", "127.0.0.1"):
        with pytest.raises(FetchRefused):
            await sender.post(f"http://{host}:{origin.port}/hook/200", b"{}", {})
    assert origin.bodies == []
    await sender.close()
