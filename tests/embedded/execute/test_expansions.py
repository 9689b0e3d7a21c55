"""Expansions that never end cost their prompt only (the bound is a setting); what they say while they run."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from comfyserve.embedded.files.folders import Folders
from comfyserve.embedded.graph.graph_builder import GraphBuilder, add_graph_prefix
from comfyserve.embedded.settings import ServerSettings
from tests.embedded.conftest import Seat, happens, serve
from tests.embedded.execute.probe_nodes import NODE_CLASS_MAPPINGS, Probe
from tests.embedded.execute.scenarios import node, show
from tests.embedded.sample_nodes import Steps, Waits

ENDLESS = 10**9


class Grows(Probe):
    """Becomes the node that it is told."""

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802 - a name of ComfyUI's contract
        return {"required": {"value": ("INT", {}), "into": ("STRING", {})}}

    def run(self, value: int, into: str) -> dict[str, Any]:
        graph = GraphBuilder()
        inner = graph.node(into, "inner", value=value)
        return {"expand": graph.finalize(), "result": (inner.out(0),)}


NODES = {**NODE_CLASS_MAPPINGS, "ProbeGrows": Grows, "Waits": Waits, "Steps": Steps}


@pytest.fixture
async def seat(folders: Folders) -> AsyncIterator[Seat]:
    async with serve(folders, ServerSettings(expanded_nodes=200), NODES) as running:
        yield running


async def test_an_endless_expansion_is_an_error(seat: Seat) -> None:
    events, record = await seat.run({"1": node("Loop", value=ENDLESS), "2": show("1")})
    error = dict(events)["execution_error"]
    assert error["exception_type"].endswith("ExpansionLimitError")
    assert "200 nodes" in error["exception_message"]
    assert error["node_id"] == "1"
    assert record["status"]["status_str"] == "error"


async def test_the_engine_goes_on(seat: Seat) -> None:
    await seat.run({"1": node("Loop", value=ENDLESS), "2": show("1")})
    _, record = await seat.run({"1": node("Loop", value=50), "2": show("1")})
    assert record["outputs"] == {"2": {"text": ["50"]}}


async def test_an_interruption_inside_names_the_node_of_the_graph(seat: Seat) -> None:
    Waits.started.clear()
    prompt_id = await seat.queue({"1": node("Grows", value=1, into="Waits"), "2": show("1")})
    await happens(Waits.started)
    await seat.call("POST", "/interrupt", json={"prompt_id": prompt_id})
    told = dict(await seat.events(prompt_id))["execution_interrupted"]
    assert (told["node_id"], told["node_type"]) == ("1", "ProbeGrows")


async def test_progress_inside_is_shown_by_the_node_of_the_graph(seat: Seat) -> None:
    events, _ = await seat.run({"1": node("Grows", value=2, into="Steps"), "2": show("1")}, prompt_id="p")
    progress = [data for name, data in events if name == "progress"]
    assert [(data["node"], data["value"], data["max"]) for data in progress] == [
        ("1.0.0.inner", 1, 2),
        ("1.0.0.inner", 2, 2),
    ]
    state = next(
        data["nodes"]["1.0.0.inner"] for name, data in events if name == "progress_state" and len(data["nodes"]) == 2
    )
    assert (state["display_node_id"], state["parent_node_id"], state["real_node_id"]) == ("1", "1", "1")


class TestGraphBuilder:
    """What packs do with it (the names of comfy_execution.graph_utils)."""

    def test_ids_follow_the_call_and_the_graph(self) -> None:
        GraphBuilder.set_default_prefix("7", 2)
        first, second = GraphBuilder(), GraphBuilder()
        assert (first.node("A").id, first.node("B").id, second.node("A", "x").id) == ("7.2.0.1", "7.2.0.2", "7.2.1.x")
        assert GraphBuilder(prefix="own.").node("A").out(1) == ["own.1", 1]

    def test_an_id_is_one_node(self) -> None:
        graph = GraphBuilder(prefix="g.")
        assert graph.node("A", "x", value=1) is graph.node("A", "x", value=2) is graph.lookup_node("x")

    def test_the_graph_as_it_is_returned(self) -> None:
        graph = GraphBuilder(prefix="g.")
        made = graph.node("A", "x", value=1, gone=2)
        made.set_input("gone", None)
        made.set_input("other", 3)
        made.set_override_display_id("9")
        inputs = {"value": 1, "other": 3}
        assert graph.finalize() == {"g.x": {"class_type": "A", "inputs": inputs, "override_display_id": "9"}}
        graph.remove_node("x")
        assert graph.finalize() == {}

    def test_an_output_is_replaced_wherever_it_is_used(self) -> None:
        graph = GraphBuilder(prefix="g.")
        one = graph.node("A", "x")
        two = graph.node("B", "y", a=one.out(0), b=one.out(1))
        graph.replace_node_output("x", 0, ["z", 5])
        graph.replace_node_output("x", 1, None)
        assert two.inputs == {"a": ["z", 5]}

    def test_a_prefix_goes_to_every_id_and_link(self) -> None:
        graph = {"1": {"class_type": "A", "inputs": {"value": 1}}, "2": {"class_type": "B", "inputs": {"a": ["1", 0]}}}
        nodes, outputs = add_graph_prefix(graph, [["2", 0], 5], "p.")
        assert (list(nodes), nodes["p.2"]["inputs"], outputs) == (["p.1", "p.2"], {"a": ["p.1", 0]}, (["p.2", 0], 5))
