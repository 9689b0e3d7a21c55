"""What holds for every route: origins, caching, compression, logs and sockets (spec sections 1, 5 and 8)."""

import asyncio
import io
import json
import logging
import os
from pathlib import Path

import aiohttp
import pytest
from yarl import URL

from comfyserve.embedded.files.folders import Folders
from comfyserve.embedded.logs import ENTRY_CHARACTERS, Heard, LogRing
from comfyserve.embedded.settings import ServerSettings
from tests.embedded.conftest import WAIT_SECONDS, Seat, happens, serve
from tests.embedded.sample_nodes import Waits

SHOW = {"1": {"class_type": "Show", "inputs": {"value": "x"}}}
WAITS = {
    "1": {"class_type": "Waits", "inputs": {"value": 1}},
    "2": {"class_type": "Show", "inputs": {"value": ["1", 0]}},
}
STEPS = {
    "1": {"class_type": "Steps", "inputs": {"value": 2}},
    "2": {"class_type": "Show", "inputs": {"value": ["1", 0]}},
}

logger = logging.getLogger("test.manners")


class TestOrigins:
    async def test_pages_of_an_allowed_origin(self, folders: Folders) -> None:
        async with serve(folders, ServerSettings(cors_origin="https://app.example")) as seat:
            for method, path, status in (
                ("OPTIONS", "/prompt", 200),
                ("GET", "/prompt", 200),
                ("GET", "/view", 404),
                ("GET", "/history?max_items=x", 400),
            ):
                headers = {"Origin": "https://app.example"}
                async with seat.session.request(method, seat.url + path, headers=headers) as response:
                    assert response.status == status
                    assert response.headers["Access-Control-Allow-Origin"] == "https://app.example"
                    assert response.headers["Access-Control-Allow-Methods"] == "POST, GET, DELETE, PUT, OPTIONS"
                    assert response.headers["Access-Control-Allow-Headers"] == "Content-Type, Authorization"
                    assert response.headers["Access-Control-Allow-Credentials"] == "true"
            await seat.run(SHOW)

    async def test_pages_of_other_origins_stay_out(self, folders: Folders) -> None:
        body = {"prompt": SHOW}
        async with serve(folders, ServerSettings(cors_origin="https://app.example")) as seat:
            for origin, status in (("https://app.example", 200), ("https://evil.example", 403), ("null", 403)):
                assert (await seat.call("POST", "/prompt", json=body, headers={"Origin": origin}))[0] == status
            rebound = {"Host": "evil.example", "Origin": "http://evil.example"}
            assert (await seat.call("POST", "/prompt", json=body, headers=rebound))[0] == 403
        async with serve(folders, ServerSettings(cors_origin="*")) as seat:
            assert (await seat.call("POST", "/prompt", json=body, headers={"Origin": "https://any.example"}))[0] == 200


class TestCaching:
    @pytest.mark.parametrize(
        ("path", "expected"),
        [
            ("/none.js", "no-cache"),
            ("/none.css", "no-cache"),
            ("/index.fr.json", "no-cache"),
            ("/none.PNG", "public, max-age=3600"),
            ("/none.json", None),
            ("/view?filename=x.png", None),
        ],
    )
    async def test_by_the_path(self, seat: Seat, path: str, expected: str | None) -> None:
        async with seat.session.get(seat.url + path) as response:
            assert response.headers.get("Cache-Control") == expected


class TestCompression:
    @pytest.mark.parametrize("compress", [True, False])
    async def test_only_when_wished(self, folders: Folders, compress: bool) -> None:
        async with serve(folders, ServerSettings(compress=compress)) as seat:
            async with seat.session.get(f"{seat.url}/object_info", headers={"Accept-Encoding": "gzip"}) as response:
                assert response.headers.get("Content-Encoding") == ("gzip" if compress else None)
                assert "Number" in await response.json()
            async with seat.session.get(f"{seat.url}/", headers={"Accept-Encoding": "gzip"}) as response:
                assert "Content-Encoding" not in response.headers


