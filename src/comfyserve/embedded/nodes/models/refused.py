"""Nodes that graphs may name and that nothing honest can stand in for: they are published, and say so when they run."""

from __future__ import annotations

from typing import Any, Final, NoReturn

from comfyserve.embedded.nodes.models.signed import simulates

WEIGHTS = "The embedded engine has no model weights, so there is nothing to save. Run this graph on a real ComfyUI."
TRAINING = "The embedded engine cannot train: it has no model weights. Run this graph on a real ComfyUI."
SHAPES = "The embedded engine does not simulate 3D generation. Run this graph on a real ComfyUI."

REFUSED: Final = {
    "CheckpointSave": WEIGHTS,
    "CLIPSave": WEIGHTS,
    "VAESave": WEIGHTS,
    "ModelSave": WEIGHTS,
    "ImageOnlyCheckpointSave": WEIGHTS,
    "LoraSave": WEIGHTS,
    "TrainLoraNode": TRAINING,
    "SaveLoRANode": TRAINING,
    "LoraModelLoader": TRAINING,
    "EmptyLatentHunyuan3Dv2": SHAPES,
    "Hunyuan3Dv2Conditioning": SHAPES,
    "Hunyuan3Dv2ConditioningMultiView": SHAPES,
    "VAEDecodeHunyuan3D": SHAPES,
}


class NotSimulated(Exception):
    """The node has no simulated counterpart; the text says what to do."""


def _refuse(name: str, reason: str) -> None:
    @simulates(name)
    def refused(**values: Any) -> NoReturn:
        """Raises NotSimulated."""
        raise NotSimulated(reason)


for _name, _reason in REFUSED.items():
    _refuse(_name, _reason)
