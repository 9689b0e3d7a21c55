"""Bodies that are too large, failures nobody expected, calls that stay open."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import httpx2
import pytest
import structlog

from comfyserve.apis.build import close_streams
from comfyserve.apis.http.events import Slots
from comfyserve.core.limits import MAX_TOKEN, MAX_URL
from tests.apis.scenario import filled
from tests.apis.world import World, key, open_world, over_the_wire
from tests.services.bundle import open_bundle

MB = 1024 * 1024
SSE = {"accept": "text/event-stream"}


async def blocks(count: int, size: int = MB) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield b" " * size


@pytest.mark.parametrize(
    ("path", "holds"),
    [("/v1/runs", '"code":"too_large"'), ("/api/run/deployment/queue", '{"detail":"The body is over')],
)
async def test_a_body_of_50_mb_is_refused(world: World, path: str, holds: str) -> None:
    async with over_the_wire(world.app) as client:
        told = await client.post(path, content=b" " * (50 * MB), headers={"content-type": "application/json"})
        assert told.status_code == 413 and holds in told.text
        assert told.headers["x-request-id"]


async def test_an_absurd_length_is_too_large(world: World) -> None:
    answer = await world.client.post("/v1/runs", content=b"{}", headers={"content-length": "9" * 5000})
    assert answer.status_code == 413


@pytest.mark.parametrize(
    ("path", "deployment", "done"),
    [("/v1/runs", "deployment", 201), ("/api/run/deployment/queue", "deployment_id", 200)],
)
@pytest.mark.parametrize(("length", "taken"), [(MAX_URL, True), (MAX_URL + 1, False)])
async def test_a_webhook_has_one_limit(
    world: World, path: str, deployment: str, done: int, length: int, taken: bool
) -> None:
    names = await world.names()
    webhook = "http://example.com/".ljust(length, "x")
    await world.json("POST", path, done if taken else 422, json={deployment: names["deployment"], "webhook": webhook})


async def test_a_key_that_is_too_long_is_none(world: World) -> None:
    for length in (MAX_TOKEN, MAX_TOKEN + 1):
        await world.json("GET", "/v1/me", 401, headers=key("x" * length))


@pytest.mark.parametrize("path", ["/v1/runs", "/v1/graphs", "/api/run/deployment/queue"])
async def test_a_body_of_unknown_length_is_refused_at_the_limit(tmp_path: Path, path: str) -> None:
    bundle = await open_bundle(tmp_path)
    async with open_world(bundle, max_body_bytes=MB) as world:
        sent = 0

        async def endless() -> AsyncIterator[bytes]:
            nonlocal sent
            while True:
                sent += MB
                yield b" " * MB

        answer = await world.client.post(path, content=endless(), headers={"content-type": "application/json"})
        assert answer.status_code == 413
        assert sent <= 3 * MB
    await bundle.db.close()


@pytest.mark.parametrize(
    ("path", "status", "holds"),
    [("/v1/assets", 413, '"too_large"'), ("/api/file/upload", 400, '{"detail":"File size exceeds 250MB limit"}')],
)
async def test_an_upload_over_its_limit_is_refused(tmp_path: Path, path: str, status: int, holds: str) -> None:
    bundle = await open_bundle(tmp_path)
    async with open_world(bundle, max_upload_bytes=100_000) as world:
        for size in (120_000, 400_000):
            answer = await world.client.post(path, files={"file": ("a.png", b"x" * size)})
            assert (answer.status_code, holds in answer.text) == (status, True), answer.text
        assert bundle.blobs.files == {}
    await bundle.db.close()


async def test_an_unexpected_failure_tells_little_and_logs_all(world: World) -> None:
    async def broken() -> None:
        raise RuntimeError("the secret is xyzzy")

    for path in ("/v1/broken", "/api/broken"):
        world.app.add_api_route(path, broken)
        with structlog.testing.capture_logs() as lines:
            answer = await world.client.get(path)
        assert answer.status_code == 500
        assert "xyzzy" not in answer.text
        assert "request id" in answer.text
        assert [line["event"] for line in lines] == ["request failed", "request"]
    assert set(answer.json()) == {"detail"}


async def test_queries_are_not_logged(world: World) -> None:
    with structlog.testing.capture_logs() as lines:
        await world.client.get("/api/machines?cd_token=secret")
    assert "secret" not in str(lines)


class WatchedSlots(Slots):
    """Slots that say when one was taken and when one became free."""

    def __init__(self, most: int) -> None:
        self.taken, self.freed = asyncio.Event(), asyncio.Event()
        self._free = 0
        super().__init__(most)

    @property
    def free(self) -> int:
        return self._free

    @free.setter
    def free(self, free: int) -> None:
        (self.freed if free > self._free else self.taken).set()
        self._free = free


def watch_slots(world: World) -> WatchedSlots:
    """One slot, watched."""
    slots = WatchedSlots(1)
    world.app.state.context = replace(world.app.state.context, slots=slots)
    return slots


async def test_only_so_many_calls_stay_open(world: World) -> None:
    names, slots = await world.names(), watch_slots(world)
    events = f"/v1/runs/{names['queued']}/events"
    async with over_the_wire(world.app) as client:
        async with client.stream("GET", events, headers=SSE) as first:
            lines = first.aiter_lines()
            await anext(lines)
            slots.freed.clear()
            second = await client.get(events, headers=SSE)
            assert (second.status_code, second.headers["retry-after"]) == (503, "5")
        await asyncio.wait_for(slots.freed.wait(), 10)
        async with client.stream("GET", events, headers=SSE) as third:
            assert third.status_code == 200


async def test_a_stream_that_finds_no_place_queues_no_run(world: World) -> None:
    names, slots = await world.names(), watch_slots(world)
    body = {"deployment_id": names["deployment"]}
    before = len((await world.json("GET", "/v1/runs"))["items"])

    async def opened(client: httpx2.AsyncClient, over: asyncio.Barrier) -> int:
        async with client.stream("POST", "/api/run/deployment/stream", json=body) as answer:
            await over.wait()
            return answer.status_code

    async with over_the_wire(world.app) as client:
        over = asyncio.Barrier(2)
        assert sorted(await asyncio.gather(opened(client, over), opened(client, over))) == [200, 503]
    assert len((await world.json("GET", "/v1/runs"))["items"]) == before + 1
    await asyncio.wait_for(slots.freed.wait(), 10)


async def test_two_event_streams_at_once_share_one_place(world: World) -> None:
    names, _ = await world.names(), watch_slots(world)

    async def opened(client: httpx2.AsyncClient, over: asyncio.Barrier) -> int:
        async with client.stream("GET", f"/v1/runs/{names['queued']}/events", headers=SSE) as answer:
            await over.wait()
            return answer.status_code

    async with over_the_wire(world.app) as client:
        over = asyncio.Barrier(2)
        assert sorted(await asyncio.gather(opened(client, over), opened(client, over))) == [200, 503]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/api/run/deployment/stream", 404),
        ("POST", "/api/run/deployment/sync", 404),
        ("GET", "/v1/runs/<none>/events", 404),
        ("GET", "/v1/runs/<run>/events", 200),
    ],
)
async def test_every_ending_gives_the_place_back(world: World, method: str, path: str, status: int) -> None:
    names, slots = await world.names(), watch_slots(world)
    body = {"deployment_id": names["none"]} if method == "POST" else None
    answer = await world.client.request(method, filled(path, names), json=body, headers=SSE)
    assert answer.status_code == status
    assert slots.taken.is_set() and slots.free == 1


async def test_a_sync_call_is_answered_when_the_server_stops(world: World) -> None:
    names, slots = await world.names(), watch_slots(world)
    async with over_the_wire(world.app) as client:
        body = {"deployment_id": names["deployment"]}
        calling = asyncio.ensure_future(client.post("/api/run/deployment/sync", json=body))
        await asyncio.wait_for(slots.taken.wait(), 10)
        close_streams(world.app)
        answer = await asyncio.wait_for(calling, 10)
        assert (answer.status_code, answer.json(), answer.headers["x-run-status"]) == (200, [], "queued")


async def test_a_sync_call_whose_caller_left_is_given_up(world: World) -> None:
    names, slots = await world.names(), watch_slots(world)
    async with over_the_wire(world.app) as client:
        body = {"deployment_id": names["deployment"]}
        calling = asyncio.ensure_future(client.post("/api/run/deployment/sync", json=body))
        await asyncio.wait_for(slots.taken.wait(), 10)
        calling.cancel()
        await asyncio.wait_for(slots.freed.wait(), 10)


async def test_sync_answers_what_there_is_after_the_longest_wait(tmp_path: Path) -> None:
    bundle = await open_bundle(tmp_path)
    async with open_world(bundle, sync_seconds=0.05) as world:
        names = await world.names()
        body = {"deployment_id": names["deployment"]}
        answer = await world.client.post("/api/run/deployment/sync", json=body)
        assert (answer.status_code, answer.json()) == (200, [])
        assert answer.headers["x-run-status"] == "queued"
    await bundle.db.close()