class TestLogs:
    async def test_the_last_lines_are_told(self, seat: Seat) -> None:
        logger.warning("something odd", extra={"node": "7"})
        _, raw = await seat.call("GET", "/internal/logs/raw")
        assert raw["size"].keys() == {"cols", "rows"}
        assert raw["entries"][-1]["m"] == "[WARNING] something odd node=7\n"
        _, text = await seat.call("GET", "/internal/logs")
        assert text.endswith(f"{raw['entries'][-1]['t']} - [WARNING] something odd node=7\n")

    async def test_subscribers_hear_new_lines(self, seat: Seat) -> None:
        wish = {"clientId": "me", "enabled": True}
        assert (await seat.call("PATCH", "/internal/logs/subscribe", json=wish)) == (200, b"")
        logger.warning("heard")
        message = await seat.socket.receive_json(timeout=WAIT_SECONDS)
        assert message["type"] == "logs"
        assert [entry["m"] for entry in message["data"]["entries"]] == ["[WARNING] heard\n"]
        await seat.call("PATCH", "/internal/logs/subscribe", json=wish | {"enabled": False})
        logger.warning("not heard")
        events, _ = await seat.run(SHOW)
        assert "logs" not in [name for name, _ in events]

    def test_the_ring_is_bounded(self) -> None:
        ring = LogRing(2)
        for number in range(3):
            ring.handle(logging.makeLogRecord({"msg": f"{number}" * 2 * ENTRY_CHARACTERS, "levelno": logging.INFO}))
        assert [entry["m"][0] for entry in ring.entries()] == ["1", "2"]
        assert all(len(entry["m"]) == ENTRY_CHARACTERS + 1 for entry in ring.entries())

    def test_what_is_printed_is_kept_by_lines(self) -> None:
        ring, stream = LogRing(), io.StringIO()
        heard = Heard(stream, ring)
        for text in ("one", " two\nthree", "\n\n", "unfinished"):
            heard.write(text)
        assert [entry["m"] for entry in ring.entries()] == ["one two\n", "three\n", "\n"]
        assert stream.getvalue() == "one two\nthree\n\nunfinished"

    async def test_files_are_listed_newest_first(self, seat: Seat, folders: Folders) -> None:
        make_aged(folders.output, "new.png", "old.png", "older.txt")
        (folders.output / "folder").mkdir()
        assert (await seat.call("GET", "/internal/files/output"))[1] == ["new.png", "old.png", "older.txt"]
        assert (await seat.call("GET", "/internal/files/other")) == (400, {"error": "Invalid directory type"})


