"""System events arrive in order, with the caller's ids in them, and cost a bounded amount of memory."""

import asyncio
import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
import standardwebhooks
from structlog.testing import capture_logs

from comfyserve.core.errors import FetchFailed, FetchRefused
from comfyserve.core.signing import read_key
from comfyserve.ports import ByteStream, SystemEvent
from comfyserve.services.deliver import BACK_OFF
from comfyserve.services.request_ids import RequestIds
from comfyserve.services.system_events import LONGEST_PAUSE, SystemEvents, SystemOptions
from comfyserve.testing import StepClock
from tests.services.bundle import Bundle, new_id

URL = "http://operator.internal/events?token=hidden"
SECRET = f"whsec_{base64.b64encode(b'0123456789abcdef01234567').decode()}"
NAMES = frozenset({"status", "executing", "progress", "progress_state", "file_downloaded"})


class Receiver:
    """A Sender to the operator's receiver; `down` says what it does instead of answering, call by call."""

    def __init__(self) -> None:
        self.taken: list[dict[str, Any]] = []
        self.calls: list[tuple[Mapping[str, str], bytes]] = []
        self.down: list[Exception | int] = []
        self.open = asyncio.Event()
        self.open.set()
        self.at_once = self.most_at_once = 0

    async def post(self, url: str, content: ByteStream, headers: Mapping[str, str], *, length: int) -> int:
        """Take a call."""
        assert url == URL
        body = b"".join([piece async for piece in content])
        self.calls.append((headers, body))
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await self.open.wait()
        self.at_once -= 1
        trouble = self.down.pop(0) if self.down else 200
        if isinstance(trouble, Exception):
            raise trouble
        if trouble == 200:
            self.taken.append(json.loads(body))
        return trouble


class Teller:
    """System events on their way to a receiver, with the pauses between tries written down instead of waited."""

    def __init__(self, receiver: Receiver, *, events: frozenset[str] = NAMES, tries: int = 9, **options: Any) -> None:
        self.pauses: list[float] = []
        self.request_ids = RequestIds()
        self.depth: int | None = None
        self.events = SystemEvents(
            receiver,
            SystemOptions(URL, events, {"region": "eu", "salad_machine_id": "m"}, read_key(SECRET), tries),
            request_ids=self.request_ids,
            depth=lambda: self.depth,
            clock=StepClock(),
            ids=new_id,
            sleep=self._sleep,
            **options,
        )

    def comfy(self, name: str, inside: Any, **more: Any) -> None:
        """An engine says something."""
        self.events.tell(SystemEvent("comfy", name, {"type": name, "data": inside, **more}))

    async def settled(self) -> None:
        """Everything has arrived or was dropped."""
        await asyncio.wait_for(self.events.settled(), 20)

    async def _sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        await asyncio.sleep(0)


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


def numbers(taken: Sequence[Mapping[str, Any]], prompt_id: str) -> list[int]:
    """What a receiver has heard of a prompt."""
    inside = [one["data"]["data"] for one in taken]
    return [one["value"] for one in inside if one.get("prompt_id") == prompt_id]


async def test_an_event_is_told_whole_and_signed(receiver: Receiver) -> None:
    teller = Teller(receiver)
    teller.comfy("executing", {"node": "3", "prompt_id": "p"}, sid="s")
    teller.events.tell(SystemEvent("storage", "file_downloaded", {"url": "http://a/\u00e9", "size": 8.0}))
    teller.comfy("execution_start", {"prompt_id": "p"})
    await teller.settled()
    metadata = {"region": "eu", "salad_machine_id": "m"}
    message = {"type": "executing", "data": {"node": "3", "prompt_id": "p"}, "sid": "s"}
    assert receiver.taken == [
        {"event": "comfy.executing", "data": message, "metadata": metadata},
        {"event": "storage.file_downloaded", "data": {"url": "http://a/\u00e9", "size": 8}, "metadata": metadata},
    ]
    assert '"size":8}' in receiver.calls[1][1].decode() and "\u00e9" in receiver.calls[1][1].decode()
    ids = {headers["webhook-id"] for headers, _ in receiver.calls}
    assert len(ids) == 2
    for headers, body in receiver.calls:
        theirs = standardwebhooks.Webhook(SECRET).sign(headers["webhook-id"], StepClock()(), body.decode())
        assert headers["webhook-signature"] == theirs


async def test_the_request_id_stands_where_the_engines_own_was(receiver: Receiver, bundle: Bundle) -> None:
    teller = Teller(receiver)
    teller.request_ids.note("attempt", "the request")
    nodes = {"2": {"prompt_id": "attempt", "value": 1}, "10": {"prompt_id": "other"}, "x": None}
    teller.comfy("progress_state", {"prompt_id": "attempt", "nodes": nodes})
    await teller.settled()
    inside = receiver.taken[0]["data"]["data"]
    assert inside["prompt_id"] == inside["nodes"]["2"]["prompt_id"] == "the request"
    assert (inside["nodes"]["10"]["prompt_id"], inside["nodes"]["x"]) == ("other", None)
    assert nodes["2"]["prompt_id"] == "attempt"  # type: ignore[index]  # one of the values is None


async def test_the_queue_is_ours(receiver: Receiver) -> None:
    teller = Teller(receiver)
    said = {"status": {"exec_info": {"queue_remaining": 1, "more": 2}}}
    teller.comfy("status", said)
    teller.depth = 17
    teller.comfy("status", said)
    teller.comfy("status", {})
    await teller.settled()
    infos = [one["data"]["data"]["status"]["exec_info"] for one in receiver.taken]
    assert infos == [{"queue_remaining": 1, "more": 2}, {"queue_remaining": 17, "more": 2}, {"queue_remaining": 17}]


