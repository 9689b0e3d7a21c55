"""Webhooks are signed anew at each try, over a body that is not held in memory, and tried as often as is set."""

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
import standardwebhooks
from structlog.testing import capture_logs

from comfyserve.core.errors import FetchFailed
from comfyserve.core.signing import Signature, read_key
from comfyserve.ports import ByteStream, Delivery
from comfyserve.services.deliver import BACK_OFF, Deliver
from comfyserve.services.files import Files
from comfyserve.services.letters import KEPT_BYTES, seal
from comfyserve.services.postings import Posting, Snapshot, json_posting
from tests.services.bundle import Bundle, hook
from tests.services.test_deliver import states

SECRET = f"whsec_{base64.b64encode(b'0123456789abcdef01234567').decode()}"
PIECE = b"x" * 100_000
PIECES = 40


class Receiver:
    """A Sender to one receiver, which fails as often as it is told."""

    def __init__(self) -> None:
        self.failures = 0
        self.answer = 200
        self.calls: list[tuple[Mapping[str, str], str, int]] = []
        self.largest = 0

    async def post(self, url: str, content: ByteStream, headers: Mapping[str, str], *, length: int) -> int:
        """Take a call, of which only the sum is kept."""
        digest, taken = hashlib.sha256(), 0
        async for piece in content:
            digest.update(piece)
            taken += len(piece)
            self.largest = max(self.largest, len(piece))
        assert taken == length
        self.calls.append((headers, digest.hexdigest(), taken))
        if len(self.calls) <= self.failures:
            raise FetchFailed("Nobody listens there.", retryable=True)
        return self.answer


def large(delivery: Delivery, snapshot: Snapshot, files: Files) -> Posting:
    """A body in many pieces, signed even without a secret."""

    async def content() -> AsyncIterator[bytes]:
        for _ in range(PIECES):
            yield PIECE

    return Posting(content, "the id", signed="always")


def small(delivery: Delivery, snapshot: Snapshot, files: Files) -> Posting:
    """A body that says who is told."""
    return json_posting(delivery.id, {"run": snapshot.run.id})


def never(delivery: Delivery, snapshot: Snapshot, files: Files) -> Posting:
    """As once: without a signature."""
    return Posting(json_posting("x", {}).content, "x", signed="never", headers={"X-More": "1"})


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


def deliver_to(bundle: Bundle, receiver: Receiver, **options: Any) -> Deliver:
    render = {"large": large, "small": small, "never": never}
    return Deliver(
        bundle.db, receiver, render=render, clock=bundle.clock, bell=bundle.bell, files=bundle.files, **options
    )


async def finished(bundle: Bundle, form: str) -> str:
    run = await bundle.run(webhooks=hook("http://receiver/hook", form=form))
    await bundle.finish(await bundle.claim())
    return run.id


async def empty(deliver: Deliver) -> None:
    """Send all that is due now."""
    while await deliver.start_due():
        await deliver.settled()


async def test_a_small_body_is_signed_where_there_is_a_secret(bundle: Bundle, receiver: Receiver) -> None:
    run_id = await finished(bundle, "small")
    await empty(deliver_to(bundle, receiver, key=read_key(SECRET)))
    [(headers, _, _)] = receiver.calls
    body = f'{{"run":"{run_id}"}}'
    moment = round(bundle.clock().timestamp())
    expected = Signature(read_key(SECRET), headers["X-Webhook-Id"], moment)
    expected.add(body.encode())
    assert {name: headers[name] for name in expected.headers()} == expected.headers()
    assert (
        standardwebhooks.Webhook(SECRET).sign(headers["webhook-id"], bundle.clock(), body)
        == headers["webhook-signature"]
    )


async def test_without_a_secret_nothing_is_signed(bundle: Bundle, receiver: Receiver) -> None:
    await finished(bundle, "small")
    await empty(deliver_to(bundle, receiver))
    assert receiver.calls[0][0].keys() == {"Content-Type", "X-Webhook-Id"}


