"""The native API call by call."""
# ruff: noqa: E501  (one scenario, one line)

import json

import pytest
from pydantic import BaseModel

from tests.apis.scenario import Scenario
from tests.apis.world import LABEL_GRAPH, World, key

NAN = b'{"deployment": "labels", "inputs": {"input_text": NaN}}'
DEEP = b'{"deployment": "labels", "inputs": ' + b"[" * 100_000
LONG = "x" * 300
EDITOR = {"nodes": [{"id": 1, "type": "SaveImage"}], "links": [], "version": 0.4}

SCENARIOS = [
    Scenario("who am I", "GET", "/v1/me", 200, ('"name":"admin"', '"kind":"api"', '"version"')),
    Scenario("create a workflow", "POST", "/v1/workflows", 201, ('"latest_version":1',), {"name": "w", "graph": LABEL_GRAPH}),
    Scenario("a graph is an object", "POST", "/v1/workflows", 422, ('"invalid_request"', '"field":"graph"'), {"name": "w", "graph": 1}),
    Scenario("editor form without nodes", "POST", "/v1/workflows", 400, ('"invalid_graph"', "has no nodes"), {"name": "w", "graph": {"nodes": [], "links": []}}),
    Scenario("editor form before the machine is known", "POST", "/v1/workflows", 409, ('"conflict"', "Export (API)"), {"name": "w", "editor": EDITOR}),
    Scenario("no form", "POST", "/v1/workflows", 400, ('"invalid_input"', "as the editor saves it"), {"name": "w"}),
    Scenario("editor form for no machine", "POST", "/v1/workflows", 404, ('"not_found"',), {"name": "w", "editor": EDITOR, "machine_id": "<none>"}),
    Scenario("read a file", "POST", "/v1/graphs", 200, ('"graph":{', '"editor":null', '"id":"input_text"'), content=json.dumps(LABEL_GRAPH).encode()),
    Scenario("read a file that is none", "POST", "/v1/graphs", 400, ('"invalid_graph"', "carries no workflow"), content=b"GIF89a", headers={"content-type": "image/gif"}),
    Scenario("read an editor file", "POST", "/v1/graphs", 409, ('"form":"editor"',), content=json.dumps(EDITOR).encode()),
    Scenario("unknown key in a body", "POST", "/v1/workflows", 422, ("grpah",), {"name": "w", "graph": {}, "grpah": {}}),
    Scenario("name too long", "POST", "/v1/workflows", 422, ('"field":"name"',), {"name": LONG, "graph": LABEL_GRAPH}),
    Scenario("list workflows", "GET", "/v1/workflows", 200, ("<workflow>", '"next_cursor":null')),
    Scenario("limit too large", "GET", "/v1/workflows?limit=1000", 422, ('"field":"limit"',)),
    Scenario("foreign cursor", "GET", "/v1/workflows?cursor=abc", 400, ("cursor",)),
    Scenario("get a workflow", "GET", "/v1/workflows/<workflow>", 200, ('"name":"labels"',)),
    Scenario("unknown workflow", "GET", "/v1/workflows/<none>", 404, ('"not_found"', '"request_id"')),
    Scenario("add a version", "POST", "/v1/workflows/<workflow>/versions", 201, ('"version":2', '"comment":"c"'), {"graph": LABEL_GRAPH, "comment": "c"}),
    Scenario("list versions", "GET", "/v1/workflows/<workflow>/versions", 200, ('"version":1', '"id":"input_text"')),
    Scenario("get a version", "GET", "/v1/workflows/<workflow>/versions/1", 200, ('"graph":{', "<version>")),
    Scenario("version zero", "GET", "/v1/workflows/<workflow>/versions/0", 422, ()),
    Scenario("deploy", "POST", "/v1/deployments", 201, ('"environment":"production"',), {"name": "d1", "workflow_id": "<workflow>"}),
    Scenario("same name again", "POST", "/v1/deployments", 409, ('"conflict"',), {"name": "labels", "workflow_id": "<workflow>"}),
    Scenario("narrow to nonsense", "POST", "/v1/deployments", 400, ("nope",), {"name": "d", "workflow_id": "<workflow>", "inputs": {"nope": {"default": 1}}}),
    Scenario("narrow", "POST", "/v1/deployments", 201, ('"choices":["a","b"]', '"label":"Which"'), {"name": "d", "workflow_id": "<workflow>", "inputs": {"input_text": {"allowed": ["a", "b"], "default": "a", "label": "Which"}}}),
    Scenario("deployment by name", "GET", "/v1/deployments/labels", 200, ("<deployment>",)),
    Scenario("rename", "PATCH", "/v1/deployments/<spare>", 200, ('"name":"other"',), {"name": "other"}),
    Scenario("delete a deployment", "DELETE", "/v1/deployments/<spare>", 204),
    Scenario("list machines", "GET", "/v1/machines", 200, ('"name":"local"', '"queued":')),
    Scenario("get a machine", "GET", "/v1/machines/<machine>", 200, ('"status":"starting"',)),
    Scenario("run a deployment", "POST", "/v1/runs", 201, ('"status":"queued"', '"queue_position":'), {"deployment": "labels"}),
    Scenario("run a graph", "POST", "/v1/runs", 201, ('"deployment_id":null',), {"graph": LABEL_GRAPH}),
    Scenario("run both", "POST", "/v1/runs", 422, ("either",), {"deployment": "labels", "graph": {}}),
    Scenario("run nothing", "POST", "/v1/runs", 422, ("either",), {}),
    Scenario("unknown deployment", "POST", "/v1/runs", 404, ('"field":"deployment"',), {"deployment": "nope"}),
    Scenario("unknown input", "POST", "/v1/runs", 400, ('"invalid_input"', "input_text"), {"deployment": "labels", "inputs": {"x": 1}}),
    Scenario("wrong type", "POST", "/v1/runs", 400, ('"field":"input_text"',), {"deployment": "labels", "inputs": {"input_text": {"a": 1}}}),
    Scenario("priority out of range", "POST", "/v1/runs", 422, ('"field":"priority"',), {"deployment": "labels", "priority": 101}),
    Scenario("a cycle", "POST", "/v1/runs", 400, ('"invalid_graph"',), {"graph": {"1": {"class_type": "A", "inputs": {"x": ["2", 0]}}, "2": {"class_type": "A", "inputs": {"x": ["1", 0]}}}}),
    Scenario("malformed JSON", "POST", "/v1/runs", 400, ('"malformed_json"',), content=b'{"deployment": '),
    Scenario("NaN is no JSON", "POST", "/v1/runs", 400, ('"malformed_json"',), content=NAN),
    Scenario("bad UTF-8", "POST", "/v1/runs", 400, ('"malformed_json"',), content=b'{"deployment": "\xff"}'),
    Scenario("too deep", "POST", "/v1/runs", 400, ('"malformed_json"',), content=DEEP),
    Scenario("a list", "POST", "/v1/runs", 422, ('"invalid_request"',), content=b"[]"),
    Scenario("a form", "POST", "/v1/runs", 422, ('"invalid_request"',), content=b"a=1", headers={"content-type": "application/x-www-form-urlencoded"}),
    Scenario("no content type", "POST", "/v1/runs", 201, (), content=b'{"deployment": "labels"}', headers={"content-type": ""}),
    Scenario("list runs", "GET", "/v1/runs?status=success&deployment=labels", 200, ("<run>", '"asset_id":"img_', '"kind":"image"')),
    Scenario("unknown status", "GET", "/v1/runs?status=sleeping", 422, ('"field":"status"',)),
    Scenario("get a run", "GET", "/v1/runs/<run>", 200, ('"status":"success"', "/files/img_", '"value":"a cap"')),
    Scenario("a run id that is none", "GET", "/v1/runs/nope", 404, ('"not_found"',)),
    Scenario("cancel a queued run", "POST", "/v1/runs/<queued>/cancel", 200, ('"status":"cancelled"',)),
    Scenario("cancel a finished run", "POST", "/v1/runs/<run>/cancel", 200, ('"status":"success"',)),
    Scenario("events as JSON", "GET", "/v1/runs/<run>/events?limit=2", 200, ('"kind":"submitted"', '"next_cursor":"2"')),
    Scenario("events of no run", "GET", "/v1/runs/<none>/events", 404, (), headers={"accept": "text/event-stream"}),
    Scenario("bad Last-Event-ID", "GET", "/v1/runs/<run>/events", 422, ("Last-Event-ID",), headers={"accept": "text/event-stream", "last-event-id": "x"}),
    Scenario("Last-Event-ID beyond all", "GET", "/v1/runs/<run>/events", 422, ("Last-Event-ID",), headers={"accept": "text/event-stream", "last-event-id": "2147483648"}),
    Scenario("upload raw", "POST", "/v1/assets?filename=a.txt", 201, ('"filename":"a.txt"', '"size":2'), content=b"hi", headers={"content-type": "text/plain"}),
    Scenario("upload without a part", "POST", "/v1/assets", 422, ('"field":"file"',), content=b"--x--\r\n", headers={"content-type": "multipart/form-data; boundary=x"}),
    Scenario("get an asset", "GET", "/v1/assets/<asset>", 200, ('"mime":"image/png"',)),
    Scenario("list assets", "GET", "/v1/assets", 200, ("<asset>",)),
    Scenario("make a key", "POST", "/v1/keys", 201, ('"key":"cs_', '"expires_at":"2026-01-08'), {"name": "ci", "expires_in_days": 7}),
    Scenario("keys without secrets", "GET", "/v1/keys", 200, ('"prefix":"cs_', '"name":"spare"')),
    Scenario("revoke a key", "DELETE", "/v1/keys/<key>", 204),
    Scenario("unknown route", "GET", "/v1/nothing", 404, ('"not_found"', "/v1/nothing")),
    Scenario("wrong method", "PUT", "/v1/runs", 405, ('"method_not_allowed"',)),
    Scenario("health", "GET", "/health", 200, ('"ok"',)),
    Scenario("ready", "GET", "/ready", 200, ('"ready":true',)),
    Scenario("description", "GET", "/openapi.json", 200, ("/v1/runs", "/api/run/deployment/queue", "Bearer")),
]  # fmt: skip


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda one: one.name)
async def test_native(shared: tuple[World, dict[str, str]], scenario: Scenario) -> None:
    await scenario.play(*shared)


