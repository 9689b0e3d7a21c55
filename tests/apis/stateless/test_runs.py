"""A prompt by its request id: its state, its result, its end."""

import base64
from urllib.parse import quote

import pytest
from sqlalchemy import delete

from comfyserve.core.runs import Fact, FactKind
from comfyserve.db.tables import assets
from comfyserve.ports import Preview, Progress
from tests.apis.stateless.desk import Desk
from tests.services.bundle import PNG

UNKNOWN = [
    ("GET", "/prompt/nobody"),
    ("GET", "/prompt/nobody/result"),
    ("GET", "/prompt/nobody/events"),
    ("POST", "/prompt/nobody/cancel"),
    ("DELETE", "/prompt/nobody"),
    ("GET", "/prompt/"),
    ("GET", "/prompt/" + "x" * 3000),
]


@pytest.mark.parametrize("request_id", ["mine", "a/b c/ü", "x?y#z"])
async def test_a_prompt_that_waits(desk: Desk, request_id: str) -> None:
    await desk.send("before")
    await desk.send(request_id)
    state = await desk.json("GET", f"/prompt/{quote(request_id)}")
    assert {key: state[key] for key in ("id", "status", "queue_position", "outputs")} == {
        "id": request_id,
        "status": "queued",
        "queue_position": 1,
        "outputs": [],
    }
    assert not {"error", "stats", "progress"} & state.keys()


async def test_a_prompt_that_runs_tells_its_progress(desk: Desk) -> None:
    await desk.send("mine")
    claim = await desk.next_claim()
    await desk.bundle.record.apply(claim.run.id, claim.lease.token, [Fact(FactKind.STARTED)])
    desk.bundle.live.put(claim.run.id, Progress("9", 3, 4, 0.75))
    desk.bundle.live.put(claim.run.id, Preview(b"\xff\xd8", "image/jpeg", "9"))
    state = await desk.json("GET", "/prompt/mine")
    assert state["status"] == "running"
    assert state["progress"] == {"fraction": 0.75, "node_id": "9", "value": 3, "maximum": 4}
    assert "queue_position" not in state


async def test_a_prompt_that_is_done_shows_what_it_gave(desk: Desk) -> None:
    await desk.done("mine")
    state = await desk.json("GET", "/prompt/mine")
    assert state["status"] == "completed"
    assert set(state["stats"]) >= {"comfy_execution", "total_time"}
    picture, words = state["outputs"]
    assert (picture["node_id"], picture["kind"], picture["filename"], picture["mime"]) == (
        "9",
        "image",
        "x.png",
        "image/png",
    )
    assert words["value"] == "a cap"
    file = await desk.client.get(picture["url"])
    assert file.content == PNG


async def test_the_result_is_the_answer_of_a_synchronous_call(desk: Desk) -> None:
    await desk.done("mine")
    answer = await desk.client.get("/prompt/mine/result")
    assert answer.status_code == 200
    body = answer.json()
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    assert list(body)[:2] == ["prompt", "id"]
    assert body["id"] == "mine"
    assert [base64.b64decode(image) for image in body["images"]] == [PNG]
    assert body["filenames"] == ["x.png"]
    assert "status" not in body


async def test_there_is_no_result_before_the_end(desk: Desk) -> None:
    await desk.send("mine")
    told = await desk.json("GET", "/prompt/mine/result", 409)
    assert (told["statusCode"], told["error"]) == (409, "Conflict")
    assert "queued" in told["message"]


async def test_the_result_of_a_failure_is_its_error(desk: Desk) -> None:
    await desk.failed("mine")
    told = await desk.json("GET", "/prompt/mine/result", 500)
    assert (told["message"], told["node_id"]) == ("out of paint", "9")
    state = await desk.json("GET", "/prompt/mine")
    assert (state["status"], state["error"]) == ("failed", told)


async def test_a_result_whose_files_are_gone_says_so(desk: Desk) -> None:
    await desk.done("mine")
    await desk.bundle.db.write(lambda connection: connection.execute(delete(assets)))
    await desk.json("GET", "/prompt/mine/result", 404)


@pytest.mark.parametrize(("method", "path"), UNKNOWN)
async def test_an_unknown_request_id_says_whose_it_may_be(desk: Desk, method: str, path: str) -> None:
    told = await desk.json(method, path, 404)
    assert (told["statusCode"], told["error"]) == (404, "Not Found")
    assert "This instance does not know this request id" in told["message"]


@pytest.mark.parametrize(("method", "path"), [("POST", "/prompt/a/b/cancel"), ("DELETE", "/prompt/a/b")])
async def test_a_prompt_that_waits_can_be_cancelled(desk: Desk, method: str, path: str) -> None:
    await desk.send("a/b")
    state = await desk.json(method, path)
    assert state["status"] == "interrupted"
    assert state["error"]["message"] == "Prompt execution interrupted"
    assert await desk.bundle.record.claim(desk.bundle.machine_id, "worker") is None


async def test_a_prompt_that_runs_is_asked_to_stop(desk: Desk) -> None:
    await desk.send("mine")
    claim = await desk.next_claim()
    assert (await desk.json("DELETE", "/prompt/mine"))["status"] == "running"
    assert await desk.bundle.record.wished([claim.run.id]) == {claim.run.id}


async def test_what_has_ended_stays_as_it_is(desk: Desk) -> None:
    await desk.done("mine")
    assert (await desk.json("POST", "/prompt/mine/cancel"))["status"] == "completed"


async def test_nothing_secret_is_told(desk: Desk) -> None:
    secret = {"type": "bearer", "token": "hf_very-secret"}
    await desk.done("mine", credentials=[{"url_pattern": "https://a/**", "auth": secret}])
    for path in ("/prompt/mine", "/prompt/mine/result", "/prompt/mine/events"):
        answer = await desk.client.get(path)
        assert answer.status_code == 200
        assert "very-secret" not in answer.text