async def test_a_format_can_do_without_a_signature_or_ask_for_one(bundle: Bundle, receiver: Receiver) -> None:
    await finished(bundle, "never")
    await empty(deliver_to(bundle, receiver, key=read_key(SECRET)))
    assert receiver.calls[0][0].keys() == {"Content-Type", "X-Webhook-Id", "X-More"}
    await finished(bundle, "large")
    await empty(deliver_to(bundle, receiver))
    assert receiver.calls[1][0]["webhook-id"] == "the id"
    assert receiver.calls[1][0]["webhook-signature"].startswith("v1,")


async def test_a_large_body_is_streamed_and_signed_anew_at_each_try(bundle: Bundle, receiver: Receiver) -> None:
    assert len(PIECE) * PIECES > KEPT_BYTES
    receiver.failures = 1
    await finished(bundle, "large")
    deliver = deliver_to(bundle, receiver, key=read_key(SECRET))
    await empty(deliver)
    bundle.clock.step(BACK_OFF[0])
    await empty(deliver)
    (first, body, length), (second, again, _) = receiver.calls
    assert (body, length) == (again, len(PIECE) * PIECES)
    assert receiver.largest == len(PIECE)
    assert int(second["webhook-timestamp"]) == int(first["webhook-timestamp"]) + BACK_OFF[0]
    assert (second["webhook-id"], second["X-Webhook-Id"]) == (first["webhook-id"], first["X-Webhook-Id"])
    for headers in (first, second):
        expected = Signature(read_key(SECRET), "the id", int(headers["webhook-timestamp"]))
        expected.add(PIECE * PIECES)
        assert headers["webhook-signature"] == expected.headers()["webhook-signature"]


@pytest.mark.parametrize(("signed", "readings"), [("never", 1), ("with_secret", 2)])
async def test_a_body_of_known_length_is_read_twice_only_to_be_signed(signed: Any, readings: int) -> None:
    read: list[None] = []

    async def content() -> AsyncIterator[bytes]:
        read.append(None)
        for _ in range(PIECES):
            yield PIECE

    letter = await seal(Posting(content, "x", signed, length=len(PIECE) * PIECES), b"key", datetime.now(UTC))
    body = b"".join([piece async for piece in letter.content()])
    assert (len(body), len(read)) == (letter.length, readings)


@pytest.mark.parametrize("answer", [302, 404, 410, 500])
async def test_the_number_of_tries_is_set(bundle: Bundle, receiver: Receiver, answer: int) -> None:
    receiver.answer = answer
    run_id = await finished(bundle, "small")
    deliver = deliver_to(bundle, receiver, tries=3)
    for pause in (*BACK_OFF[:2], 100_000):
        await empty(deliver)
        bundle.clock.step(pause)
    await empty(deliver)
    assert len(receiver.calls) == 3
    assert await states(bundle) == [("given_up", 3)]
    [warning] = (await bundle.runs.get(bundle.caller, run_id)).warnings
    assert str(answer) in warning["message"]


async def test_more_tries_than_pauses_go_on_with_the_last_one(bundle: Bundle, receiver: Receiver) -> None:
    receiver.answer = 500
    await finished(bundle, "small")
    deliver = deliver_to(bundle, receiver, tries=len(BACK_OFF) + 3)
    for _ in range(len(BACK_OFF) + 5):
        await empty(deliver)
        bundle.clock.step(BACK_OFF[-1])
    assert await states(bundle) == [("given_up", len(BACK_OFF) + 3)]


async def test_with_no_tries_nothing_is_sent_and_the_run_says_so(bundle: Bundle, receiver: Receiver) -> None:
    run_id = await finished(bundle, "small")
    await empty(deliver_to(bundle, receiver, tries=0))
    assert receiver.calls == []
    assert await states(bundle) == [("given_up", 0)]
    [warning] = (await bundle.runs.get(bundle.caller, run_id)).warnings
    assert "webhook_tries is 0" in warning["message"]


async def test_the_secret_is_in_no_log(bundle: Bundle, receiver: Receiver) -> None:
    receiver.failures = 2
    with capture_logs() as logged:
        await finished(bundle, "small")
        await finished(bundle, "large")
        deliver = deliver_to(bundle, receiver, key=read_key(SECRET), tries=1)
        await asyncio.wait_for(empty(deliver), 10)
    assert len(logged) == 2
    assert SECRET not in str(logged) and SECRET[6:] not in str(logged) and repr(read_key(SECRET)) not in str(logged)
