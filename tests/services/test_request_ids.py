"""A run is found by its request id, an id is free again after a failure, and the memo comes back as it was given."""

from dataclasses import replace
from typing import Any

import pytest

from comfyserve.core.errors import Conflict, EngineError, InvalidInput, NotFound
from comfyserve.core.runs import Fact, FactKind, Status
from comfyserve.ports import StoredOutput
from comfyserve.services.records import WebhookWish
from comfyserve.services.submit import MAX_WEBHOOKS
from tests.services.bundle import TEXT_GRAPH, Bundle, hook, owed

FAILED = Fact(FactKind.FAILED, {"error": EngineError("Node 2 failed.").as_dict()})


async def fail(bundle: Bundle) -> None:
    claim = await bundle.claim()
    await bundle.record.apply(claim.run.id, claim.lease.token, [FAILED])


async def test_a_run_is_found_by_its_request_id(bundle: Bundle) -> None:
    made = await bundle.run(idempotency_key="a/../b")
    found = await bundle.runs.named(bundle.caller, "a/../b")
    assert (found.id, found.status, found.queue_position) == (made.id, Status.QUEUED, 0)
    with pytest.raises(NotFound, match=r"does not know .*sticky routing"):
        await bundle.runs.named(bundle.caller, "a")
    with pytest.raises(NotFound):
        await bundle.runs.named(await bundle.foreigner(), "a/../b")


async def test_an_id_is_free_again_after_a_failure_only(bundle: Bundle) -> None:
    wish: dict[str, Any] = {"idempotency_key": "r", "reuse": "after_failure"}
    first = await bundle.run(inputs={"input_text": "a"}, **wish)
    assert (await bundle.run(inputs={"input_text": "a"}, **wish)).id == first.id
    with pytest.raises(Conflict):
        await bundle.run(inputs={"input_text": "b"}, **wish)
    await fail(bundle)
    second = await bundle.run(inputs={"input_text": "b"}, **wish)
    assert second.id != first.id
    assert (await bundle.runs.named(bundle.caller, "r")).id == second.id
    assert (await bundle.runs.get(bundle.caller, first.id)).status is Status.FAILED
    await bundle.finish(await bundle.claim())
    again = await bundle.run(inputs={"input_text": "b"}, **wish)
    assert (again.id, again.replayed) == (second.id, True)
    with pytest.raises(Conflict):
        await bundle.run(inputs={"input_text": "c"}, **wish)


async def test_a_cancelled_id_is_free_again(bundle: Bundle) -> None:
    first = await bundle.run(idempotency_key="r", reuse="after_failure")
    await bundle.cancel.cancel(bundle.caller, first.id)
    assert (await bundle.run(idempotency_key="r", reuse="after_failure")).id != first.id


async def test_an_id_stays_taken_where_nobody_asked_otherwise(bundle: Bundle) -> None:
    first = await bundle.run(idempotency_key="r")
    await fail(bundle)
    assert (await bundle.run(idempotency_key="r")).id == first.id


async def test_the_memo_and_the_events_come_back(bundle: Bundle) -> None:
    memo = {"prompt": {"1": {"inputs": {"a": [1, 2.5, None]}}}, "input": {"text": "\u00e9"}}
    run = await bundle.run(memo=memo)
    await bundle.finish(await bundle.claim(), [output("a.png", 0)])
    told = await bundle.runs.told(bundle.caller, run.id)
    assert told.memo == memo
    assert told.graph.keys() == TEXT_GRAPH.keys()
    assert [event.kind for event in told.events] == [
        "submitted",
        "claimed",
        "started",
        "executed",
        "output",
        "succeeded",
    ]
    assert [one.filename for one in told.run.outputs] == ["a.png"]
    with pytest.raises(NotFound):
        await bundle.runs.told(await bundle.foreigner(), run.id)


async def test_the_memo_is_no_part_of_the_request(bundle: Bundle) -> None:
    first = await bundle.run(memo={"a": 1}, idempotency_key="r")
    assert (await bundle.run(memo={"a": 2}, idempotency_key="r")).id == first.id
    with pytest.raises(Conflict):
        await bundle.run(webhooks=hook("http://example.com/x"), idempotency_key="r")


async def test_each_webhook_of_a_run_is_told_what_it_asked_for(bundle: Bundle) -> None:
    wishes = (WebhookWish("http://a/x", "v2"), WebhookWish("http://b/x", "legacy", "outputs"))
    good, bad, bare, seen = [await bundle.run(webhooks=wishes) for _ in range(4)]
    preview = replace(output("c.png", 2), type="temp")
    await bundle.finish(await bundle.claim(), [preview, output("a.png", 0), output("b.png", 1), text_output()])
    await fail(bundle)
    await bundle.finish(await bundle.claim(), [text_output()])
    await bundle.finish(await bundle.claim(), [preview])
    assert await owed(bundle, seen.id) == [("run.updated", "success")] * 2
    assert (await bundle.runs.get(bundle.caller, good.id)).webhooks == wishes
    assert await owed(bundle, good.id) == [("run.updated", "success")] * 3
    assert await owed(bundle, bad.id) == [("run.updated", "failed")] * 2
    assert await owed(bundle, bare.id) == [("run.updated", "success")]


async def test_a_run_has_a_bounded_number_of_webhooks(bundle: Bundle) -> None:
    with pytest.raises(InvalidInput, match="at most"):
        await bundle.run(webhooks=hook("http://example.com/x") * (MAX_WEBHOOKS + 1))


def output(name: str, index: int) -> StoredOutput:
    return StoredOutput("9", "SaveImage", "images", index, filename=name, blob_key=name, mime="image/png", size=1)


def text_output() -> StoredOutput:
    return StoredOutput("7", "ShowText", "text", 0, value="a text")
