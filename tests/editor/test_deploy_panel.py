"""The Deploy panel in the real editor, in front of a real comfyserve server."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Locator, expect

from tests.e2e.program import Program, program
from tests.editor.conftest import Editor

pytestmark = pytest.mark.asyncio(loop_scope="module")

GRAPH: dict[str, Any] = {
    "1": {
        "class_type": "ComfyUIDeployExternalNumberInt",
        "inputs": {"input_id": "colour", "default_value": 255},
    },
    "2": {"class_type": "EmptyImage", "inputs": {"width": 32, "height": 16, "batch_size": 1, "color": ["1", 0]}},
    "3": {"class_type": "SaveImage", "inputs": {"images": ["2", 0], "filename_prefix": "panel"}},
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Program]:
    """A server of its own, without the example."""
    folder: Path = tmp_path_factory.mktemp("up")
    async with program(folder / "data", example="none") as running:
        yield running


async def panel_of(editor: Editor, server: Program, key: str) -> Locator:
    """The panel, open over GRAPH and told where the server is."""
    await editor.page.evaluate("(graph) => window.app.loadApiJson(graph, 'panel.json')", GRAPH)
    await editor.page.get_by_role("button", name="Deploy to comfyserve").click()
    panel = editor.page.get_by_test_id("comfyserve-panel")
    await panel.get_by_test_id("comfyserve-server").fill(server.url)
    await panel.get_by_test_id("comfyserve-key").fill(key)
    await panel.get_by_test_id("comfyserve-test").click()
    return panel


def allow(editor: Editor, server: Program) -> None:
    """The server is the one other host that the panel asks, and its refusals are the panel's to show."""
    found = editor.faults
    found.elsewhere = [url for url in found.elsewhere if not url.startswith(server.url)]
    found.answers = [answer for answer in found.answers if server.url not in answer]


async def test_deploy_makes_a_deployment_that_runs_and_then_its_next_version(editor: Editor, server: Program) -> None:
    panel = await panel_of(editor, server, server.key)
    await expect(panel.get_by_test_id("comfyserve-status")).to_contain_text("Connected")
    await panel.get_by_test_id("comfyserve-name").fill("From the panel")
    await panel.get_by_test_id("comfyserve-deployment").fill("from-the-panel")
    await panel.get_by_test_id("comfyserve-deploy").click()
    result = panel.get_by_test_id("comfyserve-result")
    await expect(result).to_contain_text("runs version 1")
    link = await panel.get_by_test_id("comfyserve-link").get_attribute("href")
    assert link is not None and link.startswith(server.url)
    await expect(panel.get_by_test_id("comfyserve-curl")).to_contain_text("/v1/runs")
    async with server.client() as client:
        run = await client.create_run("from-the-panel", {"colour": 65280})
        ended = [event async for event in client.events(run["id"])][-1]
        assert ended.data["status"] == "success"
    await expect(panel.get_by_test_id("comfyserve-mode-version")).to_be_checked()
    await panel.get_by_test_id("comfyserve-comment").fill("again")
    await panel.get_by_test_id("comfyserve-deploy").click()
    await expect(result).to_contain_text("runs version 2")
    allow(editor, server)


async def test_a_wrong_key_is_told_in_the_panel(editor: Editor, server: Program) -> None:
    panel = await panel_of(editor, server, "wrong")
    await expect(panel.get_by_test_id("comfyserve-connection-error")).to_contain_text(re.compile("key", re.IGNORECASE))
    await panel.get_by_test_id("comfyserve-deploy").click()
    await expect(panel.get_by_test_id("comfyserve-error")).not_to_be_empty()
    allow(editor, server)
