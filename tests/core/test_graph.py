"""Graphs: what parses, what is refused and where, and a hash that tells computations apart and nothing else."""

import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comfyserve.core.errors import InvalidGraph
from comfyserve.core.graph import MAX_NODES, Link, as_link, parse_graph

TEXT_TO_IMAGE = {
    "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "x.safetensors"}},
    "6": {"class_type": "CLIPTextEncode", "inputs": {"text": "a cap", "clip": ["4", 1]}, "_meta": {"title": "Prompt"}},
    "9": {"class_type": "SaveImage", "inputs": {"images": ["6", 0]}},
}

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
)


@st.composite
def graphs(draw: st.DrawFn) -> dict[str, Any]:
    """Graphs without cycles: a node links only to nodes before it."""
    count = draw(st.integers(1, 8))
    graph: dict[str, Any] = {}
    for index in range(count):
        inputs: dict[str, Any] = draw(st.dictionaries(st.text("abc", min_size=1, max_size=3), scalars, max_size=3))
        if index:
            inputs["link"] = [str(draw(st.integers(0, index - 1))), draw(st.integers(0, 3))]
        graph[str(index)] = {"class_type": draw(st.sampled_from(["A", "B"])), "inputs": inputs}
    return graph


def _refused(raw: Any) -> InvalidGraph:
    with pytest.raises(InvalidGraph) as caught:
        parse_graph(raw)
    return caught.value


def test_a_graph_is_read_with_titles_and_links() -> None:
    graph = parse_graph(TEXT_TO_IMAGE)
    assert graph.nodes["6"].title == "Prompt"
    assert graph.nodes["4"].title == "CheckpointLoaderSimple"
    assert dict(graph.nodes["6"].links()) == {"clip": Link("4", 1)}


@given(graphs())
def test_the_json_form_comes_back_and_parses_to_the_same_hash(raw: dict[str, Any]) -> None:
    graph = parse_graph(raw)
    assert parse_graph(json.loads(json.dumps(graph.as_json()))).hash() == graph.hash()


@given(graphs(), st.randoms(use_true_random=False))
def test_order_and_titles_do_not_change_the_hash(raw: dict[str, Any], chance: random.Random) -> None:
    ids = list(raw)
    chance.shuffle(ids)
    shuffled = {
        node_id: {
            "_meta": {"title": f"node {node_id}"},
            "inputs": dict(reversed(raw[node_id]["inputs"].items())),
            "class_type": raw[node_id]["class_type"],
        }
        for node_id in ids
    }
    assert parse_graph(shuffled).hash() == parse_graph(raw).hash()


@given(graphs(), st.data())
def test_another_value_is_another_hash(raw: dict[str, Any], data: st.DataObject) -> None:
    graph = parse_graph(raw)
    node_id = data.draw(st.sampled_from(list(raw)))
    assert graph.with_inputs({node_id: {"new": "value"}}).hash() != graph.hash()


def test_the_hash_is_the_same_on_every_machine() -> None:
    assert parse_graph(TEXT_TO_IMAGE).hash() == "96e7fc54c4a1c13b4823591aa4793b027fd234dbabcf229b244c3aa0819f1968"


def test_changing_inputs_leaves_the_first_graph_alone() -> None:
    graph = parse_graph(TEXT_TO_IMAGE)
    changed = graph.with_inputs({"6": {"text": "a mug"}})
    assert (graph.nodes["6"].inputs["text"], changed.nodes["6"].inputs["text"]) == ("a cap", "a mug")
    changed.as_json()["6"]["inputs"]["text"] = "else"
    assert changed.nodes["6"].inputs["text"] == "a mug"


@pytest.mark.parametrize(
    ("value", "link"),
    [
        (["4", 0], Link("4", 0)),
        (["4", 1.0], Link("4", 1)),
        (["4", True], None),
        (["4", float("nan")], None),
        (["4", float("inf")], None),
        ([4, 0], None),
        (["4"], None),
        (["4", 0, 0], None),
        ("4", None),
        (None, None),
    ],
)
def test_only_a_pair_of_id_and_slot_is_a_link(value: Any, link: Link | None) -> None:
    assert as_link(value) == link


