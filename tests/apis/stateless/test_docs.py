"""/docs: one page, its own files, and the document behind it."""

import re
from typing import Any

import pytest
import yaml

from comfyserve.core.errors import Unauthorized
from tests.apis.stateless.desk import Desk

SUMMARIES = {
    ("get", "/health"): "Health Probe",
    ("get", "/ready"): "Readiness Probe",
    ("get", "/models"): "List Models",
    ("post", "/prompt"): "Submit Prompt",
    ("post", "/interrupt"): "Interrupt Prompt",
    ("post", "/download"): "Download Model",
}


@pytest.mark.parametrize("path", ["/docs", "/docs/"])
async def test_the_page_asks_no_other_host(desk: Desk, path: str) -> None:
    answer = await desk.client.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "<title>ComfyUI API</title>" in answer.text
    wanted = re.findall(r'(?:src|href)="([^"]+)"', answer.text)
    assert len(wanted) == 4
    for address in wanted:
        assert address == "data:," or address.startswith("/docs/static/")
        if address != "data:,":
            file = await desk.client.get(address)
            assert file.status_code == 200
            assert file.content
    assert "default-src 'none'" in answer.headers["content-security-policy"]


async def test_the_page_draws_the_document(desk: Desk) -> None:
    script = await desk.client.get("/docs/static/swagger-initializer.js")
    assert 'url: "/docs/json"' in script.text
    assert "deepLinking: true" in script.text


@pytest.mark.parametrize("name", ["nope.js", "..%2f..%2fpyproject.toml", "redoc.standalone.js"])
async def test_no_other_file_is_given(desk: Desk, name: str) -> None:
    assert (await desk.client.get(f"/docs/static/{name}")).status_code == 404


@pytest.mark.parametrize("path", ["/docs/json", "/openapi.json"])
async def test_the_document_is_that_of_this_api(desk: Desk, path: str) -> None:
    desk.set(port=3456, version="9.8.7")
    document = await desk.json("GET", path)
    assert document["info"] == {"title": "ComfyUI API", "version": "9.8.7"}
    (server,) = document["servers"]
    assert (server["url"], server["description"]) == ("{accessDomainName}", "Your server")
    assert server["variables"]["accessDomainName"]["default"] == "http://localhost:3456"
    assert {place: _operation(document, *place)["summary"] for place in SUMMARIES} == SUMMARIES
    assert "security" not in document
    assert "securitySchemes" not in document.get("components", {})
    assert not [path for path in document["paths"] if path.startswith(("/v1", "/api", "/docs"))]


async def test_the_document_says_what_is_answered(desk: Desk) -> None:
    document = await desk.json("GET", "/docs/json")
    expected = {"/health": {"200", "500"}, "/ready": {"200", "503"}, "/download": {"200", "202", "400"}}
    for path, codes in expected.items():
        (operation,) = document["paths"][path].values()
        assert codes <= operation["responses"].keys()
    assert {"200", "404"} <= document["paths"]["/interrupt"]["post"]["responses"].keys()
    assert "ValidationError" not in str(document)
    body = document["paths"]["/download"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert set(body["required"]) == {"url", "model_type"}


async def test_the_document_is_there_as_yaml(desk: Desk) -> None:
    answer = await desk.client.get("/docs/yaml")
    assert answer.status_code == 200
    assert yaml.safe_load(answer.text) == await desk.json("GET", "/docs/json")


async def test_a_server_with_keys_says_so(desk: Desk) -> None:
    async def nobody(request: Any) -> Any:
        raise Unauthorized("This call needs a key.")

    desk.set(keyed=True, caller=nobody)
    document = await desk.json("GET", "/docs/json")
    assert document["security"] == [{"Bearer": []}]
    assert document["paths"]["/health"]["get"]["security"] == []
    for method, path in [("GET", "/models"), ("GET", "/prompt/x"), ("POST", "/interrupt"), ("POST", "/download")]:
        assert (await desk.client.request(method, path, json={})).status_code == 401
    for path in ("/health", "/ready", "/docs"):
        assert (await desk.client.get(path)).status_code == 200


async def test_custom_workflows_are_in_the_document_as_they_are_now(desk: Desk) -> None:
    assert not [path for path in (await desk.json("GET", "/docs/json"))["paths"] if path.startswith("/workflow")]
    desk.set(workflows=[_Workflow()])
    operation = _operation(await desk.json("GET", "/docs/json"), "post", "/workflow/sd1.5/txt2img")
    assert operation["summary"] == "Text to Image"


class _Workflow:
    path = "sd1.5/txt2img"
    summary = "Text to Image"
    description = "Makes one."

    @property
    def input_schema(self) -> dict[str, Any]:
        """One text."""
        return {"type": "object", "properties": {"prompt": {"type": "string"}}}

    async def read(self, given: Any) -> dict[str, Any]:
        """As it is."""
        return dict(given)

    async def graph(self, parsed: Any) -> dict[str, Any]:
        """Nothing."""
        return {}


def _operation(document: Any, method: str, path: str) -> dict[str, Any]:
    operation: dict[str, Any] = document["paths"][path][method]
    return operation
