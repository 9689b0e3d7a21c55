"""Every route of the protocol is there, with and without /api where ComfyUI has both, and bad input is told."""

from typing import Any
from urllib.parse import quote

import pytest

from comfyserve.embedded.files.folders import Folders
from comfyserve.embedded.packs.registry import Packs
from comfyserve.embedded.routes.app import build_app
from tests.embedded.conftest import Seat

# method, path as registered, path as asked, status with an empty or minimal body
DOUBLED: list[tuple[str, str, str, int]] = [
    ("GET", "/prompt", "/prompt", 200),
    ("POST", "/prompt", "/prompt", 400),
    ("GET", "/queue", "/queue", 200),
    ("POST", "/queue", "/queue", 200),
    ("POST", "/interrupt", "/interrupt", 200),
    ("POST", "/free", "/free", 200),
    ("GET", "/history", "/history", 200),
    ("POST", "/history", "/history", 200),
    ("GET", "/history/{prompt_id}", "/history/none", 200),
    ("GET", "/ws", "/ws", 400),
    ("GET", "/view", "/view", 404),
    ("POST", "/upload/image", "/upload/image", 400),
    ("POST", "/upload/mask", "/upload/mask", 400),
    ("GET", "/view_metadata/{folder}", "/view_metadata/loras", 404),
    ("GET", "/object_info", "/object_info", 200),
    ("GET", "/object_info/{class_type}", "/object_info/Number", 200),
    ("GET", "/system_stats", "/system_stats", 200),
    ("GET", "/features", "/features", 200),
    ("GET", "/models", "/models", 200),
    ("GET", "/models/{folder}", "/models/loras", 200),
    ("GET", "/experiment/models", "/experiment/models", 200),
    ("GET", "/experiment/models/{folder}", "/experiment/models/loras", 200),
    (
        "GET",
        "/experiment/models/preview/{folder}/{path_index}/{name}",
        "/experiment/models/preview/loras/0/x.safetensors",
        404,
    ),
    ("GET", "/embeddings", "/embeddings", 200),
    ("GET", "/extensions", "/extensions", 200),
    ("GET", "/i18n", "/i18n", 200),
    ("GET", "/workflow_templates", "/workflow_templates", 200),
    ("GET", "/global_subgraphs", "/global_subgraphs", 200),
    ("GET", "/global_subgraphs/{subgraph_id}", "/global_subgraphs/none", 404),
    ("GET", "/users", "/users", 200),
    ("POST", "/users", "/users", 400),
    ("GET", "/settings", "/settings", 200),
    ("POST", "/settings", "/settings", 200),
    ("GET", "/settings/{key}", "/settings/a.b", 200),
    ("POST", "/settings/{key}", "/settings/a.b", 200),
    ("GET", "/userdata", "/userdata?dir=.", 404),
    ("GET", "/v2/userdata", "/v2/userdata", 200),
    ("GET", "/userdata/{file}", "/userdata/none", 404),
    ("POST", "/userdata/{file}", "/userdata/one%2Ftwo.json", 200),
    ("DELETE", "/userdata/{file}", "/userdata/none", 404),
    ("POST", "/userdata/{file}/move/{dest}", "/userdata/none/move/other", 404),
]
ONCE: list[tuple[str, str, str, int]] = [
    ("GET", "/api/jobs", "/api/jobs", 200),
    ("POST", "/api/jobs/cancel", "/api/jobs/cancel", 400),
    ("GET", "/api/jobs/{job_id}", "/api/jobs/none", 404),
    ("POST", "/api/jobs/{job_id}/cancel", "/api/jobs/none/cancel", 404),
    ("GET", "/api/workflow_templates/{pack}/{path}", "/api/workflow_templates/none/x.json", 404),
    ("GET", "/extensions/{pack}/{path}", "/extensions/none/x.js", 404),
    ("GET", "/internal/logs", "/internal/logs", 200),
    ("GET", "/internal/logs/raw", "/internal/logs/raw", 200),
    ("PATCH", "/internal/logs/subscribe", "/internal/logs/subscribe", 400),
    ("GET", "/internal/folder_paths", "/internal/folder_paths", 200),
    ("GET", "/internal/files/{kind}", "/internal/files/output", 200),
    ("GET", "/internal/node_packs", "/internal/node_packs", 200),
    ("GET", "/", "/", 200),
    ("GET", "/{path}", "/none.html", 404),
]
BODIES = (b"", b"{", b"[]", b"null", b'"x"', b"5", b"\xff\xfe", b"[" * 50_000, b'{"prompt": {"1": 5}}', b"{" * 50_000)
WRONG_FIELDS = (
    b'{"delete": 5, "clear": {}}',
    b'{"delete": [[1], {}], "job_ids": 3, "username": []}',
    b'{"clientId": {}, "enabled": "x"}',
    b'{"prompt_id": {"a": 1}, "unload_models": "x", "free_memory": [1]}',
    b'{"prompt": {"1": {"class_type": ["x"], "inputs": 5}}}',
    b'{"prompt": {"1": {"class_type": "Show", "inputs": {"value": 1e999}}}, "number": 1e999}',
    b'{"prompt": {"1": {"class_type": "Show"}}, "extra_data": 5, "client_id": {}}',
    b'{"username": "\\ud800", "prompt": null, "partial_execution_targets": "x"}',
)
QUERY_KEYS = (
    *("filename", "dir", "path", "status", "limit", "offset", "max_items", "sort_by", "subfolder"),
    *("type", "preview", "channel", "clientId"),
)
NAMES = ("..", "../..", "/etc/passwd", "\0", "%2e%2e", "a" * 300, "a/" * 1500, "\udcff", "x" * 5000, "~", "con:*?")


