"""The ComfyDeploy dialect call by call."""
# ruff: noqa: E501  (one scenario, one line)

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from comfyserve.apis.comfydeploy.stream import Story
from comfyserve.apis.http.spool import Spool
from comfyserve.core.runs import Fact, FactKind
from comfyserve.ports import Downloading
from tests.apis.scenario import Scenario
from tests.apis.world import LABEL_GRAPH, STRANGER, World, key, over_the_wire
from tests.services.bundle import IMAGE_GRAPH

TEXT = json.dumps(LABEL_GRAPH)
EDITOR: dict[str, Any] = {"nodes": [], "links": []}
QUEUE = "/api/run/deployment/queue"
RUN = {"deployment_id": "<deployment>"}

SCENARIOS = [
    Scenario("queue", "POST", QUEUE, 200, ('{"run_id":"',), RUN | {"inputs": {"input_text": "x"}, "gpu": "A10G", "flags": ["a"]}),
    Scenario("queue without the prefix", "POST", "/run/deployment/queue", 200, ('{"run_id":"',), RUN),
    Scenario("unknown inputs pass and are told", "POST", QUEUE, 200, ('"warnings":[', "Known inputs: input_text"), RUN | {"inputs": {"nope": 1}}),
    Scenario("a null input", "POST", QUEUE, 422, ('"detail":[{"loc":["body","inputs","input_text"',), RUN | {"inputs": {"input_text": None}}),
    Scenario("an id that is none", "POST", QUEUE, 422, ('"detail":[{"loc":["body","deployment_id"]',), {"deployment_id": "x"}),
    Scenario("no id", "POST", QUEUE, 422, ('"type":"missing"',), {}),
    Scenario("unknown deployment", "POST", QUEUE, 404, ('{"detail":"Deployment not found"}',), {"deployment_id": "<none>"}),
    Scenario("malformed JSON", "POST", QUEUE, 400, ('{"detail":"The body is not JSON',), content=b"{"),
    Scenario("a batch", "POST", QUEUE, 400, ('{"detail":"Batches',), RUN | {"batch_number": 3}),
    Scenario("legacy run", "POST", "/api/run", 200, ('"run_id"',), RUN | {"inputs": {"input_text": "x"}}),
    Scenario("legacy error", "POST", "/api/run", 404, ('"detail":"Deployment not found"', '"error":"Deployment not found"'), {"deployment_id": "<none>"}),
    Scenario("run a version", "POST", "/api/run", 200, ('"run_id"',), {"workflow_version_id": "<version>"}),
    Scenario("run a graph", "POST", "/api/run/workflow/queue", 200, ('"run_id"',), {"workflow_id": "<workflow>", "workflow_api_json": LABEL_GRAPH, "workflow": EDITOR}),
    Scenario("run a graph of no workflow", "POST", "/api/run/workflow/queue", 404, ("Workflow not found",), {"workflow_id": "<none>", "workflow_api": LABEL_GRAPH}),
    Scenario("an asset that is gone", "POST", "/api/run/workflow/queue", 404, ("asset",), {"workflow_id": "<workflow>", "workflow_api_json": IMAGE_GRAPH, "inputs": {"input_image": "asset:img_1111111111111111"}}),
    Scenario("get a run", "GET", "/api/run/<run>", 200, ('"status":"success"', '"number":0', '"output_id":"final_result"', '"text":["a cap"]')),
    Scenario("get a run by query", "GET", "/api/run?run_id=<run>", 200, ('"workflow_outputs":{"images":[{',)),
    Scenario("queue position only when asked", "GET", "/api/run/<queued>", 200, ('"queue_position":null', '"status":"queued"')),
    Scenario("queue position", "GET", "/api/run/<queued>?queue_position=true", 200, ('"queue_position":0',)),
    Scenario("unknown run", "GET", "/api/run/<none>", 404, ('{"detail":"Run not found"}',)),
    Scenario("a run id that is none", "GET", "/api/run/nope", 422, ('"loc":["path","run_id"]',)),
    Scenario("a foreign run", "GET", "/api/run/<run>", 403, ('{"detail":"You are not authorized to access this resource"}',), headers=key(STRANGER)),
    Scenario("cancel a finished run", "POST", "/api/run/<run>/cancel", 200, ('{"status":"success","message":"Function cancelled"}',)),
    Scenario("cancel no run", "POST", "/api/run/<none>/cancel", 404, ('{"detail":"Run not found"}',)),
    Scenario("create from text", "POST", "/api/workflow", 200, ('"version":1', '"workflow_id"'), {"name": "t", "workflow_json": json.dumps(EDITOR), "workflow_api": TEXT}),
    Scenario("create from objects with a machine", "POST", "/api/workflow", 200, ('"machine_id":"<machine>"',), {"name": "m", "workflow_json": EDITOR, "workflow_api": LABEL_GRAPH, "machine_id": "<machine>"}),
    Scenario("V1 form", "POST", "/api/workflow", 200, ('"version":1',), {"workflow_id": "", "workflow_name": "v1", "workflow": EDITOR, "workflow_api": LABEL_GRAPH, "snapshot": {}}),
    Scenario("V1 new version", "POST", "/api/workflow", 200, ('"version":2',), {"workflow_id": "<workflow>", "workflow": EDITOR, "workflow_api": LABEL_GRAPH}),
    Scenario("text that is no JSON", "POST", "/api/workflow", 400, ('"error":"Invalid JSON format"',), {"name": "t", "workflow_json": "{", "workflow_api": TEXT}),
    Scenario("the editor form alone", "POST", "/api/workflow", 400, ('"detail":"',), {"name": "t", "workflow_json": json.dumps(EDITOR)}),
    Scenario("no name", "POST", "/api/workflow", 422, ('"detail":[{"loc":["body"]',), {"workflow_api": LABEL_GRAPH}),
    Scenario("new version", "POST", "/api/workflow/<workflow>/version", 200, ('"comment":"c"', '"workflow_api":{'), {"workflow": EDITOR, "workflow_api": LABEL_GRAPH, "comment": "c"}),
    Scenario("get a workflow", "GET", "/api/workflow/<workflow>", 200, ('"versions":[{', '"workflow_api":{')),
    Scenario("no workflow", "GET", "/api/workflow/<none>", 404, ('{"detail":"Workflow not found or you',)),
    Scenario("list workflows", "GET", "/api/workflows?search=LAB&limit=10", 200, ("<workflow>", '"user_icon":null')),
    Scenario("search for none", "GET", "/api/workflows?search=zzz", 200, ("[]",)),
    Scenario("negative offset", "GET", "/api/workflows?offset=-1", 422, ('"loc":["query","offset"]',)),
    Scenario("list versions", "GET", "/api/workflow/<workflow>/versions?search=INITIAL", 200, ('"version":1', '"workflow_api":{')),
    Scenario("version by number", "GET", "/api/workflow/<workflow>/version/1", 200, ("<version>",)),
    Scenario("version by id", "GET", "/api/workflow-version/<version>", 200, ('"version":1',)),
    Scenario("deploy", "POST", "/api/deployment", 200, ('"environment":"staging"',), {"workflow_version_id": "<version>", "workflow_id": "<workflow>", "machine_id": "<machine>", "environment": "staging"}),
    Scenario("deploy nowhere", "POST", "/api/deployment", 400, ("Machine ID or Machine Version ID is required",), {"workflow_version_id": "<version>", "workflow_id": "<workflow>", "environment": "staging"}),
    Scenario("deploy to no environment", "POST", "/api/deployment", 422, ('"environment"',), {"workflow_version_id": "<version>", "workflow_id": "<workflow>", "machine_id": "<machine>", "environment": "moon"}),
    Scenario("get a deployment", "GET", "/api/deployment/<deployment>", 200, ('"input_types":[{', '"type":"string"', '"output_id":"final_result"')),
    Scenario("no deployment", "GET", "/api/deployment/<none>", 404, ('{"detail":"Deployment not found"}',)),
    Scenario("list deployments", "GET", "/api/deployments?environment=production", 200, ("<deployment>", '"input_types":[{')),
    Scenario("list machines", "GET", "/api/machines", 200, ('"type":"classic"',)),
    Scenario("get a machine", "GET", "/api/machine/<machine>", 200, ('"endpoint":""',)),
    Scenario("no machine", "GET", "/api/machine/<none>", 404, ('{"detail":"Machine not found"}',)),
    Scenario("unknown route", "GET", "/api/nothing", 404, ('{"detail":"',)),
    Scenario("wrong method", "DELETE", "/api/machines", 405, ('{"detail":"',)),
    Scenario("wrong key", "GET", "/api/machines", 401, ('{"detail":"Invalid or expired token"}',), headers=key("cs_wrong")),
    Scenario("its own document", "GET", "/api/openapi.json", 200, ('"title":"ComfyDeploy API"', '"version":"V2"', '"/run/deployment/queue"')),
]  # fmt: skip


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda one: one.name)
async def test_comfydeploy(shared: tuple[World, dict[str, str]], scenario: Scenario) -> None:
    await scenario.play(*shared)