@pytest.mark.parametrize("inside", [None, [], "x", 3, {"prompt_id": None}, {"nodes": [1], "prompt_id": 7}])
async def test_nothing_that_an_engine_says_does_harm(receiver: Receiver, inside: Any) -> None:
    teller = Teller(receiver)
    teller.comfy("status", inside)
    teller.comfy("progress_state", inside)
    teller.comfy("progress", {"value": float("nan"), "max": 10**400})
    await teller.settled()
    assert len(receiver.taken) == 3
    assert receiver.taken[2]["data"]["data"]["value"] is None


async def test_a_message_that_cannot_be_written_is_left_out(receiver: Receiver) -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    teller = Teller(receiver)
    with capture_logs() as logged:
        teller.comfy("progress", {"x": deep})
    teller.comfy("progress", {"x": 1})
    await teller.settled()
    assert [one["event"] for one in logged] == ["system_event_not_told"]
    assert len(receiver.taken) == 1


async def test_what_a_receiver_that_was_down_missed_comes_later_and_in_order(receiver: Receiver) -> None:
    teller = Teller(receiver)
    receiver.down = [FetchFailed("It is down.", retryable=True), 503, 404]
    for number in range(20):
        for prompt_id in ("a", "b"):
            teller.comfy("progress", {"prompt_id": prompt_id, "value": number})
    await teller.settled()
    assert numbers(receiver.taken, "a") == numbers(receiver.taken, "b") == list(range(20))
    assert len(receiver.calls) == 43 and len(teller.pauses) == 3
    assert teller.events.dropped == 0
    retried = [headers for headers, body in receiver.calls if b'"prompt_id":"a","value":0' in body]
    assert len({headers["webhook-id"] for headers in retried}) == 1


async def test_an_event_is_dropped_after_the_last_try(receiver: Receiver) -> None:
    teller = Teller(receiver, tries=9)
    receiver.down = [500] * 9
    with capture_logs() as logged:
        teller.comfy("progress", {"value": 1})
        teller.comfy("progress", {"value": 2})
        await teller.settled()
    assert [one["data"]["data"]["value"] for one in receiver.taken] == [2]
    assert teller.pauses == [min(pause, LONGEST_PAUSE) for pause in BACK_OFF]
    assert [(one["event"], one["dropped"]) for one in logged] == [("system_events_dropped", 1)]
    assert "500" in logged[0]["problem"] and "hidden" not in str(logged) and SECRET[6:] not in str(logged)


async def test_a_receiver_that_is_never_called_gets_one_try(receiver: Receiver) -> None:
    teller = Teller(receiver)
    receiver.down = [FetchRefused("It is not called.")]
    teller.comfy("progress", {"value": 1})
    await teller.settled()
    assert (len(receiver.calls), teller.events.dropped) == (1, 1)


async def test_with_no_tries_nothing_is_sent(receiver: Receiver) -> None:
    teller = Teller(receiver, tries=0)
    teller.comfy("progress", {"value": 1})
    await teller.settled()
    assert receiver.calls == []


async def test_a_hanging_receiver_costs_bounded_memory_and_few_calls(receiver: Receiver) -> None:
    teller = Teller(receiver, most=50, most_bytes=10_000)
    receiver.open.clear()
    with capture_logs() as logged:
        for number in range(150):
            teller.comfy("progress", {"prompt_id": str(number), "value": number})
        teller.comfy("progress", {"prompt_id": "big", "value": "x" * 10_000})
        await asyncio.sleep(0)
        assert teller.events.dropped == 101
        receiver.open.set()
        await teller.settled()
    assert [one["dropped"] for one in logged] == [1, 2, 4, 8, 16, 32, 64]
    assert (len(receiver.taken), receiver.most_at_once) == (50, 4)
    teller.comfy("progress", {"value": "x" * 10_000})
    await teller.settled()
    assert teller.events.dropped == 102


async def test_what_waits_when_the_program_ends_is_let_go(receiver: Receiver) -> None:
    teller = Teller(receiver)
    receiver.open.clear()
    for number in range(3):
        teller.comfy("progress", {"value": number})
    await asyncio.sleep(0)
    with capture_logs() as logged:
        await asyncio.wait_for(teller.events.close(0), 10)
    assert [(one["event"], one["waiting"]) for one in logged] == [("system_events_not_sent", 3)]
    await asyncio.wait_for(Teller(receiver).events.close(10), 5)


async def test_an_event_from_another_thread_is_refused_and_blocks_nobody(receiver: Receiver) -> None:
    teller = Teller(receiver)
    with capture_logs() as logged:
        await asyncio.to_thread(teller.comfy, "progress", {"value": 1})
    teller.comfy("progress", {"value": 2})
    await teller.settled()
    assert [one["event"] for one in logged] == ["system_event_not_told"]
    assert [one["data"]["data"]["value"] for one in receiver.taken] == [2]


async def test_the_id_of_a_request_is_known_from_its_claim_on(bundle: Bundle) -> None:
    named = await bundle.run(idempotency_key="the request")
    bare = await bundle.run()
    claims = [await bundle.claim(), await bundle.claim()]
    shown = [bundle.request_ids.shown(claim.attempt_id) for claim in claims]
    assert shown == ["the request", bare.id]
    assert named.id == claims[0].run.id


def test_only_so_many_ids_are_remembered() -> None:
    ids = RequestIds(2)
    for number in range(4):
        ids.note(f"p{number}", f"r{number}")
    assert [ids.shown(f"p{number}") for number in range(4)] == ["p0", "p1", "r2", "r3"]
