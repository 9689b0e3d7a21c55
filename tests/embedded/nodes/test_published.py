"""What /object_info says of a node is what ComfyUI 0.3.64 says: types, bounds, defaults, order, names, flags.

real_object_info.json has the facts of the classes of `nodes` and `comfy_extras`, recorded from a running server, with
`<files>` for the lists that depend on folders, and without empty options. Tooltips and descriptions are ours.
"""

import json
from contextvars import Context
from pathlib import Path
from typing import Any

import pytest

from comfyserve.embedded.graph.catalogue import Catalogue
from comfyserve.embedded.nodes import NODE_CLASS_MAPPINGS, NODE_DISPLAY_NAME_MAPPINGS
from comfyserve.embedded.nodes.models.signed import signatures

Json = dict[str, Any]

FILES = "<files>"
OUR_WORDS = {"description", "output_tooltips", "simulated"}
REAL: dict[str, Json] = json.loads((Path(__file__).parent / "real_object_info.json").read_text())

# Published and not in 0.3.64: where the class comes from instead.
NEWER = "newer ComfyUI versions"
VHS = "ComfyUI-VideoHelperSuite"
ELSEWHERE: dict[str, str] = {
    "AudioEqualizer3Band": NEWER,
    "BatchImagesMasksLatentsNode": NEWER,
    "BatchImagesNode": NEWER,
    "BatchLatentsNode": NEWER,
    "BatchMasksNode": NEWER,
    "ComfyAndNode": NEWER,
    "ComfyMathExpression": NEWER,
    "ComfyNotNode": NEWER,
    "ComfyOrNode": NEWER,
    "ComfyPassOrNoneNode": NEWER,
    "ComfySoftSwitchNode": NEWER,
    "ComfySwitchNode": NEWER,
    "ConvertStringToComboNode": NEWER,
    "CustomCombo": NEWER,
    "ImageCompare": NEWER,
    "InvertBooleanNode": NEWER,
    "ResizeImageMaskNode": NEWER,
    "ImageResize+": "ComfyUI_essentials",
    "JoinAudioChannels": NEWER,
    "VHS_LoadAudio": VHS,
    "VHS_LoadAudioUpload": VHS,
    "VHS_LoadImages": VHS,
    "VHS_LoadImagesPath": VHS,
    "VHS_LoadVideo": VHS,
    "VHS_LoadVideoPath": VHS,
    "VHS_SelectFilename": VHS,
    "VHS_VideoCombine": VHS,
    "VHS_VideoInfo": VHS,
    "VHS_VideoInfoLoaded": VHS,
    "VHS_VideoInfoSource": VHS,
}
ELSEWHERE |= {
    name: entry["module"] for name, entry in signatures().items() if entry["module"].startswith("custom_nodes.")
}


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    catalogue = Catalogue()
    catalogue.add(NODE_CLASS_MAPPINGS, NODE_DISPLAY_NAME_MAPPINGS)
    return catalogue


@pytest.mark.parametrize("name", sorted(NODE_CLASS_MAPPINGS.keys() & REAL.keys()))
def test_a_node_is_published_as_by_comfyui(name: str, catalogue: Catalogue) -> None:
    published, expected = _facts(Context().run(catalogue.info, name), REAL[name]), REAL[name]
    for key in sorted(published.keys() | expected.keys()):
        # Compared as text, so that the order of inputs and choices counts.
        assert json.dumps(published.get(key)) == json.dumps(expected.get(key)), key


def test_every_other_node_says_where_it_comes_from() -> None:
    assert NODE_CLASS_MAPPINGS.keys() - REAL.keys() == ELSEWHERE.keys()


def _facts(info: Json, expected: Json) -> Json:
    """The published entry in the form of the recorded ones."""
    facts = {key: value for key, value in info.items() if key not in OUR_WORDS}
    facts["input"] = {
        group: {name: _spec(spec, expected["input"].get(group, {}).get(name)) for name, spec in specs.items()}
        if group != "hidden"
        else specs
        for group, specs in info["input"].items()
    }
    return facts


def _spec(spec: Any, expected: Any) -> list[Any]:
    kind, *rest = spec
    options = [{key: value for key, value in entry.items() if key != "tooltip"} for entry in rest]
    if expected and expected[0] == FILES and isinstance(kind, list):
        kind = FILES
    if expected and len(expected) > 1 and expected[1].get("options") == FILES:
        options = [entry | {"options": FILES} for entry in options]
    return [kind, *(entry for entry in options if entry)]
