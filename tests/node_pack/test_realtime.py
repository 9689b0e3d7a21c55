"""Pictures over the realtime socket: a real embedded engine, and real websocket clients."""

import base64
import io
import json
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import numpy as np
import pytest
from PIL import Image

from comfyserve.embedded.files.folders import Folders
from tests.embedded.conftest import WAIT_SECONDS, Seat
from tests.embedded.packs.conftest import serving, untouched_imports

__all__ = ["untouched_imports"]

PATH = "/comfyui-deploy/ws"
HEAD = 32
RED, GREEN = (255, 0, 0), (0, 255, 0)


@pytest.fixture
async def seat(folders: Folders) -> AsyncIterator[Seat]:
    async with serving(folders) as running:
        yield running


class Client:
    """A client of the realtime socket."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket

    async def send(self, name: bytes, content: bytes, number: int = 2) -> None:
        """A frame, and the word that it came."""
        await self.socket.send_bytes(struct.pack("<II", 0, number) + name + content)
        event, data = await self.told()
        assert (event, data["input_id"]) == ("received", name.strip(b"\0 ").decode())

    async def told(self) -> tuple[str, Any]:
        message = await self.socket.receive_json(timeout=WAIT_SECONDS)
        return message["event"], message["data"]

    async def picture(self) -> tuple[str, int, Image.Image]:
        """Output id, format and picture of the next frame."""
        frame = await self.socket.receive_bytes(timeout=WAIT_SECONDS)
        kind, number, name = struct.unpack(">II24s", frame[:HEAD])
        assert kind == 1
        assert name.endswith(b"\0")
        return name.rstrip(b"\0").decode(), number, Image.open(io.BytesIO(frame[HEAD:]))


@asynccontextmanager
async def connected(seat: Seat, client_id: str, path: str = PATH) -> AsyncIterator[Client]:
    async with seat.session.ws_connect(f"{seat.url}{path}?clientId={client_id}") as socket:
        client = Client(socket)
        assert await client.told() == ("status", {"sid": client_id})
        yield client


def padded(name: str, filling: bytes = b"\0") -> bytes:
    return name.encode().ljust(24, filling)


def file_of(colour: tuple[int, ...], kind: str = "PNG", size: tuple[int, int] = (6, 4)) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, kind)
    return file.getvalue()


def graph(client_id: str = "", input_id: str = "cam", **output: Any) -> dict[str, Any]:
    sending = {"output_id": "out", "file_type": "PNG", "quality": 80, "client_id": client_id} | output
    return {
        "1": {
            "class_type": "ComfyDeployWebscoketImageInput",
            "inputs": {"input_id": input_id, "seed": 0, "client_id": client_id},
        },
        "2": {"class_type": "ImageInvert", "inputs": {"image": ["1", 0]}},
        "3": {"class_type": "ComfyDeployWebscoketImageOutput", "inputs": {"images": ["2", 0], **sending}},
    }


def failure(record: Any) -> str:
    return str(dict(record["status"]["messages"])["execution_error"]["exception_message"])


@pytest.mark.parametrize("filling", [b"\0", b" "])
@pytest.mark.parametrize("path", [PATH, f"/api{PATH}"])
async def test_a_picture_goes_in_and_comes_out_inverted(seat: Seat, path: str, filling: bytes) -> None:
    async with connected(seat, "a", path) as client:
        await client.send(padded("cam", filling), file_of(RED))
        _, record = await seat.run(graph("a"))
        assert record["status"]["status_str"] == "success"
        name, number, picture = await client.picture()
        assert (name, number, picture.format, picture.size) == ("out", 2, "PNG", (6, 4))
        assert picture.getpixel((0, 0)) == (0, 255, 255)


@pytest.mark.parametrize(("kind", "number"), [("JPEG", 1), ("PNG", 2), ("WEBP", 3)])
async def test_every_format_goes_both_ways(seat: Seat, kind: str, number: int) -> None:
    async with connected(seat, "a") as client:
        await client.send(padded("cam"), file_of(RED, kind), number)
        await seat.run(graph("a", file_type=kind))
        _, told, picture = await client.picture()
        assert (told, picture.format) == (number, kind)
        np.testing.assert_allclose(np.asarray(picture)[0, 0], (0, 255, 255), atol=8)


async def test_two_clients_do_not_mix(seat: Seat) -> None:
    async with connected(seat, "a") as one, connected(seat, "b") as other:
        await one.send(padded("cam"), file_of(RED))
        await other.send(padded("cam"), file_of(GREEN))
        for client_id in ("a", "b"):
            await seat.run(graph(client_id))
        assert (await one.picture())[2].getpixel((0, 0)) == (0, 255, 255)
        assert (await other.picture())[2].getpixel((0, 0)) == (255, 0, 255)
        await seat.run(graph("a", output_id="again"))
        await seat.run(graph("b", output_id="again"))
        assert [(await client.picture())[0] for client in (one, other)] == ["again", "again"]


async def test_without_a_client_the_newest_picture_goes_to_all(seat: Seat) -> None:
    async with connected(seat, "a") as one, connected(seat, "b") as other:
        await one.send(padded("cam"), file_of(RED))
        await other.send(padded("cam"), file_of(GREEN))
        await seat.run(graph())
        for client in (one, other):
            assert (await client.picture())[2].getpixel((0, 0)) == (255, 0, 255)


async def test_the_graph_follows_what_was_received(seat: Seat) -> None:
    async with connected(seat, "a") as client:
        await client.send(padded("cam"), file_of(RED))
        seen = []
        for colour, nodes in ((None, {"1", "2", "3"}), (None, {"3"}), (GREEN, {"1", "2", "3"})):
            if colour:
                await client.send(padded("cam"), file_of(colour))
            events, _ = await seat.run(graph("a"))
            seen.append((await client.picture())[2].getpixel((0, 0)))
            assert {data["node"] for kind, data in events if kind == "executing" and data["node"]} == nodes
        assert seen == [(0, 255, 255), (0, 255, 255), (255, 0, 255)]


async def test_a_picture_may_come_as_a_data_uri(seat: Seat) -> None:
    uri = "data:image/png;base64," + base64.b64encode(file_of(GREEN)).decode()
    async with connected(seat, "a") as client:
        await client.socket.send_json({"event": "input", "inputs": {"cam": uri}})
        assert await client.told() == ("received", {"input_id": "cam"})
        await seat.run(graph("a"))
        assert (await client.picture())[2].getpixel((0, 0)) == (255, 0, 255)


async def test_what_was_sent_is_forgotten_with_the_connection(seat: Seat) -> None:
    async with connected(seat, "a") as client:
        await client.send(padded("cam"), file_of(RED))
        async with connected(seat, "a") as newer:
            assert (await client.socket.receive(timeout=WAIT_SECONDS)).type is aiohttp.WSMsgType.CLOSE
            _, record = await seat.run(graph("a"))
            assert "'cam' is fed by a realtime session" in failure(record)
            await newer.send(padded("cam"), file_of(GREEN))
            await seat.run(graph("a"))
            assert (await newer.picture())[2].getpixel((0, 0)) == (255, 0, 255)


async def test_without_a_picture_the_default_counts(seat: Seat) -> None:
    wanted = graph("a")
    wanted["0"] = {"class_type": "EmptyImage", "inputs": {"width": 4, "height": 4, "batch_size": 1, "color": 0xFF0000}}
    wanted["1"]["inputs"]["default_value"] = ["0", 0]
    async with connected(seat, "a") as client:
        await seat.run(wanted)
        assert (await client.picture())[2].getpixel((0, 0)) == (0, 255, 255)


async def test_without_a_client_there_are_previews(seat: Seat) -> None:
    wanted = graph("nobody")
    wanted["1"] = {"class_type": "EmptyImage", "inputs": {"width": 4, "height": 4, "batch_size": 2, "color": 0}}
    _, record = await seat.run(wanted)
    assert [item["type"] for item in record["outputs"]["3"]["images"]] == ["temp", "temp"]


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"\0" * HEAD,
        struct.pack(">II", 0, 2) + padded("cam") + b"x",
        struct.pack("<II", 7, 2) + padded("cam") + b"x",
        struct.pack("<II", 0, 9) + padded("cam") + b"x",
        struct.pack("<II", 0, 2) + "ä".encode() * 12 + b"x",
        "no JSON",
        "[" * 100_000,
        "[]",
        '{"event": "queue_prompt"}',
        '{"event": "input", "inputs": []}',
        '{"event": "input", "inputs": {"prompt": "a cat"}}',
        '{"event": "input", "inputs": {"cam": "data:image/png;base64,?"}}',
        '{"event": "input", "inputs": {"an id that is longer than a frame": "data:image/png;base64,AA=="}}',
    ],
)
async def test_a_bad_message_is_answered_and_breaks_nothing(seat: Seat, frame: bytes | str) -> None:
    async with connected(seat, "a") as client:
        await (client.socket.send_str(frame) if isinstance(frame, str) else client.socket.send_bytes(frame))
        event, data = await client.told()
        assert event == "error"
        assert data["message"]
        await client.send(padded("cam"), file_of(RED))
        await seat.run(graph("a"))
        assert (await client.picture())[0] == "out"


@pytest.mark.parametrize("content", [b"no picture", file_of(RED)[:40], file_of(RED, "GIF")])
async def test_a_bad_picture_fails_its_own_run_only(seat: Seat, content: bytes) -> None:
    async with connected(seat, "a") as client:
        await client.send(padded("cam"), content)
        _, record = await seat.run(graph("a"))
        assert "'cam'" in failure(record)
        await client.send(padded("cam"), file_of(RED))
        assert (await seat.run(graph("a")))[1]["status"]["status_str"] == "success"


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
async def test_a_bomb_is_refused_before_it_is_decoded(seat: Seat) -> None:
    width = height = 12_000  # 2.3 GB as float32, from a file of some 100 kB
    file = io.BytesIO()
    Image.new("1", (width, height)).save(file, "PNG")
    async with connected(seat, "a") as client:
        await client.send(padded("cam"), file.getvalue())
        _, record = await seat.run(graph("a"))
        assert "at most" in failure(record)


async def test_a_huge_frame_ends_that_connection_only(seat: Seat, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMFYSERVE_NODES_SOCKET_MB", "1")
    async with connected(seat, "a") as client, connected(seat, "b") as other:
        await client.socket.send_bytes(bytes(2 * 1024 * 1024))
        ended = await client.socket.receive(timeout=WAIT_SECONDS)
        assert (ended.type, ended.data) == (aiohttp.WSMsgType.CLOSE, aiohttp.WSCloseCode.MESSAGE_TOO_BIG)
        await other.send(padded("cam"), file_of(RED))


async def test_connections_are_counted(seat: Seat, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMFYSERVE_NODES_SOCKETS", "1")
    async with connected(seat, "a"):
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await seat.session.ws_connect(f"{seat.url}{PATH}?clientId=b")
        assert refused.value.status == 503
    status, text = await seat.call("GET", f"{PATH}?clientId={'x' * 201}")
    assert (status, text) == (400, b"clientId may have at most 200 characters.")
    assert (await seat.call("GET", PATH))[0] == 400


async def test_a_page_of_another_origin_is_refused(seat: Seat) -> None:
    for path in (PATH, f"/api{PATH}"):
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await seat.session.ws_connect(f"{seat.url}{path}", origin="http://evil.example")
        assert refused.value.status == 403
        async with seat.session.ws_connect(f"{seat.url}{path}", origin=seat.url) as socket:
            assert json.loads(await socket.receive_str(timeout=WAIT_SECONDS))["data"]["sid"]
