"""The client against a real server that misbehaves as a script says."""

import json
from pathlib import Path

import pytest
from aiohttp import web

from comfyserve.client import ApiError, Client, Event, ServerUnreachable
from tests.client.origin import origin, pieces, plain

STARTED = 'id: 1\nevent: started\ndata: {"seq": 1}\n\n'
OUTPUT = 'id: 2\nevent: output\ndata: {"seq": 2}\n\n'
PROGRESS = 'event: progress\ndata: {"fraction": 0.5}\n\n'
RUN = 'event: run\ndata: {"status": "success"}\n\n'
KEY = "cs_key"


def _files(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


async def test_a_cut_stream_goes_on_after_the_last_event() -> None:
    answers = (
        pieces(STARTED, PROGRESS, OUTPUT[:20], cut=True),
        plain(503, '{"error": {"code": "busy", "message": "Later."}}'),
        pieces(OUTPUT),
        pieces(RUN, "event: more\ndata: 1\n\n"),
    )
    async with origin(answers) as server, Client(server.url, KEY) as client:
        events = [event async for event in client.events("r")]
    assert events == [
        Event("started", {"seq": 1}, "1"),
        Event("progress", {"fraction": 0.5}),
        Event("output", {"seq": 2}, "2"),
        Event("run", {"status": "success"}),
    ]
    assert server.headers("Last-Event-ID") == [None, "1", "1", "2"]
    assert server.headers("Authorization") == [f"Bearer {KEY}"] * 4


async def test_a_stream_that_is_refused_is_not_asked_again() -> None:
    answers = (plain(404, '{"error": {"code": "not_found", "message": "There is no such run."}}'),)
    async with origin(answers) as server, Client(server.url, KEY) as client:
        with pytest.raises(ApiError, match="no such run") as refused:
            [event async for event in client.events("r")]
    assert (refused.value.status, refused.value.code, len(server.requests)) == (404, "not_found", 1)


async def test_a_refusal_brings_all_its_parts() -> None:
    error = {"code": "invalid_input", "message": "No.", "place": {"field": "x"}, "details": {"n": 1}, "request_id": "q"}
    async with origin((plain(400, json.dumps({"error": error})),)) as server, Client(server.url, KEY) as client:
        with pytest.raises(ApiError) as refused:
            await client.create_run("pod", {"x": 1}, idempotency_key="once")
    told = refused.value
    assert (str(told), told.place, told.details, told.request_id) == ("No.", {"field": "x"}, {"n": 1}, "q")
    assert server.headers("Idempotency-Key") == ["once"]


@pytest.mark.parametrize("answer", [plain(404, "<html>", "text/html"), plain(200, "<html>"), plain(200, "[1]")])
async def test_another_program_at_the_address_is_no_server(answer: object) -> None:
    async with origin((answer,)) as server, Client(server.url, KEY) as client:  # type: ignore[arg-type] # an Answer
        with pytest.raises(ServerUnreachable, match="something else answers there"):
            await client.health()


async def test_an_error_page_of_a_proxy_is_a_refusal() -> None:
    async with origin((plain(502, "<html>", "text/html"),)) as server, Client(server.url, KEY) as client:
        with pytest.raises(ApiError, match="The server answered 502"):
            await client.me()


async def test_nothing_at_the_address() -> None:
    async with origin(()) as server:
        address = server.url
    async with Client(address, KEY) as client:
        with pytest.raises(ServerUnreachable, match="comfyserve up"):
            await client.me()


async def test_a_download_is_whole_or_not_there(tmp_path: Path) -> None:
    async def broken(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "100"})
        await response.prepare(request)
        await response.write(b"half")
        assert request.transport is not None
        request.transport.close()
        return response

    async with origin((broken, plain(200, "whole"))) as server, Client(server.url, KEY) as client:
        with pytest.raises(ServerUnreachable):
            await client.download(f"{server.url}/files/broken.png", tmp_path / "broken.png")
        await client.download("/files/cap.png", tmp_path / "cap.png")
    assert _files(tmp_path) == {"cap.png": "whole"}
    assert server.headers("Authorization") == [f"Bearer {KEY}"] * 2


async def test_the_key_goes_to_its_own_server_only(tmp_path: Path) -> None:
    async with origin((plain(200, "bytes"),)) as bucket, Client("http://127.0.0.1:9", KEY) as client:
        await client.download(f"{bucket.url}/cap.png", tmp_path / "cap.png")
        assert bucket.headers("Authorization") == [None]


async def test_a_file_in_a_bucket_is_fetched_from_there_without_the_key(tmp_path: Path) -> None:
    async with origin((plain(200, "bytes"),)) as bucket:

        async def elsewhere(request: web.Request) -> web.Response:
            return web.Response(status=307, headers={"Location": f"{bucket.url}/cap.png?signature=1"})

        async with origin((elsewhere,)) as server, Client(server.url, KEY) as client:
            await client.download(f"{server.url}/files/cap.png", tmp_path / "cap.png")
        assert bucket.headers("Authorization") == [None]
    assert _files(tmp_path) == {"cap.png": "bytes"}


async def test_an_event_may_hold_any_character() -> None:
    words = "one\u2028two\u0085three"
    said = f'id: 1\nevent: output\ndata: {{"value": "{words}"}}\n\n'
    async with origin((pieces(said, RUN),)) as server, Client(server.url, KEY) as client:
        first, last = [event async for event in client.events("r")]
    assert (first.data, last.kind) == ({"value": words}, "run")


async def test_an_upload_streams_the_file_under_its_name(tmp_path: Path) -> None:
    logo = tmp_path / "my logo.png"
    logo.write_bytes(b"bytes")
    async with origin((plain(201, '{"id": "img_1"}'),)) as server, Client(server.url, KEY) as client:
        assert await client.upload(logo) == {"id": "img_1"}
    (request,) = server.requests
    assert request.query["filename"] == "my logo.png"
    assert "content-type" not in request.headers
    assert await request.read() == b"bytes"


def test_a_key_that_is_none_is_refused_before_it_is_sent() -> None:
    with pytest.raises(ApiError, match="no API key"):
        Client("http://127.0.0.1:9", "ké")
