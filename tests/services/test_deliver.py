"""Owed webhooks are sent in order, again after a failure, and never held up by another's dead receiver."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from itertools import chain, repeat
from typing import Any

import pytest
from sqlalchemy import select, text

from comfyserve.core.errors import FetchFailed, FetchRefused, NotFound
from comfyserve.db.tables import deliveries
from comfyserve.ports import ByteStream, Delivery, StoredOutput
from comfyserve.services.deliver import AT_ONE_RECEIVER, BACK_OFF, TRIES, WRITE_PAUSES, Deliver
from comfyserve.services.files import Files
from comfyserve.services.postings import Posting, Snapshot, json_posting
from comfyserve.services.records import WebhookWish
from tests.services.bundle import Bundle, hook

ALIVE, DEAD, SLOW = "http://alive/hook?a=1", "http://dead/hook", "http://slow/hook"
INSIDE = "http://inside/hook"


class Receivers:
    """A Sender to three receivers: one answers, one is dead, one does not answer until it is let go."""

    def __init__(self) -> None:
        self.calls: list[tuple[dict[str, str], bytes]] = []
        self.received: list[tuple[str, dict[str, Any]]] = []
        self.arrived = asyncio.Event()
        self.let_go = asyncio.Event()
        self.answer = 200

    async def post(self, url: str, content: ByteStream, headers: Mapping[str, str], *, length: int) -> int:
        """Take a call."""
        assert headers["Content-Type"] == "application/json"
        body = b"".join([piece async for piece in content])
        assert len(body) == length
        self.calls.append((dict(headers), body))
        if url == DEAD:
            raise FetchFailed("Nobody listens there.")
        if url == INSIDE:
            raise FetchRefused("It is not called.")
        if url == SLOW:
            await self.let_go.wait()
        self.received.append((url, json.loads(body)))
        self.arrived.set()
        return self.answer


def render(delivery: Delivery, snapshot: Snapshot, files: Files) -> Posting:
    """The body in the format of this test."""
    run = snapshot.run
    body = {
        "event": delivery.event,
        "run": run.id,
        "status": run.status.value,
        "ended": run.ended_at is not None,
        "outputs": [output.filename for output in run.outputs],
    }
    return json_posting(delivery.id, body)


@pytest.fixture
def receivers() -> Receivers:
    return Receivers()


@pytest.fixture
def deliver(bundle: Bundle, receivers: Receivers) -> Deliver:
    return Deliver(
        bundle.db,
        receivers,
        render={"native": render},
        clock=bundle.clock,
        bell=bundle.bell,
        files=bundle.files,
    )


async def finished(bundle: Bundle, url: str, on: str = "end", **request: Any) -> str:
    """The id of a run that has ended and whose webhook is owed."""
    run = await bundle.run(webhooks=hook(url, on), **request)
    output = StoredOutput("9", "SaveImage", "images", 0, filename="a.png", blob_key="k", mime="image/png", size=1)
    await bundle.finish(await bundle.claim(), [output])
    return run.id


async def states(bundle: Bundle) -> list[tuple[str, int]]:
    """State and tries of every delivery."""
    statement = select(deliveries.c.state, deliveries.c.tries).order_by(deliveries.c.seq)
    return [tuple(row) for row in await bundle.db.read(lambda connection: connection.execute(statement).all())]


async def test_the_receiver_gets_the_run_as_it_was(bundle: Bundle, deliver: Deliver, receivers: Receivers) -> None:
    run_id = await finished(bundle, ALIVE, "changes")
    while await deliver.start_due():
        await deliver.settled()
    assert [url for url, _ in receivers.received] == [ALIVE] * 5
    bodies = [body for _, body in receivers.received]
    assert [body["status"] for body in bodies] == ["queued", "starting", "running", "collecting", "success"]
    assert [body["outputs"] for body in bodies] == [[], [], [], [], ["a.png"]]
    assert [body["ended"] for body in bodies] == [False] * 4 + [True]
    assert {body["run"] for body in bodies} == {run_id}
    assert await states(bundle) == [("sent", 1)] * 5


async def test_a_failure_is_tried_again_later_and_at_last_given_up(
    bundle: Bundle, deliver: Deliver, receivers: Receivers
) -> None:
    await finished(bundle, DEAD)
    for tries, wait in enumerate([*BACK_OFF[: TRIES - 1], 0], start=1):
        assert await deliver.start_due() == 1
        await deliver.settled()
        assert await deliver.start_due() == 0
        assert await states(bundle) == [("owed" if wait else "given_up", tries)]
        bundle.clock.step(wait)
    assert receivers.received == []


async def test_a_refused_receiver_is_given_up_at_once_and_the_run_says_so(bundle: Bundle, deliver: Deliver) -> None:
    """Its name leads inside, which was seen by nobody but the log."""
    run_id = await finished(bundle, INSIDE, "changes")
    while await deliver.start_due():
        await deliver.settled()
    assert await states(bundle) == [("given_up", 1)] * 5
    [warning] = (await bundle.runs.get(bundle.caller, run_id)).warnings
    assert warning == {"code": "webhook_given_up", "message": "The webhook was not delivered. It is not called."}


async def test_an_answer_that_is_no_success_is_tried_again(
    bundle: Bundle, deliver: Deliver, receivers: Receivers
) -> None:
    await finished(bundle, ALIVE)
    receivers.answer = 503
    await deliver.start_due()
    await deliver.settled()
    receivers.answer = 204
    bundle.clock.step(BACK_OFF[0])
    await deliver.start_due()
    await deliver.settled()
    assert await states(bundle) == [("sent", 2)]


async def test_a_run_waits_for_its_own_failed_call(bundle: Bundle, deliver: Deliver, receivers: Receivers) -> None:
    await finished(bundle, DEAD, "changes")
    assert await deliver.start_due() == 1
    await deliver.settled()
    assert await deliver.start_due() == 0
    assert [tries for _, tries in await states(bundle)] == [1, 0, 0, 0, 0]


async def test_a_slow_receiver_delays_nobody_else(bundle: Bundle, deliver: Deliver, receivers: Receivers) -> None:
    for _ in range(30):
        await finished(bundle, SLOW)
    alive = await finished(bundle, ALIVE)
    assert await deliver.start_due() == AT_ONE_RECEIVER + 1
    await asyncio.wait_for(receivers.arrived.wait(), 10)
    assert [body["run"] for _, body in receivers.received] == [alive]
    receivers.let_go.set()
    await deliver.settled()


async def test_a_call_that_cannot_be_written_down_is_not_made_again(bundle: Bundle, receivers: Receivers) -> None:
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        assert await carried.start_due() == 0
        if len(pauses) == 6:
            await bundle.db.write(lambda connection: connection.execute(text("DROP TRIGGER full")))

    carried = Deliver(
        bundle.db,
        receivers,
        render={"native": render},
        clock=bundle.clock,
        bell=bundle.bell,
        files=bundle.files,
        sleep=sleep,
    )
    await finished(bundle, ALIVE)
    full = "CREATE TRIGGER full BEFORE UPDATE ON deliveries BEGIN SELECT RAISE(ABORT, 'the disk is full'); END"
    await bundle.db.write(lambda connection: connection.execute(text(full)))
    assert await carried.start_due() == 1
    await asyncio.wait_for(carried.settled(), 10)
    assert pauses == [*WRITE_PAUSES, WRITE_PAUSES[-1], WRITE_PAUSES[-1]]
    assert len(receivers.received) == 1
    assert await states(bundle) == [("sent", 1)]


async def test_the_loop_sends_what_becomes_due(bundle: Bundle, deliver: Deliver, receivers: Receivers) -> None:
    loop = asyncio.create_task(deliver.run())
    run_id = await finished(bundle, ALIVE)
    await asyncio.wait_for(receivers.arrived.wait(), 10)
    assert receivers.received[0][1]["run"] == run_id
    loop.cancel()
    with pytest.raises(asyncio.CancelledError):
        await loop
    assert await states(bundle) in ([("sent", 1)], [("owed", 0)])


async def test_the_end_of_the_loop_waits_for_its_calls(bundle: Bundle) -> None:
    """So that none of them meets a database that is closed."""
    calling, ending = asyncio.Event(), list[str]()

    class Slow(Receivers):
        async def post(self, url: str, content: ByteStream, headers: Mapping[str, str], *, length: int) -> int:
            """Hold the call, and take a while to let go."""
            calling.set()
            try:
                await asyncio.Event().wait()
            finally:
                for _ in range(10):
                    await asyncio.sleep(0)
                await bundle.db.read(lambda connection: connection.execute(text("select 1")).all())
                ending.append("let go")
            return 200

    parts: dict[str, Any] = {"clock": bundle.clock, "bell": bundle.bell, "files": bundle.files}
    loop = asyncio.create_task(Deliver(bundle.db, Slow(), render={"native": render}, **parts).run())
    await finished(bundle, ALIVE)
    await asyncio.wait_for(calling.wait(), 10)
    loop.cancel()
    with pytest.raises(asyncio.CancelledError):
        await loop
    assert ending == ["let go"]
    assert await states(bundle) == [("owed", 0)]


@pytest.mark.parametrize("early", [True, False], ids=["at the first reading", "while it is sent"])
async def test_a_call_whose_file_is_gone_is_given_up_at_once(bundle: Bundle, receivers: Receivers, early: bool) -> None:
    async def gone() -> AsyncIterator[bytes]:
        raise NotFound("The file is gone.")
        yield b""

    def posting(delivery: Delivery, snapshot: Snapshot, files: Files) -> Posting:
        return Posting(gone, delivery.id, length=None if early else 5)

    parts: dict[str, Any] = {"clock": bundle.clock, "bell": bundle.bell, "files": bundle.files}
    deliver = Deliver(bundle.db, receivers, render={"native": posting}, **parts)
    run_id = await finished(bundle, ALIVE)
    await deliver.start_due()
    await deliver.settled()
    assert await states(bundle) == [("given_up", 1)]
    [warning] = (await bundle.runs.get(bundle.caller, run_id)).warnings
    assert "The file is gone." in warning["message"]


async def test_what_becomes_due_while_the_loop_looks_is_sent_at_once(bundle: Bundle, receivers: Receivers) -> None:
    """As with a clock that is set right: the loop wakes a moment too soon."""
    due = bundle.clock()
    moments = chain([due - timedelta(milliseconds=1)], repeat(due))
    deliver = Deliver(
        bundle.db,
        receivers,
        render={"native": render},
        clock=lambda: next(moments),
        bell=bundle.bell,
        files=bundle.files,
    )
    await finished(bundle, ALIVE)
    loop = asyncio.create_task(deliver.run())
    await asyncio.wait_for(receivers.arrived.wait(), 10)
    loop.cancel()
    with pytest.raises(asyncio.CancelledError):
        await loop


async def test_an_unknown_format_is_tried_again_and_logged(
    bundle: Bundle, deliver: Deliver, receivers: Receivers
) -> None:
    await bundle.run(webhooks=hook(ALIVE, form="forgotten"))
    await bundle.finish(await bundle.claim())
    await deliver.start_due()
    await deliver.settled()
    assert await states(bundle) == [("owed", 1)]
    assert receivers.received == []


async def test_a_dead_receiver_of_one_webhook_does_not_hold_up_the_other(
    bundle: Bundle, deliver: Deliver, receivers: Receivers
) -> None:
    """And a call about one file shows that file only."""
    wishes = (WebhookWish(DEAD, "native"), WebhookWish(ALIVE, "native", "outputs"))
    await bundle.run(webhooks=wishes)
    files = [StoredOutput("9", "SaveImage", "images", n, filename=f"{n}.png", blob_key=f"{n}") for n in range(3)]
    await bundle.finish(await bundle.claim(), files)
    while await deliver.start_due():
        await deliver.settled()
    assert [body["outputs"] for _, body in receivers.received] == [["0.png"], ["1.png"], ["2.png"]]
    assert await states(bundle) == [("owed", 1), *[("sent", 1)] * 3]