async def test_a_token_may_stand_in_the_query(world: World) -> None:
    bare = {"authorization": ""}
    assert (await world.json("GET", "/api/machines", 401, headers=bare)) == {"detail": "Invalid or missing token"}
    assert await world.json("GET", f"/api/machines?cd_token={STRANGER}", headers=bare) == []


async def test_the_same_environment_keeps_its_deployment(world: World) -> None:
    names = await world.names()
    body = {"workflow_id": names["workflow"], "machine_id": names["machine"], "environment": "staging"}
    first = await world.json("POST", "/api/deployment", json=body | {"workflow_version_id": names["version"]})
    version = await world.json(
        "POST", f"/api/workflow/{names['workflow']}/version", json={"workflow": EDITOR, "workflow_api": LABEL_GRAPH}
    )
    second = await world.json("POST", "/api/deployment", json=body | {"workflow_version_id": version["id"]})
    assert second["id"] == first["id"]
    assert second["workflow_version_id"] == version["id"]


async def test_a_deployment_is_not_given_the_version_of_another_workflow(world: World) -> None:
    names = await world.names()
    other = await world.bundle.workflows.create(world.bundle.caller, "other", LABEL_GRAPH)
    body = {"workflow_id": other.id, "machine_id": names["machine"], "environment": "staging"}
    body |= {"deployment_id": names["deployment"]}
    other_version = body | {"workflow_version_id": other.latest_version_id}
    told = await world.json("POST", "/api/deployment", 409, json=other_version)
    assert "another workflow" in told["detail"]
    await world.json("POST", "/api/deployment", 404, json=body | {"workflow_version_id": names["none"]})
    same = await world.json("POST", "/api/deployment", json=body | {"workflow_version_id": names["version"]})
    assert (same["id"], same["workflow_version_id"]) == (names["deployment"], names["version"])