class TestSockets:
    async def test_the_server_gives_an_id(self, seat: Seat) -> None:
        async with seat.session.ws_connect(f"{seat.url}/api/ws") as socket:
            greeting = await socket.receive_json(timeout=WAIT_SECONDS)
        assert greeting["type"] == "status"
        assert greeting["data"]["status"] == {"exec_info": {"queue_remaining": 0}}
        assert len(greeting["data"]["sid"]) == 32
        int(greeting["data"]["sid"], 16)

    async def test_a_newer_connection_takes_the_id(self, seat: Seat) -> None:
        async with seat.session.ws_connect(f"{seat.url}/ws?clientId=me") as newer:
            await newer.receive_json(timeout=WAIT_SECONDS)
            await seat.queue(SHOW, prompt_id="p")
            names = await names_until_done(newer, "p")
            assert "execution_success" in names
            # The older one heard nothing and its end takes nothing from the newer one.
            await seat.socket.close()
            assert seat.socket.closed
            await seat.queue(STEPS, prompt_id="q")
            assert "execution_success" in await names_until_done(newer, "q")

    async def test_who_comes_back_learns_which_node_runs(self, seat: Seat) -> None:
        Waits.started.clear()
        await seat.queue(WAITS, prompt_id="w")
        await happens(Waits.started)
        async with seat.session.ws_connect(f"{seat.url}/ws?clientId=me") as again:
            first, second = [await again.receive_json(timeout=WAIT_SECONDS) for _ in range(2)]
            assert first["data"] == {"status": {"exec_info": {"queue_remaining": 1}}, "sid": "me"}
            assert second == {"type": "executing", "data": {"node": "1"}}
            await seat.call("POST", "/api/interrupt", json={"prompt_id": "another"})
            await seat.call("POST", "/api/interrupt", json={"prompt_id": "w"})
            assert "execution_interrupted" in await names_until_done(again, "w")

    async def test_silenced_connections_count(self, folders: Folders) -> None:
        async with (
            serve(folders, ServerSettings(sockets=2)) as seat,
            seat.session.ws_connect(f"{seat.url}/ws?clientId=me"),
        ):
            with pytest.raises(aiohttp.WSServerHandshakeError):
                await seat.session.ws_connect(f"{seat.url}/ws?clientId=me")

    async def test_previews_by_the_flags_of_the_prompts_client(self, seat: Seat) -> None:
        async with seat.session.ws_connect(f"{seat.url}/ws?clientId=modern") as modern:
            await modern.send_json({"type": "feature_flags", "data": {"supports_preview_metadata": True}})
            for expected in ("status", "feature_flags"):
                assert (await modern.receive_json(timeout=WAIT_SECONDS))["type"] == expected
            events, _ = await seat.run(STEPS)
            assert {frame_kind(data) for name, data in events if name == "binary"} == {1}
            await seat.queue(
                STEPS | {"1": {"class_type": "Steps", "inputs": {"value": 3}}}, client_id="modern", prompt_id="m"
            )
            assert set(await binary_kinds(modern, "m")) == {4}

    async def test_a_prompt_of_nobody(self, seat: Seat) -> None:
        async with seat.session.ws_connect(f"{seat.url}/ws?clientId=modern") as modern:
            await modern.send_json({"type": "feature_flags", "data": {"supports_preview_metadata": True}})
            for expected in ("status", "feature_flags"):
                assert (await modern.receive_json(timeout=WAIT_SECONDS))["type"] == expected
            await seat.call("POST", "/prompt", json={"prompt": STEPS})
            heard, zero = [], 0
            while not zero:
                frame = await modern.receive(timeout=WAIT_SECONDS)
                if frame.type == aiohttp.WSMsgType.BINARY:
                    heard.append(f"frame {frame_kind(frame.data)}")
                    continue
                message = json.loads(frame.data)
                heard.append(message["type"])
                zero = message["type"] == "status" and message["data"]["status"]["exec_info"]["queue_remaining"] == 0
        assert set(heard) == {"status", "progress_state", "progress", "frame 1"}


def make_aged(folder: Path, *names: str) -> None:
    for age, name in enumerate(names):
        (folder / name).touch()
        os.utime(folder / name, (1_000_000 - age, 1_000_000 - age))


def frame_kind(data: bytes) -> int:
    return int.from_bytes(data[:4], "big")


async def names_until_done(socket: aiohttp.ClientWebSocketResponse, prompt_id: str) -> list[str]:
    names: list[str] = []
    while True:
        frame = await socket.receive(timeout=WAIT_SECONDS)
        if frame.type != aiohttp.WSMsgType.TEXT:
            continue
        message = json.loads(frame.data)
        names.append(message["type"])
        if message["type"] == "executing" and message["data"] == {"node": None, "prompt_id": prompt_id}:
            return names


async def binary_kinds(socket: aiohttp.ClientWebSocketResponse, prompt_id: str) -> list[int]:
    kinds: list[int] = []
    while True:
        frame = await socket.receive(timeout=WAIT_SECONDS)
        if frame.type == aiohttp.WSMsgType.BINARY:
            kinds.append(frame_kind(frame.data))
        elif json.loads(frame.data)["data"] == {"node": None, "prompt_id": prompt_id}:
            return kinds


class TestNoHttp:
    @pytest.mark.parametrize("request_line", [b"GET /queue HTTP/1.1", b"GET http://[/queue HTTP/1.1\r\nHost: x", b"?"])
    async def test_it_is_refused_quietly(
        self, folders: Folders, caplog: pytest.LogCaptureFixture, request_line: bytes
    ) -> None:
        async with serve(folders) as seat:
            reader, writer = await asyncio.open_connection("127.0.0.1", URL(seat.url).port)
            writer.write(request_line + b"\r\n\r\n")
            head = await asyncio.wait_for(reader.readline(), WAIT_SECONDS)
            writer.close()
        assert b" 400 " in head
        assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
