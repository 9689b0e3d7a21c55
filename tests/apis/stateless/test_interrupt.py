"""POST /interrupt: by request id, also what waits; the truth about what has ended."""

from typing import Any

import pytest

from comfyserve.core.runs import Status
from tests.apis.stateless.desk import Desk

WRONG: list[tuple[Any, str]] = [
    ({}, "body/id Required"),
    ({"id": 7}, "body/id Expected string, received number"),
    ({"id": None}, "body/id Expected string, received null"),
    ([], "body Expected object, received array"),
]


async def test_a_prompt_that_waits_really_goes(desk: Desk) -> None:
    await desk.send("mine")
    assert await desk.json("POST", "/interrupt", json={"id": "mine"}) == {"id": "mine", "interrupted": "success"}
    run = await desk.bundle.runs.named(desk.bundle.caller, "mine")
    assert run.status is Status.CANCELLED
    assert await desk.bundle.record.claim(desk.bundle.machine_id, "worker") is None


async def test_a_prompt_that_runs_is_stopped_and_no_other(desk: Desk) -> None:
    await desk.send("mine")
    claim = await desk.next_claim()
    await desk.send("other")
    other = await desk.next_claim()
    assert await desk.json("POST", "/interrupt", json={"id": "mine"}) == {"id": "mine", "interrupted": "success"}
    assert await desk.bundle.record.wished([claim.run.id, other.run.id]) == {claim.run.id}


@pytest.mark.parametrize("ending", ["done", "failed", "cancelled", "nobody"])
async def test_what_has_ended_or_never_was_is_told_as_failed(desk: Desk, ending: str) -> None:
    if ending in ("done", "failed"):
        await getattr(desk, ending)("mine")
    if ending == "cancelled":
        await desk.send("mine")
        await desk.json("DELETE", "/prompt/mine")
    told = await desk.json("POST", "/interrupt", 404, json={"id": "mine"})
    assert told == {"id": "mine", "interrupted": "failed"}


@pytest.mark.parametrize(("body", "message"), WRONG)
async def test_a_body_without_an_id_is_told_in_full(desk: Desk, body: Any, message: str) -> None:
    assert await desk.json("POST", "/interrupt", 400, json=body) == {
        "statusCode": 400,
        "code": "FST_ERR_VALIDATION",
        "error": "Bad Request",
        "message": message,
    }


async def test_other_types_and_broken_json_are_refused(desk: Desk) -> None:
    headers = {"content-type": "application/xml"}
    told = await desk.json("POST", "/interrupt", 415, content=b"<id/>", headers=headers)
    assert told["code"] == "FST_ERR_CTP_INVALID_MEDIA_TYPE"
    told = await desk.json("POST", "/interrupt", 400, content=b'{"id":', headers={"content-type": "application/json"})
    assert told["error"] == "Bad Request"


async def test_unknown_keys_are_dropped_or_refused_by_a_strict_server(desk: Desk) -> None:
    body = {"id": "nobody", "now": True}
    await desk.json("POST", "/interrupt", 404, json=body)
    desk.set(strict=True)
    told = await desk.json("POST", "/interrupt", 400, json=body)
    assert told["message"] == "body/now Unknown key"