def both(rows: list[tuple[str, str, str, int]]) -> list[tuple[str, str, str, int]]:
    return rows + [(method, f"/api{path}", f"/api{asked}", status) for method, path, asked, status in rows]


ALL = both(DOUBLED) + ONCE


@pytest.mark.parametrize(("method", "_path", "asked", "status"), ALL, ids=[f"{row[0]} {row[1]}" for row in ALL])
async def test_it_answers(seat: Seat, method: str, _path: str, asked: str, status: int) -> None:
    body = {"POST": b"{}", "PATCH": b"{}"}.get(method)
    assert (await seat.call(method, asked, data=body))[0] == status


@pytest.mark.parametrize(
    "asked", ["/jobs", "/api/internal/logs", "/api/internal/folder_paths", "/workflow_templates/none/x.json"]
)
async def test_what_exists_once_is_not_doubled(seat: Seat, asked: str) -> None:
    assert (await seat.call("GET", asked))[0] == 404


async def test_the_table_is_complete(seat: Seat, folders: Folders) -> None:
    seat.engine.packs.__dict__.update(Packs().__dict__)
    registered = {
        (route.method, route.resource.canonical)
        for route in build_app(seat.engine).router.routes()
        if route.resource is not None and route.method != "HEAD"
    }
    assert registered == {(method, path) for method, path, _, _ in ALL}


@pytest.mark.parametrize(("method", "_path", "asked", "_status"), [row for row in ALL if row[0] in ("POST", "PATCH")])
async def test_a_malformed_body_is_the_callers_fault(
    seat: Seat, method: str, _path: str, asked: str, _status: int
) -> None:
    for body in (*BODIES, *WRONG_FIELDS):
        status, answer = await seat.call(method, asked, data=body)
        assert status < 500, (body[:40], answer)


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
async def test_names_that_are_none_are_the_callers_fault(seat: Seat, method: str) -> None:
    for name in NAMES:
        text = quote(name, safe="", errors="surrogateescape")
        for path in _with_name(text):
            status, answer = await seat.call(method, path, data=b"{}" if method == "POST" else None)
            assert status < 500, (path[:80], answer)


def _with_name(name: str) -> list[str]:
    filled = [asked for _, path, asked, _ in DOUBLED + ONCE if "{" not in path]
    paths = [path.replace("{file}", name).replace("{dest}", name) for _, path, _, _ in DOUBLED if "{" in path]
    query = "&".join(f"{key}={name}" for key in QUERY_KEYS)
    braces = str.maketrans({"{": "", "}": ""})
    return [path.translate(braces) for path in paths] + [f"{path.partition('?')[0]}?{query}" for path in filled]


async def test_the_page_without_an_editor_says_how_to_get_it(seat: Seat) -> None:
    async with seat.session.get(seat.url) as response:
        text = await response.text()
        assert response.content_type == "text/html"
        assert [response.headers[name] for name in ("Cache-Control", "Pragma", "Expires")] == [
            "no-cache",
            "no-cache",
            "0",
        ]
    assert "comfyserve[editor]" in text


def test_no_row_stands_twice() -> None:
    rows: list[Any] = [row[:2] for row in ALL]
    assert len(rows) == len(set(rows))