async def test_an_upload_becomes_an_input(world: World) -> None:
    answer = await world.json("POST", "/api/file/upload", files={"file": ("cat.png", b"\x89PNG")})
    assert answer["message"] == "File uploaded successfully"
    assert answer["file_id"].startswith("img_")
    assert (await world.client.get(answer["file_url"])).content == b"\x89PNG"


@pytest.mark.parametrize("path", [QUEUE, "/api/run"])
async def test_long_inputs_go_to_disk_and_come_back(world: World, path: str, tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool")
    spool.open()
    context = world.app.state.context
    world.app.state.context = replace(context, options=replace(context.options, spool=spool))
    body = {"deployment_id": (await world.names())["deployment"], "inputs": {"input_text": "QUFB" * 30_000}}
    run_id = (await world.json("POST", path, json=body))["run_id"]
    run = await world.bundle.runs.get(world.bundle.caller, run_id)
    assert run.inputs == body["inputs"]
    queued = await world.bundle.runs.told(world.bundle.caller, run_id)
    assert queued.graph["1"]["inputs"]["default_value"] == body["inputs"]["input_text"]
    assert list((tmp_path / "spool").iterdir()) == []
    workflow = await world.bundle.workflows.create(world.bundle.caller, "picture", IMAGE_GRAPH)
    inputs = {"input_image": f"data:image/png;base64,{'QUFB' * 30_000}"}
    order = {"workflow_id": workflow.id, "workflow_api_json": IMAGE_GRAPH, "inputs": inputs}
    refused = await world.client.post("/api/run/workflow/queue", json=order)
    assert refused.status_code >= 400 and "10000 bytes" in refused.text


@pytest.mark.parametrize("name", ["a.txt", "a", "a.unknown"])
async def test_a_file_of_another_kind_is_refused(world: World, name: str) -> None:
    answer = await world.json("POST", "/api/file/upload", 400, files={"file": (name, b"x")})
    assert answer == {"detail": "Unsupported file type"}


async def test_a_failed_run_tells_why_in_a_field_of_its_own(world: World) -> None:
    names = await world.names()
    await world.fail(await world.next_claim())
    run = await world.json("GET", f"/api/run/{names['queued']}")
    assert (run["status"], run["error"], run["outputs"]) == ("failed", "out of paint", [])


async def test_sync_waits_for_the_outputs(world: World) -> None:
    names = await world.names()
    await world.finish(await world.next_claim())
    async with over_the_wire(world.app) as client:
        calling = client.post("/api/run/deployment/sync", json={"deployment_id": names["deployment"], "inputs": {}})
        answer, run_id = await asyncio.gather(calling, _work(world))
    assert answer.status_code == 200
    assert answer.headers["x-run-id"] == run_id
    assert answer.headers["x-run-status"] == "success"
    assert [sorted(one["data"]) for one in answer.json()] == [["images"], ["text"]]


async def test_stream_tells_the_story_in_their_words(world: World) -> None:
    names = await world.names()
    await world.finish(await world.next_claim())
    story = await _story(world, names["deployment"], world.finish)
    named = [data.get("event", "prompt") for _, data in story]
    assert named == [
        "queuing",
        "run_id",
        "function_call_id",
        "gpu_ready",
        "gpu_event_id",
        "comfyui_api_ready",
        "comfyui_ready",
        "prompt",
        "execution_start",
        "executing",
        "live_status",
        "output_ready",
        "output_ready",
        "execution_success",
        "status",
    ]
    assert {name for name, _ in story} == {"event_update"}
    assert story[-1][1]["data"]["status"] == "success"
    picture = story[11][1]["data"]["output"]["images"][0]
    assert picture["filename"] == "x.png" and picture["url"].startswith("http")
    assert story[12][1]["data"]["output"] == {"text": ["a cap"]}


async def test_stream_tells_a_loss_and_a_failure(world: World) -> None:
    names = await world.names()
    await world.finish(await world.next_claim())

    async def lose_and_fail(claim: Any) -> None:
        lost = Fact(FactKind.LOST, {"reason": "the engine died"})
        await world.bundle.record.apply(claim.run.id, claim.lease.token, [lost])
        world.bundle.clock.step(10)
        await world.fail(await world.next_claim())

    story = await _story(world, names["deployment"], lose_and_fail)
    assert ("log_update", "the engine died") in [(name, data.get("logs")) for name, data in story]
    assert story[-2][1]["event"] == "execution_error"
    assert story[-2][1]["data"]["exception_message"] == "out of paint"
    assert story[-1][1]["data"]["status"] == "failed"


async def test_stream_tells_of_downloads(world: World) -> None:
    names = await world.names()
    await world.finish(await world.next_claim())

    async def download_and_finish(claim: Any) -> None:
        for received in (430, 1000):
            world.bundle.live.put(claim.run.id, Downloading("ckpt", "host/model.safetensors", received, 1000))
        arrived = {"label": "ckpt", "name": "host/model.safetensors", "bytes": 1000, "seconds": 1.0, "cached": False}
        await world.bundle.record.apply(claim.run.id, claim.lease.token, [Fact(FactKind.DOWNLOADED, arrived)])
        await world.finish(claim)

    story = await _story(world, names["deployment"], download_and_finish)
    assert ("log_update", "host/model.safetensors: downloaded, 1000 bytes") in [
        (name, data.get("logs")) for name, data in story
    ]


def test_a_download_is_a_live_status() -> None:
    told = Story("run", {}).told(Downloading("ckpt", "host/model.safetensors", 430, 1000))
    status = {"prompt_id": "run", "live_status": "Downloading host/model.safetensors 43 %", "progress": 0.0}
    assert told == [("event_update", {"event": "live_status", "data": status})]
    [(_, unknown)] = Story("run", {}).told(Downloading("ckpt", "host/a", 430))
    assert unknown["data"]["live_status"] == "Downloading host/a"


async def _work(world: World) -> str:
    return await world.finish(await world.next_claim())


async def _story(world: World, deployment: str, end: Any) -> list[tuple[str, dict[str, Any]]]:
    told: list[tuple[str, dict[str, Any]]] = []
    body = {"deployment_id": deployment}
    async with (
        over_the_wire(world.app) as client,
        client.stream("POST", "/api/run/deployment/stream", json=body) as answer,
    ):
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["x-run-id"]
        await end(await world.next_claim())
        text = "".join([part async for part in answer.aiter_text()])
    for block in text.strip().split("\n\n"):
        name, data = block.split("\n")
        told.append((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return told
