"""The editor's form at the door: converted with the machine's nodes, or refused with what to do."""

import json
from typing import Any

import pytest

from comfyserve.core.errors import Conflict, InvalidGraph, InvalidInput, NotFound, TooLarge
from comfyserve.services.forms import EditorForms
from tests.services.bundle import Bundle

CATALOGUE = {
    "EmptyImage": {
        "input": {"required": {"width": ["INT", {"default": 512}], "color": ["INT", {"default": 0}]}},
        "input_order": {"required": ["width", "color"]},
        "output": ["IMAGE"],
        "name": "EmptyImage",
        "display_name": "Empty Image",
    }
}
EDITOR: dict[str, Any] = {
    "nodes": [{"id": 1, "type": "EmptyImage", "inputs": [], "widgets_values": [64, 255]}],
    "links": [],
    "version": 0.4,
}
GRAPH = {"1": {"class_type": "EmptyImage", "inputs": {"width": 64, "color": 255}, "_meta": {"title": "Empty Image"}}}


@pytest.fixture
async def known(bundle: Bundle) -> Bundle:
    """The bundle when a worker has told its nodes."""
    await bundle.record.publish_catalogue(bundle.machine_id, CATALOGUE)
    return bundle


@pytest.mark.parametrize(("graph", "editor"), [(EDITOR, None), (None, EDITOR), (EDITOR, {"kept": True})])
async def test_a_workflow_of_the_editor(known: Bundle, graph: Any, editor: Any) -> None:
    made = await known.workflows.create(known.caller, "w", graph, editor)
    version = await known.workflows.version(known.caller, made.id, 1)
    assert version.graph == GRAPH
    assert version.editor == (editor or EDITOR)
    again = await known.workflows.add_version(known.caller, made.id, graph, editor)
    assert again.graph == GRAPH


async def test_a_run_of_the_editor_s_form(known: Bundle) -> None:
    await known.run(EDITOR)
    claim = await known.claim()
    assert claim.graph.as_json() == GRAPH
    assert claim.extra_data == {"extra_pnginfo": {"workflow": EDITOR}}


async def test_nodes_at_fault_are_named(known: Bundle) -> None:
    with pytest.raises(InvalidGraph) as caught:
        await known.workflows.create(known.caller, "w", {**EDITOR, "nodes": [{"id": 7, "type": "Gone"}]})
    assert caught.value.details["nodes"] == [
        {"node_id": "7", "class_type": "Gone", "reason": "the engine has no such node class"}
    ]


async def test_a_machine_that_has_not_told_its_nodes(bundle: Bundle) -> None:
    with pytest.raises(Conflict, match="has not told yet which nodes it has"):
        await bundle.workflows.create(bundle.caller, "w", EDITOR)
    await bundle.machines.report_state(bundle.machine_id, "failed", {"code": "engine_lost", "message": "gone"})
    patient = EditorForms(bundle.machines, graph_bytes=1_000, wait_seconds=3600)
    with pytest.raises(Conflict):
        await patient.settle(bundle.caller, EDITOR, None)


async def test_what_cannot_be_one(known: Bundle) -> None:
    forms = EditorForms(known.machines, graph_bytes=1_000, wait_seconds=0)
    with pytest.raises(InvalidInput, match="Give the workflow"):
        await forms.settle(known.caller, None, None)
    with pytest.raises(TooLarge):
        await forms.settle(known.caller, {**EDITOR, "extra": "x" * 2_000}, None)
    with pytest.raises(NotFound):
        await forms.settle(known.caller, EDITOR, None, "00000000-0000-4000-8000-000000000000")
    with pytest.raises(InvalidGraph, match="has no nodes"):
        await forms.settle(known.caller, {"nodes": [], "links": []}, None)


async def test_a_file(known: Bundle) -> None:
    found = await known.forms.read(known.caller, json.dumps(EDITOR).encode())
    assert (found.graph, found.editor, found.inputs) == (GRAPH, EDITOR, ())
    plain = await known.forms.read(known.caller, json.dumps(GRAPH).encode())
    assert (plain.graph, plain.editor) == (GRAPH, None)
    with pytest.raises(InvalidGraph, match="carries no workflow"):
        await known.forms.read(known.caller, b"GIF89a")
