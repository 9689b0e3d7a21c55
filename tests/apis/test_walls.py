"""Every route, walked without a key, with a wrong one and with a key of another workspace."""

import re
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from tests.apis.world import LABEL_GRAPH, STRANGER, World, key

PUBLIC = {
    ("GET", "/health"),
    ("GET", "/ready"),
    ("GET", "/files/{asset_id}/{filename}"),
    ("HEAD", "/files/{asset_id}/{filename}"),
    ("GET", "/docs"),
    ("GET", "/docs/start.js"),
    ("POST", "/v1/session"),
}
"""What needs no key, each by decision."""

PARAMETERS = {
    "workflow_id": "workflow",
    "deployment_id": "deployment",
    "id_or_name": "deployment",
    "machine_id": "machine",
    "run_id": "run",
    "asset_id": "asset",
    "key_id": "key",
    "version_id": "version",
}
OWN_ROWS_ONLY = {
    "/v1/workflows",
    "/v1/graphs",
    "/v1/deployments",
    "/v1/machines",
    "/v1/runs",
    "/v1/assets",
    "/v1/keys",
    "/v1/me",
    "/v1/session",
    "/api/workflows",
    "/api/deployments",
    "/api/machines",
    "/api/workflow",
    "/api/file/upload",
}
"""Routes that name no row: they show and make the caller's own."""

BODIES: dict[str, dict[str, Any]] = {
    "/v1/runs": {"deployment": "<deployment>"},
    "/v1/deployments": {"name": "x", "workflow_id": "<workflow>"},
    "/v1/workflows/{workflow_id}/versions": {"graph": LABEL_GRAPH},
    "/v1/deployments/{id_or_name}": {"name": "mine"},
    "/api/deployment": {
        "workflow_version_id": "<version>",
        "workflow_id": "<workflow>",
        "machine_id": "<machine>",
        "environment": "production",
    },
    "/api/workflow/{workflow_id}/version": {"workflow_api": LABEL_GRAPH, "workflow": {}},
    "/api/run": {"deployment_id": "<deployment>"},
}
RUNS = {"deployment_id": "<deployment>"}
GRAPH_RUNS = {"workflow_id": "<workflow>", "workflow_api_json": LABEL_GRAPH}


def routes(app: FastAPI) -> list[tuple[str, str]]:
    """Every method and path of the app."""
    found = []
    for context in iter_route_contexts(app.routes):
        methods = getattr(context, "methods", None) or set()
        found += [(method, str(context.path)) for method in methods if method != "HEAD" or "files" in str(context.path)]
    return sorted(set(found))


def body_of(path: str) -> Any:
    if path.startswith("/api/run/workflow"):
        return GRAPH_RUNS
    if path.startswith("/api/run/") and "{" not in path:
        return RUNS
    return BODIES.get(path)


def filled(value: Any, names: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {one: filled(item, names) for one, item in value.items()}
    return names.get(value[1:-1], value) if isinstance(value, str) else value


def called(path: str, names: dict[str, str]) -> str:
    known = {parameter: names[name] for parameter, name in PARAMETERS.items()} | {"number": "1", "filename": "x"}
    query = f"?run_id={names['run']}" if path == "/api/run" else ""
    return re.sub(r"\{(\w+)\}", lambda found: known[found.group(1)], path) + query


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("headers", [{"authorization": ""}, key("cs_wrong"), {"authorization": "Basic eDp5"}])
async def test_nothing_answers_without_a_good_key(
    shared: tuple[World, dict[str, str]], headers: dict[str, str]
) -> None:
    world, names = shared
    walked = [one for one in routes(world.app) if one not in PUBLIC and "openapi" not in one[1]]
    assert len(walked) > 50
    for method, path in walked:
        request = {"json": filled(body_of(path), names)} if method in ("POST", "PATCH") else {}
        answer = await world.client.request(method, called(path, names), headers=headers, **request)
        assert answer.status_code == 401, f"{method} {path}: {answer.status_code} {answer.text[:200]}"


@pytest.mark.asyncio(loop_scope="module")
async def test_nothing_of_another_workspace_answers(shared: tuple[World, dict[str, str]]) -> None:
    world, names = shared
    hidden = [value for name, value in names.items() if name not in ("none", "file")]
    for method, path in routes(world.app):
        if (method, path) in PUBLIC or "openapi" in path:
            continue
        body = filled(body_of(path), names) if method in ("POST", "PATCH") else None
        request = {} if body is None else {"json": body}
        answer = await world.client.request(method, called(path, names), headers=key(STRANGER), **request)
        told = f"{method} {path}: {answer.status_code} {answer.text[:300]}"
        if path in OWN_ROWS_ONLY and body is None:
            assert not [one for one in hidden if one in answer.text], told
        else:
            assert answer.status_code in (403, 404), told


@pytest.mark.asyncio(loop_scope="module")
async def test_the_stranger_left_no_trace(shared: tuple[World, dict[str, str]]) -> None:
    world, names = shared
    assert (await world.json("GET", f"/v1/runs/{names['queued']}"))["status"] == "queued"
    assert (await world.json("GET", f"/v1/deployments/{names['deployment']}"))["name"] == "labels"
    assert (await world.json("GET", f"/v1/workflows/{names['workflow']}"))["latest_version"] == 1
