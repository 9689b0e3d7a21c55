"""Files that nobody saved: bounds, circles and nonsense end in a documented error, quickly."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from comfyserve.core.convert import convert_workflow
from comfyserve.core.errors import DomainError, InvalidGraph, TooLarge
from tests.core.convert.workflows import node, subgraph, workflow


def test_a_subgraph_that_contains_itself(catalogue: Any) -> None:
    with pytest.raises(InvalidGraph, match="contains itself"):
        convert_workflow(workflow([node(1, "A")], subgraphs=[subgraph("A", [node(2, "A"), node(3, "A")])]), catalogue)


@pytest.mark.parametrize("leaf", [[], [{"id": 9, "type": "Note"}]])
def test_a_bomb_of_subgraphs(catalogue: Any, leaf: list[Any]) -> None:
    """Thirty levels of two instances each would be a thousand million nodes."""
    levels = [subgraph(f"L{at}", [node(1, f"L{at + 1}"), node(2, f"L{at + 1}")]) for at in range(30)]
    with pytest.raises(InvalidGraph, match="unfolded the workflow has over"):
        convert_workflow(workflow([node(1, "L0")], subgraphs=[*levels, subgraph("L30", leaf)]), catalogue)


def test_many_inputs_in_many_instances(catalogue: Any) -> None:
    """Few nodes, but each instance has to be walked through."""
    slots = [(f"s{at}", "*", None) for at in range(1_000)]
    raw = workflow(
        [node(at, "Wide") for at in range(1, 450)],
        subgraphs=[subgraph("Wide", [node(1, "SaveImage", inputs=slots, values=["x"])])],
    )
    with pytest.raises(InvalidGraph, match="over 400000 nodes, links and inputs together"):
        convert_workflow(raw, catalogue)


def test_long_texts_in_many_instances(catalogue: Any) -> None:
    inner = subgraph("Inner", [node(1, "SaveImage", values=["x" * 10_000])])
    raw = workflow([node(at, "Inner") for at in range(1, 20)], subgraphs=[inner])
    with pytest.raises(TooLarge):
        convert_workflow(raw, catalogue, max_bytes=100_000)


def test_links_in_a_circle(catalogue: Any) -> None:
    raw = workflow(
        [
            node(1, "Reroute", inputs=[("", "*", 1)], outputs=["*"]),
            node(2, "Reroute", inputs=[("", "*", 2)], outputs=["*"]),
            node(3, "SaveImage", inputs=[("images", "IMAGE", 3)], values=["x"]),
        ],
        [[1, 2, 0, 1, 0, "*"], [2, 1, 0, 2, 0, "*"], [3, 1, 0, 3, 0, "*"]],
    )
    with pytest.raises(InvalidGraph, match=r"node 3 \(SaveImage\): its links run in a circle"):
        convert_workflow(raw, catalogue)


def test_a_long_chain_of_reroutes(catalogue: Any) -> None:
    """One that is long but not endless works; it is followed once for all who ask."""
    length, users = 1_500, 300
    nodes = [node(1, "LoadImage", outputs=["IMAGE"], values=["one.png"])]
    nodes += [node(at, "Reroute", inputs=[("", "*", at)], outputs=["*"]) for at in range(2, length)]
    links = [[at, at - 1, 0, at, 0, "*"] for at in range(2, length)]
    for at in range(length, length + users):
        nodes.append(node(at, "SaveImage", inputs=[("images", "IMAGE", at)], values=["x"]))
        links.append([at, length - 1, 0, at, 0, "*"])
    converted = convert_workflow(workflow(nodes, links), catalogue)
    assert len(converted) == users + 1
    assert all(converted[str(at)]["inputs"]["images"] == ["1", 0] for at in range(length, length + users))


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        ({}, "JSON object with nodes and links"),
        (workflow([5]), "A node must be an object"),
        (workflow([{"id": 1}]), "Node 1 has no type"),
        (workflow([{"id": None, "type": "A"}]), "The id of a node"),
        (workflow([{"id": True, "type": "A"}]), "The id of a node"),
        (workflow([{"id": 10**5000, "type": "A"}]), "The id of a node"),
        (workflow([node(1, "SaveImage"), node("1", "SaveImage")]), "Two nodes have the id 1"),
        (workflow([node("1:2", "SaveImage"), node(1, "A")], [], [subgraph("A", [node(2, "SaveImage")])]), "id 1:2"),
        (workflow([node(1, "A")], subgraphs=[7]), "definition of a subgraph"),
        (workflow([{"id": 1, "type": "A", "inputs": [{}] * 1001}]), "1001 slots"),
        (workflow([{"id": at, "type": "Note"} for at in range(20_001)]), "at most 20000"),
        (workflow([node(1, "SaveImage", values=[float("nan")])]), "No problem here"),
    ],
)
def test_malformed(catalogue: Any, raw: Any, sentence: str) -> None:
    if sentence == "No problem here":
        convert_workflow(raw, catalogue)
        return
    with pytest.raises(InvalidGraph, match=sentence):
        convert_workflow(raw, catalogue)


CLASSES = [
    "LoadImage",
    "SaveImage",
    "ShapeDraw",
    "ShapeJoin",
    "ShapePick",
    "ShapeSize",
    "Reroute",
    "PrimitiveNode",
    "S",
]
IDS = st.integers(0, 6) | st.sampled_from(["1", "-10", "-20", "x"])
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=True) | st.text(max_size=4)
ANYTHING = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner)
)
SLOTS = st.lists(
    st.fixed_dictionaries(
        {"name": st.sampled_from(["images", "seed", "images.image0", "image"])},
        optional={
            "type": st.sampled_from(["IMAGE", "INT", "*", "A,B"]) | SCALARS,
            "link": st.integers(0, 8) | SCALARS,
            "widget": st.just({"name": "seed"}) | SCALARS,
        },
    ),
    max_size=4,
)
NODES = st.fixed_dictionaries(
    {"id": IDS, "type": st.sampled_from(CLASSES)},
    optional={
        "mode": st.sampled_from([0, 2, 4]) | SCALARS,
        "inputs": SLOTS | SCALARS,
        "outputs": SLOTS | SCALARS,
        "widgets_values": st.lists(ANYTHING, max_size=5) | ANYTHING,
        "properties": st.fixed_dictionaries({"proxyWidgets": st.lists(st.tuples(IDS, st.text(max_size=3)).map(list))}),
        "title": SCALARS,
    },
)
LINKS = st.lists(
    st.tuples(st.integers(0, 8), IDS, st.integers(0, 3), IDS, st.integers(0, 3), st.just("*")).map(list) | ANYTHING,
    max_size=8,
)
BOUNDARIES = st.lists(
    st.fixed_dictionaries({"name": st.just("seed"), "linkIds": st.lists(st.integers(0, 8))}), max_size=2
)
GRAPHS = {"nodes": st.lists(NODES, max_size=6), "links": LINKS}
DEFINITION = st.fixed_dictionaries({"id": st.just("S"), **GRAPHS, "inputs": BOUNDARIES, "outputs": BOUNDARIES})


@given(
    st.fixed_dictionaries(
        GRAPHS, optional={"definitions": st.fixed_dictionaries({"subgraphs": st.lists(DEFINITION, max_size=2)})}
    )
)
@settings(max_examples=100, deadline=None)
def test_whatever_the_file_says(catalogue: Any, raw: Any) -> None:
    """Either an API form whose links lead to its nodes, or an error of ours."""
    try:
        converted = convert_workflow(raw, catalogue)
    except DomainError:
        return
    for one in converted.values():
        links = [value for value in one["inputs"].values() if isinstance(value, list)]
        assert all(len(link) == 2 and link[0] in converted for link in links)


@given(ANYTHING, ANYTHING)
@settings(max_examples=50, deadline=None)
def test_whatever_the_catalogue_says(entry: Any, order: Any) -> None:
    """An engine's answer is not trusted either."""
    info = {"input": {"required": {"a": entry, "b": [entry, entry]}, "optional": order}, "input_order": order}
    raw = workflow([node(1, "A", values=[1, 2, 3]), node(2, "B")])
    try:
        convert_workflow(raw, {"A": info, "B": entry})
    except DomainError:
        return
