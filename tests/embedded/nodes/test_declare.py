from contextvars import Context

import pytest

from comfyserve.embedded.context import NodeContext
from comfyserve.embedded.nodes import NODE_CLASS_MAPPINGS, NODE_DISPLAY_NAME_MAPPINGS
from comfyserve.embedded.nodes.declare import IMAGE, Family, boolean, choice, integer, listing, number


def test_a_function_becomes_a_v1_node_class() -> None:
    family = Family()

    @family.node("Half", "nodes", "image", {"image": IMAGE}, ("FLOAT",), title="Half of it")
    def half(image: float) -> float:
        """Half."""
        return image / 2

    node = family.classes["Half"]
    assert node.__name__ == "Half"
    assert node.INPUT_TYPES() == {"required": {"image": ("IMAGE",)}}
    assert (node.RETURN_TYPES, node.CATEGORY, node.OUTPUT_NODE) == (("FLOAT",), "image", False)
    assert getattr(node(), node.FUNCTION)(image=3) == (1.5,)
    assert half(3) == 1.5
    assert family.titles == {"Half": "Half of it"}
    assert not hasattr(node, "VALIDATE_INPUTS") and not hasattr(node, "IS_CHANGED") and not hasattr(node, "V3")


def test_an_output_node_gives_its_ui() -> None:
    family = Family()
    family.node("Say", "nodes", "x", {}, output_node=True)(lambda: {"text": ["hi"]})
    assert family.classes["Say"].run() == {"ui": {"text": ["hi"]}}


def test_a_name_is_taken_once() -> None:
    family = Family()
    family.node("A", "nodes", "x", {})(lambda: None)
    with pytest.raises(ValueError, match="declared twice"):
        family.node("A", "nodes", "x", {})(lambda: None)


def test_input_specs_have_the_published_shape() -> None:
    assert integer(5, 0, 9, 2, display="color") == (
        "INT",
        {"default": 5, "min": 0, "max": 9, "step": 2, "display": "color"},
    )
    assert number(0.5, 0.0, 1.0) == ("FLOAT", {"default": 0.5, "min": 0.0, "max": 1.0})
    assert choice("a", "b") == (["a", "b"],)
    assert choice("a", "b", default="b") == (["a", "b"], {"default": "b"})
    assert boolean(True) == ("BOOLEAN", {"default": True})


def test_a_listing_is_read_anew_and_empty_without_an_engine(context: NodeContext) -> None:
    spec = listing(lambda folders: folders.input_files(("image",)), image_upload=True)
    assert spec() == ([], {"image_upload": True})
    (context.folders.input / "b.png").touch()
    assert spec() == (["b.png"], {"image_upload": True})
    assert Context().run(spec) == ([], {"image_upload": True})


@pytest.mark.parametrize("name", sorted(NODE_CLASS_MAPPINGS))
def test_every_node_keeps_the_v1_contract(name: str) -> None:
    node = NODE_CLASS_MAPPINGS[name]
    declared = Context().run(node.INPUT_TYPES)
    assert set(declared) <= {"required", "optional", "hidden"}
    assert callable(getattr(node, node.FUNCTION))
    assert isinstance(node.RETURN_TYPES, tuple)
    assert len(getattr(node, "RETURN_NAMES", node.RETURN_TYPES)) == len(node.RETURN_TYPES)
    assert isinstance(node.CATEGORY, str)


def test_titles_belong_to_nodes() -> None:
    assert set(NODE_DISPLAY_NAME_MAPPINGS) <= set(NODE_CLASS_MAPPINGS)
