"""What every Sender adapter must do. A test class inherits this and brings `sender` and `origin` fixtures."""

import asyncio
from collections.abc import AsyncIterator, Mapping

import pytest

from comfyserve.core.errors import FetchFailed, FetchRefused, StorageFailed
from comfyserve.ports import Sender
from tests.fetch.origin import Origin

BIG = bytes(range(256)) * 16_384
"""4 MiB: more than the sockets between the two take."""


async def pieces(body: bytes, size: int = 1_000_000) -> AsyncIterator[bytes]:
    """A body as it is read from somewhere."""
    for start in range(0, len(body), size):
        yield body[start : start + size]


async def broken() -> AsyncIterator[bytes]:
    """A body whose source fails in the middle."""
    yield b"x" * 1_000
    raise StorageFailed("The disk is gone.")


async def post(sender: Sender, url: str, body: bytes = b"{}", headers: Mapping[str, str] | None = None) -> int:
    """Post a body that is at hand."""
    return await sender.post(url, pieces(body), headers or {}, length=len(body))


class SenderSuite:
    """The promises of the port; the sender may reach 127.0.0.0/8 and waits less than a second for an answer."""

    async def test_it_posts_the_bytes_and_tells_the_status(self, sender: Sender, origin: Origin) -> None:
        assert await post(sender, f"{origin.url}/hook/204", b'{"a": 1}', {"X-Signature": "s"}) == 204
        assert await post(sender, f"{origin.url}/hook/500") == 500
        assert origin.bodies == [b'{"a": 1}', b"{}"]
        assert [headers["Content-Length"] for headers in origin.headers] == ["8", "2"]
        assert origin.headers[0]["X-Signature"] == "s"

    async def test_a_large_body_is_streamed_with_its_length(self, sender: Sender, origin: Origin) -> None:
        assert await post(sender, f"{origin.url}/hook/200", BIG) == 200
        assert origin.bodies == [BIG]
        assert origin.headers[0]["Content-Length"] == str(len(BIG))
        assert "Transfer-Encoding" not in origin.headers[0]

    async def test_a_body_whose_source_fails_is_not_the_receivers_fault(self, sender: Sender, origin: Origin) -> None:
        with pytest.raises(StorageFailed):
            await sender.post(f"{origin.url}/hook/200", broken(), {}, length=2_000)
        assert origin.bodies == []

    async def test_a_receiver_that_takes_nothing_fails_in_time(self, sender: Sender) -> None:
        async def ignore(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await gone.wait()
            writer.close()

        gone = asyncio.Event()
        server = await asyncio.start_server(ignore, "127.0.0.1", 0, limit=1_000)
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(FetchFailed):
            await post(sender, f"http://127.0.0.1:{port}/hook", BIG * 4)
        gone.set()
        server.close()

    @pytest.mark.parametrize("answer", [b"", b"SSH-2.0-OpenSSH\r\n", b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000])
    async def test_a_receiver_that_speaks_nonsense_fails(self, sender: Sender, answer: bytes) -> None:
        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"{}")
            writer.write(answer)
            writer.close()

        server = await asyncio.start_server(talk, "127.0.0.1", 0)
        with pytest.raises(FetchFailed) as caught:
            await post(sender, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook")
        assert caught.value.retryable
        server.close()

    async def test_an_answer_without_end_is_not_read(self, sender: Sender, origin: Origin) -> None:
        assert await post(sender, f"{origin.url}/endless") == 200

    async def test_it_does_not_follow(self, sender: Sender, origin: Origin) -> None:
        assert await post(sender, f"{origin.url}/hook/307") == 307
        assert origin.bodies == [b"{}"]

    async def test_a_silent_receiver_fails_in_time(self, sender: Sender, origin: Origin) -> None:
        with pytest.raises(FetchFailed, match=r"127\.0\.0\.1") as caught:
            await post(sender, f"{origin.url}/hang")
        assert caught.value.retryable

    async def test_a_receiver_that_is_not_there_fails(self, sender: Sender) -> None:
        with pytest.raises(FetchFailed):
            await post(sender, "http://127.0.0.1:9/hook")

    @pytest.mark.parametrize("host", ["10.0.0.1", "169.254.169.254", "[::1]", "192.168.1.1"])
    async def test_it_refuses_the_inside(self, sender: Sender, host: str) -> None:
        with pytest.raises(FetchRefused):
            await post(sender, f"http://{host}/hook")