async def test_an_error_has_one_shape_and_the_request_id_of_the_header(world: World) -> None:
    answer = await world.client.get("/v1/runs/nope", headers={"x-request-id": "mine-1"})
    assert answer.headers["x-request-id"] == "mine-1"
    error = answer.json()["error"]
    assert error == {"code": "not_found", "message": error["message"], "request_id": "mine-1"}


async def test_a_strange_request_id_is_replaced(world: World) -> None:
    answer = await world.client.get("/health", headers={"x-request-id": "a b\tc"})
    assert answer.headers["x-request-id"] not in ("", "a b\tc")


async def test_an_idempotency_key_gives_the_same_run_again(world: World) -> None:
    await world.names()
    headers = {"idempotency-key": "k1"}
    first = await world.json("POST", "/v1/runs", 201, json={"deployment": "labels"}, headers=headers)
    again = await world.json("POST", "/v1/runs", 200, json={"deployment": "labels"}, headers=headers)
    assert again["id"] == first["id"]
    refused = await world.json("POST", "/v1/runs", 409, json={"deployment": "labels", "priority": 1}, headers=headers)
    assert refused["error"]["details"]["run_id"] == first["id"]


async def test_a_revoked_key_is_refused(world: World) -> None:
    made = await world.json("POST", "/v1/keys", 201, json={"name": "brief"})
    await world.json("GET", "/v1/me", headers=key(made["key"]))
    await world.json("DELETE", f"/v1/keys/{made['id']}", 204)
    answer = await world.client.get("/v1/me", headers=key(made["key"]))
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    listed = await world.json("GET", "/v1/keys")
    assert "key" not in listed["items"][0]
    assert made["id"] not in [one["id"] for one in listed["items"]]


