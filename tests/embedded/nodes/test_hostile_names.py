"""Every node that saves or reads files, fed over links with what no list offers: only output and temp change."""

import contextlib
import io
from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from comfyserve.embedded.context import NodeContext, activate
from comfyserve.embedded.media.video import VideoComponents, VideoFromComponents
from comfyserve.embedded.nodes import NODE_CLASS_MAPPINGS

HOSTILE = (
    "/../../custom_nodes/evil.py",
    "../../custom_nodes/evil.py",
    "sub/../../input/evil",
    "a0_00001_./../../../custom_nodes/evil",
    "..\\..\\custom_nodes\\evil",
    "{base}/custom_nodes/evil.py",
    "x\0y",
)
VALUES: Mapping[str, Callable[[], Any]] = {
    "IMAGE": lambda: np.zeros((1, 16, 16, 3), np.float32),
    "IMAGE,LATENT": lambda: np.zeros((1, 16, 16, 3), np.float32),
    "MASK": lambda: np.zeros((1, 16, 16), np.float32),
    "LATENT": lambda: {"samples": np.zeros((1, 4, 2, 2), np.float32)},
    "AUDIO": lambda: {"waveform": np.zeros((1, 1, 800), np.float32), "sample_rate": 8000},
    "VIDEO": lambda: VideoFromComponents(VideoComponents(np.zeros((2, 16, 16, 3), np.float32), Fraction(8), None)),
    "SVG": lambda: SimpleNamespace(data=[io.BytesIO(b"<svg></svg>")]),
    "MESH": lambda: SimpleNamespace(vertices=np.zeros((1, 3, 3)), faces=np.zeros((1, 1, 3))),
}
TEXTS = ("STRING", "COMBO")


def _speaks_of_files(node_class: Any) -> bool:
    """The savers, and the nodes that get a text or a choice and nothing that only another node can make."""
    inputs = node_class.INPUT_TYPES().get("required", {})
    return bool(node_class.OUTPUT_NODE) or (
        any(_is_text(spec) for spec in inputs.values()) and all(_known(spec) for spec in inputs.values())
    )


def _is_text(spec: Any) -> bool:
    return isinstance(spec[0], list) or spec[0] in TEXTS


def _known(spec: Any) -> bool:
    return _is_text(spec) or str(spec[0]) in VALUES or "default" in (spec[1] if len(spec) > 1 else {})


def _fitting(spec: Any) -> Any:
    kind, options = spec[0], spec[1] if len(spec) > 1 else {}
    if "default" in options:
        return options["default"]
    if isinstance(kind, list):
        return kind[0] if kind else ""
    return VALUES[str(kind)]() if str(kind) in VALUES else ""


def everything(base: Path) -> dict[str, bytes | None]:
    """Names and contents outside of output and temp."""
    return {
        name.as_posix(): path.read_bytes() if path.is_file() else None
        for path in base.rglob("*")
        if (name := path.relative_to(base)).parts[0] not in ("output", "temp")
    }


NODES = sorted(name for name, node_class in NODE_CLASS_MAPPINGS.items() if _speaks_of_files(node_class))


@pytest.mark.parametrize("name", ["SaveImage", "SaveVideo", "SaveLatent", "SaveSVGNode", "VHS_VideoCombine"])
def test_the_savers_are_among_them(name: str, context: NodeContext) -> None:
    assert name in NODES
    node_class = NODE_CLASS_MAPPINGS[name]
    specs = node_class.INPUT_TYPES()["required"]
    getattr(node_class, node_class.FUNCTION)(**{field: _fitting(spec) for field, spec in specs.items()})
    assert any(path.is_file() for path in context.folders.output.rglob("*"))


@pytest.mark.parametrize("name", NODES)
def test_nothing_outside_of_output_and_temp_changes(name: str, context: NodeContext) -> None:
    base = context.folders.base
    (context.folders.output / "a0_00001_.").mkdir()
    node_class = NODE_CLASS_MAPPINGS[name]
    specs = {
        field: spec
        for group in ("required", "optional")
        for field, spec in node_class.INPUT_TYPES().get(group, {}).items()
        if group == "required" or _is_text(spec)
    }
    before = everything(base)
    for field in (field for field, spec in specs.items() if _is_text(spec)):
        for hostile in HOSTILE:
            given = {other: _fitting(spec) for other, spec in specs.items()}
            given[field] = hostile.replace("{base}", str(base))
            activate(context)
            # Which error it is does not matter here, nor whether there is one.
            with contextlib.suppress(Exception):
                getattr(node_class, node_class.FUNCTION)(**given)
            assert everything(base) == before, (field, hostile)
