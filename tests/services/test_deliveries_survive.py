"""What is owed is delivered: after a restart, and when a receiver that was down comes back, in order per webhook."""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import standardwebhooks
from aiohttp import web

from comfyserve.core.signing import read_key
from comfyserve.db.database import Database
from comfyserve.fetch.guard import Guard
from comfyserve.fetch.sender import HttpSender
from comfyserve.ports import Delivery, StoredOutput
from comfyserve.services.deliver import Deliver
from comfyserve.services.files import Files
from comfyserve.services.postings import Posting, Snapshot, json_posting
from comfyserve.services.records import WebhookWish
from comfyserve.testing import StepClock
from tests.services.bundle import Bundle, compose, hook, open_bundle
from tests.services.test_deliver import states

SECRET = f"whsec_{base64.b64encode(b'0123456789abcdef01234567').decode()}"


class Receiver:
    """A web server that takes what it is sent when its port is open, and says no when it is told to."""

    def __init__(self) -> None:
        self.taken: list[dict[str, Any]] = []
        self.answers: list[int] = []
        self.port = 0

    @asynccontextmanager
    async def up(self) -> AsyncIterator[str]:
        """Open, always at the same address."""
        app = web.Application()
        app.router.add_post("/{which}", self._take)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", self.port, reuse_address=True).start()
        self.port = runner.addresses[0][1]
        yield self.url
        await runner.cleanup()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def _take(self, request: web.Request) -> web.Response:
        body = await request.text()
        answer = self.answers.pop(0) if self.answers else 200
        if answer == 200:
            verified = standardwebhooks.Webhook(SECRET).verify(body, dict(request.headers))
            self.taken.append({"which": request.match_info["which"], **verified})
        return web.Response(status=answer)


def tell(delivery: Delivery, snapshot: Snapshot, files: Files) -> Posting:
    run = snapshot.run
    return json_posting(delivery.id, {"run": run.id, "told": [*(one.filename for one in run.outputs)] or run.status})


@asynccontextmanager
async def delivering(bundle: Bundle) -> AsyncIterator[Deliver]:
    """Deliver as the program does it; receivers verify signatures, so that the time must be the real one."""
    sender = HttpSender(Guard("127.0.0.1"), connect_seconds=2, answer_seconds=5)
    common: dict[str, Any] = {"clock": bundle.clock, "bell": bundle.bell, "files": bundle.files}
    yield Deliver(bundle.db, sender, render={"native": tell}, key=read_key(SECRET), **common)
    await sender.close()


def a_file(index: int) -> StoredOutput:
    name = f"{index}.png"
    return StoredOutput("9", "SaveImage", "images", index, filename=name, blob_key=name, mime="image/png", size=1)


async def rounds(deliver: Deliver, clock: StepClock, count: int) -> None:
    """Send what is due, then again a second later, and so on."""
    for _ in range(count):
        while await deliver.start_due():
            await asyncio.wait_for(deliver.settled(), 30)
        clock.step(1)


async def all_sent(bundle: Bundle) -> None:
    """Return when nothing is owed any more."""
    while {state for state, _ in await states(bundle)} != {"sent"}:
        await bundle.bell.wait("deliveries", 0.05)


async def test_a_receiver_that_was_down_gets_all_of_it_in_order(tmp_path: Path) -> None:
    receiver = Receiver()
    async with receiver.up() as url:
        pass
    clock = real_time()
    bundle = await open_bundle(tmp_path, clock=clock)
    wishes = (WebhookWish(f"{url}/files", "native", "outputs"), WebhookWish(f"{url}/states", "native", "changes"))
    await bundle.run(webhooks=wishes)
    await bundle.finish(await bundle.claim(), [a_file(index) for index in range(5)])
    async with delivering(bundle) as deliver:
        await rounds(deliver, clock, 2)
        assert [state for state, tries in await states(bundle) if tries] == ["owed", "owed"]
        receiver.answers = [503, 404]
        async with receiver.up():
            await rounds(deliver, clock, 60)
    told = {name: [one["told"] for one in receiver.taken if one["which"] == name] for name in ("files", "states")}
    assert told["files"] == [[f"{index}.png"] for index in range(5)]
    assert told["states"][:4] == ["queued", "starting", "running", "collecting"]
    assert {state for state, _ in await states(bundle)} == {"sent"}
    await bundle.db.close()


async def test_a_process_that_died_before_the_delivery_left_it_to_the_next_one(tmp_path: Path) -> None:
    clock = real_time()
    first = await open_bundle(tmp_path, clock=clock)
    receiver = Receiver()
    async with receiver.up() as url:
        run = await first.run(webhooks=hook(f"{url}/end"))
        await first.finish(await first.claim(), [a_file(0)])
        await first.db.close()
        next_one = await compose(await Database.open(str(tmp_path / "comfyserve.db")), clock)
        async with delivering(next_one) as deliver:
            loop = asyncio.create_task(deliver.run())
            await asyncio.wait_for(all_sent(next_one), 20)
            loop.cancel()
            with pytest.raises(asyncio.CancelledError):
                await loop
    assert receiver.taken == [{"which": "end", "run": run.id, "told": ["0.png"]}]
    await next_one.db.close()


async def test_a_process_that_died_in_the_middle_of_a_call_makes_it_again(tmp_path: Path) -> None:
    """A webhook arrives at least once."""
    bundle = await open_bundle(tmp_path, clock=real_time())
    arrived = asyncio.Event()

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        arrived.set()
        await reader.read()
        writer.close()

    server = await asyncio.start_server(hang, "127.0.0.1", 0)
    receiver = Receiver()
    receiver.port = server.sockets[0].getsockname()[1]
    await bundle.run(webhooks=hook(f"{receiver.url}/end"))
    await bundle.finish(await bundle.claim())
    async with delivering(bundle) as deliver:
        loop = asyncio.create_task(deliver.run())
        await asyncio.wait_for(arrived.wait(), 10)
        loop.cancel()
        with pytest.raises(asyncio.CancelledError):
            await loop
        await deliver.settled()
    server.close()
    await server.wait_closed()
    assert await states(bundle) == [("owed", 0)]
    async with delivering(bundle) as deliver, receiver.up():
        await rounds(deliver, bundle.clock, 1)
    assert [one["told"] for one in receiver.taken] == ["success"]
    await bundle.db.close()


def real_time() -> StepClock:
    """A clock that begins now and moves when it is told to."""
    return StepClock(datetime.now(UTC))