@pytest.mark.parametrize("raw", [None, [], "graph", 1, {}])
def test_what_is_no_graph_is_refused(raw: Any) -> None:
    assert _refused(raw).place.as_dict() == {}


def test_the_editor_form_is_refused_with_a_hint() -> None:
    error = _refused({"nodes": [], "links": [], "version": 0.4})
    assert "Export (API)" in error.message
    assert error.details == {"form": "editor"}


@pytest.mark.parametrize(
    ("node", "place"),
    [
        ("text", {"node_id": "1"}),
        ({"inputs": {}}, {"node_id": "1", "field": "class_type"}),
        ({"class_type": ""}, {"node_id": "1", "field": "class_type"}),
        ({"class_type": 7}, {"node_id": "1", "field": "class_type"}),
        ({"class_type": "A", "inputs": []}, {"node_id": "1"}),
        ({"class_type": "A", "inputs": {"x": ["2", 0]}}, {"node_id": "1", "field": "x"}),
        ({"class_type": "A", "inputs": {"x": float("nan")}}, {"node_id": "1"}),
        ({"class_type": "A", "inputs": {"x": [float("inf")]}}, {"node_id": "1"}),
        ({"class_type": "A", "inputs": {"x": "half \ud83d of a pair"}}, {"node_id": "1"}),
        ({"class_type": "A", "_meta": {"title": float("nan")}}, {"node_id": "1"}),
    ],
)
def test_a_wrong_node_is_refused_with_its_place(node: Any, place: dict[str, str]) -> None:
    assert _refused({"1": node}).place.as_dict() == place


def test_deep_nesting_is_refused() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    assert _refused({"1": {"class_type": "A", "inputs": {"x": deep}}}).place.node_id == "1"


def test_a_node_without_inputs_and_meta_is_fine() -> None:
    assert parse_graph({"1": {"class_type": "A", "_meta": "junk"}}).as_json() == {
        "1": {"class_type": "A", "inputs": {}}
    }


def test_too_many_nodes_are_refused() -> None:
    assert "10001" in _refused({str(index): {"class_type": "A"} for index in range(MAX_NODES + 1)}).message


@pytest.mark.parametrize(
    ("links", "cycle"),
    [
        ({"1": "1"}, ["1"]),
        ({"1": "2", "2": "1"}, ["1", "2"]),
        ({"1": "2", "2": "3", "3": "1", "9": "1"}, ["1", "2", "3"]),
    ],
)
def test_a_cycle_is_named(links: dict[str, str], cycle: list[str]) -> None:
    error = _refused({one: {"class_type": "A", "inputs": {"x": [other, 0]}} for one, other in links.items()})
    assert sorted(error.details["nodes"]) == cycle
    assert "cycle" in error.message


def test_the_longest_cycle_is_found_and_told_in_brief() -> None:
    ring = {str(i): {"class_type": "A", "inputs": {"x": [str((i + 1) % MAX_NODES), 0]}} for i in range(MAX_NODES)}
    error = _refused(ring)
    assert len(error.details["nodes"]) == MAX_NODES
    assert len(error.message) < 500


@given(st.permutations(range(9)), st.integers(1, 9), st.integers(0, 20))
def test_every_graph_with_a_ring_has_a_cycle_whose_steps_are_links(order: list[int], size: int, extra: int) -> None:
    ring = [str(one) for one in order[:size]]
    raw: dict[str, Any] = {str(one): {"class_type": "A", "inputs": {}} for one in order}
    for one, other in zip(ring, ring[1:] + ring[:1], strict=True):
        raw[one]["inputs"]["x"] = [other, 0]
    for outside in order[size : size + extra]:
        raw[str(outside)]["inputs"]["x"] = [ring[0], 0]
    found = _refused(raw).details["nodes"]
    following = zip(found, found[1:] + found[:1], strict=True)
    assert all(raw[user]["inputs"]["x"][0] == source for source, user in following)
