"""What every Sender adapter must do. A test class inherits this and brings `sender` and `origin` fixtures."""

import pytest

from comfyserve.core.errors import FetchFailed, FetchRefused
from comfyserve.ports import Sender
from tests.fetch.origin import Origin


class SenderSuite:
    """The promises of the port; the sender may reach 127.0.0.0/8 and waits less than a second for an answer."""

    async def test_it_posts_the_bytes_and_tells_the_status(self, sender: Sender, origin: Origin) -> None:
        assert await sender.post(f"{origin.url}/hook/204", b'{"a": 1}', {"X-Signature": "s"}) == 204
        assert await sender.post(f"{origin.url}/hook/500", b"{}", {}) == 500
        assert origin.bodies == [b'{"a": 1}', b"{}"]

    async def test_it_does_not_follow(self, sender: Sender, origin: Origin) -> None:
        assert await sender.post(f"{origin.url}/hook/307", b"{}", {}) == 307
        assert origin.bodies == [b"{}"]

    async def test_a_silent_receiver_fails_in_time(self, sender: Sender, origin: Origin) -> None:
        with pytest.raises(FetchFailed, match=r"127\.0\.0\.1") as caught:
            await sender.post(f"{origin.url}/hang", b"{}", {})
        assert caught.value.retryable

    async def test_a_receiver_that_is_not_there_fails(self, sender: Sender) -> None:
        with pytest.raises(FetchFailed):
            await sender.post("http://127.0.0.1:9/hook", b"{}", {})

    @pytest.mark.parametrize("host", ["10.0.0.1", "169.254.169.254", "[::1]", "192.168.1.1"])
    async def test_it_refuses_the_inside(self, sender: Sender, host: str) -> None:
        with pytest.raises(FetchRefused):
            await sender.post(f"http://{host}/hook", b"{}", {})
