"""What somebody does in the editor: open a template or a saved workflow, run it, watch it, look back, cancel."""

import json
from typing import Any

import pytest
from playwright.async_api import expect

from tests.editor.conftest import Editor

pytestmark = pytest.mark.asyncio(loop_scope="module")

TEMPLATE = "image_sdxl_simple"
SAVED: dict[str, Any] = {
    "last_node_id": 2,
    "last_link_id": 1,
    "nodes": [
        {
            "id": 1,
            "type": "EmptyImage",
            "pos": [100, 100],
            "size": [270, 130],
            "flags": {},
            "order": 0,
            "mode": 0,
            "inputs": [],
            "outputs": [{"name": "IMAGE", "type": "IMAGE", "links": [1]}],
            "properties": {},
            "widgets_values": [64, 32, 1, 255],
        },
        {
            "id": 2,
            "type": "SaveImage",
            "pos": [500, 100],
            "size": [320, 300],
            "flags": {},
            "order": 1,
            "mode": 0,
            "inputs": [{"name": "images", "type": "IMAGE", "link": 1}],
            "outputs": [],
            "properties": {},
            "widgets_values": ["saved"],
        },
    ],
    "links": [[1, 1, 0, 2, 0, "IMAGE"]],
    "groups": [],
    "config": {},
    "extra": {},
    "version": 0.4,
}


async def open_template(editor: Editor) -> None:
    await editor.page.get_by_role("button", name="Templates", exact=True).click()
    dialog = editor.page.get_by_role("dialog")
    await dialog.locator("input").first.fill("SDXL")
    await dialog.get_by_test_id(f"template-workflow-{TEMPLATE}").click()
    await expect(editor.page.get_by_test_id("workflow-tab").filter(has_text=TEMPLATE)).to_be_visible()
    await editor.page.wait_for_function("() => window.app.graph.nodes.some((node) => node.type === 'KSampler')")


async def test_a_template_runs_with_progress_and_its_picture_is_in_the_history(editor: Editor) -> None:
    await open_template(editor)
    await editor.run()
    await editor.page.wait_for_function("() => /\\d+%/.test(document.title)")
    await editor.picture_shown()
    await editor.page.get_by_test_id("queue-overlay-toggle").click()
    await expect(editor.page.get_by_test_id("job-assets-list")).to_contain_text("sdxl_simple_00001_.png")
    await editor.page.get_by_test_id("assets-tab-button").click()
    await expect(editor.page.get_by_role("img", name="sdxl_simple_00001_").first).to_be_visible()
    (job,) = [job for job in await editor.jobs("completed") if job["outputs_count"] == 1]
    assert isinstance(job["preview_output"], dict)
    assert job["preview_output"]["filename"] == "sdxl_simple_00001_.png"


async def test_a_saved_workflow_opens_and_runs(editor: Editor) -> None:
    put = await editor.page.request.post(f"{editor.url}/api/userdata/workflows%2Fmine.json", data=json.dumps(SAVED))
    assert put.status == 200
    await editor.page.reload()
    await editor.page.get_by_test_id("workflows-tab-button").click()
    await editor.page.get_by_text("mine", exact=True).first.click()
    await editor.page.wait_for_function("() => window.app.graph.nodes.some((node) => node.type === 'EmptyImage')")
    assert await editor.nodes() == 2
    await editor.run()
    await editor.picture_shown()


async def test_a_run_is_cancelled(editor: Editor) -> None:
    await open_template(editor)
    await editor.page.evaluate(
        "() => { const sampler = window.app.graph.nodes.find((node) => node.type === 'KSampler');"
        " sampler.widgets.find((widget) => widget.name === 'steps').value = 5000; }"
    )
    await editor.run()
    await editor.page.wait_for_function("() => /\\d+%/.test(document.title)")
    await editor.page.get_by_role("button", name="Cancel current run").click()
    await editor.page.wait_for_function("() => !/%/.test(document.title)")
    assert len(await editor.jobs("cancelled")) == 1


async def test_a_refused_graph_marks_the_node(editor: Editor) -> None:
    await open_template(editor)
    await editor.page.evaluate(
        "() => { const loader = window.app.graph.nodes.find((node) => node.type === 'CheckpointLoaderSimple');"
        " loader.widgets[0].value = 'absent.safetensors'; }"
    )
    async with editor.page.expect_response("**/api/prompt") as answer:
        await editor.run()
    refused = await answer.value
    assert refused.status == 400
    await expect(editor.page.get_by_test_id("error-overlay")).to_be_visible()
    editor.faults.answers.clear()
