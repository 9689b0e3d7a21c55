"""Which graphs are labelled as simulated."""

from comfyserve.embedded.nodes import NODE_CLASS_MAPPINGS
from comfyserve.embedded.simulate import marks

GRAPH = {
    "1": {"class_type": "EmptyImage", "inputs": {"width": 64}},
    "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0]}},
    "3": {"class_type": "VAEDecode", "inputs": {"samples": ["9", 0], "vae": ["9", 2]}},
    "4": {"class_type": "ImageInvert", "inputs": {"image": ["3", 0]}},
    "5": {"class_type": "SaveImage", "inputs": {"images": ["4", 0]}},
}


def test_a_graph_with_a_simulated_node_is_marked() -> None:
    assert marks(GRAPH, NODE_CLASS_MAPPINGS)


def test_only_what_comes_from_a_simulated_node_is_marked() -> None:
    assert marks(GRAPH, NODE_CLASS_MAPPINGS, "5")
    assert not marks(GRAPH, NODE_CLASS_MAPPINGS, "2")


def test_a_cycle_and_a_broken_node_are_survived() -> None:
    graph = {
        "1": {"class_type": "ImageInvert", "inputs": {"image": ["2", 0]}},
        "2": {"class_type": "X", "inputs": None},
    }
    graph["3"] = {"class_type": "ImageInvert", "inputs": {"image": ["3", 0], "other": [1, 2, 3]}}
    assert not marks(graph, NODE_CLASS_MAPPINGS, "1")
    assert not marks(graph, NODE_CLASS_MAPPINGS, "3")