async def test_pages_follow_each_other(world: World) -> None:
    names = [f"w{number}" for number in range(5)]
    for name in names:
        world.bundle.clock.step(1)
        await world.json("POST", "/v1/workflows", 201, json={"name": name, "graph": LABEL_GRAPH})
    seen: list[str] = []
    cursor = ""
    while True:
        page = await world.json("GET", f"/v1/workflows?limit=2{cursor}")
        seen += [one["name"] for one in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert seen == names[::-1]


async def test_a_failed_run_tells_why(world: World) -> None:
    await world.names()
    await world.fail(await world.next_claim())
    run = (await world.json("GET", "/v1/runs?status=failed"))["items"][0]
    assert run["error"] == {"code": "engine_error", "message": "out of paint", "place": {"node_id": "9"}}


async def test_answers_are_what_the_document_says(world: World) -> None:
    from comfyserve.apis.native import assets, deployments, keys, machines, runs, workflows

    names = await world.names()
    shapes: dict[str, type[BaseModel]] = {
        f"/v1/runs/{names['run']}": runs.Run,
        f"/v1/runs/{names['queued']}": runs.Run,
        f"/v1/workflows/{names['workflow']}": workflows.Workflow,
        f"/v1/workflows/{names['workflow']}/versions/1": workflows.Version,
        f"/v1/deployments/{names['deployment']}": deployments.Deployment,
        f"/v1/machines/{names['machine']}": machines.Machine,
        f"/v1/assets/{names['asset']}": assets.Asset,
    }
    for path, shape in shapes.items():
        answer = await world.client.get(path)
        assert json.loads(shape.model_validate_json(answer.content).model_dump_json()) == answer.json()
    for one in (await world.json("GET", "/v1/keys"))["items"]:
        keys.Key.model_validate(one)
