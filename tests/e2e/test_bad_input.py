"""Wrong input is told to its sender, with the place, and hurts nobody else."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from comfyserve.client import ApiError, Client
from tests.e2e.program import Program, colour_graph, finished

pytestmark = pytest.mark.asyncio(loop_scope="module")

BIG = 50 * 1024 * 1024


async def _refused(client: Client, deployment: str | None, inputs: Any, graph: Any = None) -> ApiError:
    with pytest.raises(ApiError) as refused:
        await client.create_run(deployment, inputs, graph=graph)
    return refused.value


async def test_an_unknown_deployment(client: Client) -> None:
    assert (await _refused(client, "nobody", {})).status == 404


async def test_an_unknown_input_is_told_with_the_known_ones(client: Client) -> None:
    error = await _refused(client, "pod", {"input_txt": "x"})
    assert error.status == 400 and error.code == "invalid_input" and error.place["field"] == "input_txt"
    assert "input_text" in str(error)


@pytest.mark.parametrize(
    ("name", "value"),
    [("input_number", "big"), ("input_number", 700), ("input_number", None), ("input_text", {"a": 1})],
)
async def test_a_wrong_value_names_its_field(client: Client, name: str, value: Any) -> None:
    if value is None:
        run = await client.create_run("pod", {name: value})
        assert (await finished(client, run["id"]))["status"] == "success"
        return
    error = await _refused(client, "pod", {name: value})
    assert error.status in (400, 422) and name in json.dumps([error.place, error.details, str(error)])


async def test_a_cycle(client: Client) -> None:
    graph = colour_graph()
    graph["3"] = {"class_type": "ImageInvert", "inputs": {"image": ["4", 0]}}
    graph["4"] = {"class_type": "ImageInvert", "inputs": {"image": ["3", 0]}}
    error = await _refused(client, None, {}, graph)
    assert error.code == "invalid_graph" and "cycle" in str(error)


async def test_an_unknown_node_class(client: Client) -> None:
    graph = colour_graph()
    graph["2"]["class_type"] = "NobodyKnowsThisNode"
    error = await _refused(client, None, {}, graph)
    assert error.code == "invalid_graph" and "NobodyKnowsThisNode" in str(error) and error.place["node_id"] == "2"


async def test_an_editor_form_with_unknown_nodes(client: Client) -> None:
    error = await _refused(client, None, {}, {"nodes": [{"id": 7, "type": "Gone"}], "links": [], "version": 0.4})
    assert error.code == "invalid_graph" and error.place == {"node_id": "7"}
    assert [node["class_type"] for node in error.details["nodes"]] == ["Gone"]


async def test_malformed_json(shared: Program) -> None:
    async with httpx2.AsyncClient(base_url=shared.url, trust_env=False) as web:
        headers = {"Authorization": f"Bearer {shared.key}", "Content-Type": "application/json"}
        native = await web.post("/v1/runs", content=b'{"deployment": ', headers=headers)
        assert native.status_code == 400 and native.json()["error"]["code"] == "malformed_json"
        dialect = await web.post("/api/run/deployment/queue", content=b"{", headers=headers)
        assert dialect.status_code == 400 and isinstance(dialect.json()["detail"], str)


async def test_a_foreign_key(shared: Program) -> None:
    async with shared.client("cs_wrong") as stranger:
        with pytest.raises(ApiError) as refused:
            await stranger.create_run("pod", {})
    assert refused.value.status == 401


async def test_a_body_of_50_megabytes(shared: Program) -> None:
    async with httpx2.AsyncClient(base_url=shared.url, trust_env=False, timeout=60) as web:
        headers = {"Authorization": f"Bearer {shared.key}", "Content-Type": "application/json"}
        body = b'{"deployment": "pod", "inputs": {"input_text": "' + b"a" * BIG + b'"}}'
        answer = await web.post("/v1/runs", content=body, headers=headers)
        assert answer.status_code == 413 and answer.json()["error"]["code"] == "too_large"
        assert (await web.get("/health")).status_code == 200


async def test_a_picture_that_is_none(client: Client, tmp_path: Path) -> None:
    (tmp_path / "logo.png").write_text("<html>not found</html>")
    asset = await client.upload(tmp_path / "logo.png")
    error = await _error_of(client, {"input_image": asset["url"]})
    assert error["code"] == "invalid_input" and error["place"]["field"] == "input_image"


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:9/logo.png",
        "http://169.254.169.254/latest/meta-data",
        "http://[::1]/x.png",
        "http://10.0.0.1/",
    ],
)
async def test_a_private_address(client: Client, url: str) -> None:
    assert (await _error_of(client, {"input_image": url}))["code"] == "fetch_refused"


async def test_a_scheme_that_is_not_fetched(client: Client) -> None:
    error = await _refused(client, "pod", {"input_image": "file:///etc/passwd"})
    assert error.place["field"] == "input_image"


async def test_a_url_that_hangs_ends_with_its_clock(tmp_path: Path) -> None:
    from tests.e2e.program import program, ready

    async with (
        _hanging() as url,
        program(tmp_path / "data", allow_private_network="127.0.0.1", fetch_seconds="1", max_attempts="1") as running,
        running.client() as client,
    ):
        await ready(client)
        run = await client.create_run("pod", {"input_image": url})
        ended = await finished(client, run["id"])
        assert ended["status"] == "failed" and "1" in ended["error"]["message"]


@asynccontextmanager
async def _hanging() -> AsyncIterator[str]:
    """A server that takes connections and says nothing."""

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/logo.png"
    finally:
        server.close()


async def _error_of(client: Client, inputs: Any) -> Any:
    """The error of a run that was accepted and failed."""
    ended = await finished(client, (await client.create_run("pod", inputs))["id"])
    assert ended["status"] == "failed"
    return ended["error"]
