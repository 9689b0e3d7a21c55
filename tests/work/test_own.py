"""What an attempt makes is its own, and only that is taken away after it."""

from pathlib import Path
from typing import Any

from comfyserve.core.graph import parse_graph
from comfyserve.core.outputs import EngineFile, NodeOutput
from comfyserve.ports import NodeFinished, Started
from comfyserve.testing import ScriptedEngine
from comfyserve.work.stage import Staged
from comfyserve.work.stage.own import make_own, without_prefix
from tests.work.shop import shop


def node(class_type: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": class_type, "inputs": inputs}


GRAPH = {
    "1": node("Paint"),
    "2": node("Save", images=["1", 0], filename_prefix="/cats/cat"),
    "3": node("PreviewImage", images=["1", 0]),
    "4": node("Word"),
    "5": node("Save", images=["6", 0], filename_prefix=["4", 0]),
    "6": node("PreviewAndPassOn", images=["1", 0]),
}


def test_what_an_engine_could_answer_from_its_cache_differs_between_attempts() -> None:
    changed, own = make_own(parse_graph(GRAPH), "a1")
    assert changed == {
        **GRAPH,
        "2": node("Save", images=["1", 0], filename_prefix="a1/cats/cat"),
        "3": node("PreviewImage", images=["1", 0], comfyserve_attempt="a1"),
        "5": node("Save", images=["6", 0], filename_prefix=["4", 0], comfyserve_attempt="a1"),
    }
    assert own == {"2", "3", "5"}


def test_the_folder_of_the_attempt_is_not_shown() -> None:
    shown = [without_prefix(EngineFile("x.png", folder), "a1").subfolder for folder in ("a1", "a1/cats", "a1x", "")]
    assert shown == ["", "cats", "a1x", ""]


def test_only_files_that_no_other_run_needs_are_left_behind() -> None:
    _, own = make_own(parse_graph(GRAPH), "a1")
    uploaded = EngineFile("a1_0.png", "comfyserve", "input")
    preview, of_the_cache = EngineFile("p.png", "", "temp"), EngineFile("c.png", "", "temp")
    shown = [
        NodeOutput("3", "images", 0, preview),
        NodeOutput("3", "images", 1, EngineFile("someone's.png", "", "input")),
        NodeOutput("3", "images", 2, EngineFile("someone's.png", "", "output")),
        NodeOutput("6", "images", 0, of_the_cache),
        NodeOutput("3", "text", 0, value="hello"),
    ]
    assert Staged({}, [uploaded], own, 0, 0.0).left_behind(shown) == [preview, uploaded]


async def test_outputs_have_the_order_of_the_graph(tmp_path: Path) -> None:
    graph = {"7": node("ShowText", text="a"), "5": node("ShowText", text="b"), "6": node("ShowText", text="c")}
    told = [
        NodeOutput(name, "text", index, value=f"{name} {index}") for name in ("6", "5.0.1", "7") for index in (0, 1)
    ]
    told.append(NodeOutput("unknown", "text", 0, value="last"))
    engine = ScriptedEngine([Started(), NodeFinished("6", told)], object_info={"ShowText": {"input": {}}})
    async with shop(tmp_path, engine) as place:
        ended = await place.ended((await place.bundle.run(graph)).id)
    values = ["7 0", "7 1", "5.0.1 0", "5.0.1 1", "6 0", "6 1", "last"]
    assert [output.value for output in ended.outputs] == values
