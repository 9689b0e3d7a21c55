"""ControlNets and their like: the structure of a picture for the result."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from comfyserve.embedded.nodes.models.signed import simulates
from comfyserve.embedded.nodes.models.text import with_option
from comfyserve.embedded.simulate import wish
from comfyserve.embedded.simulate.latent import Floats, rounded_bytes
from comfyserve.embedded.simulate.model import Bytes, Conditioning, Control, Look, Model

Pair = tuple[Conditioning, Conditioning]


@simulates("ControlNetApply")
def apply(conditioning: Conditioning, control_net: Model, image: Floats, strength: float) -> Conditioning:
    """The picture's structure for the whole way."""
    return controlled(conditioning, control_net, image, strength)


@simulates("ControlNetApplyAdvanced", "ControlNetApplySD3")
def apply_to_both(
    positive: Conditioning,
    negative: Conditioning,
    control_net: Model,
    image: Floats,
    strength: float,
    start_percent: float,
    end_percent: float,
    vae: Model | None = None,
) -> Pair:
    """The picture's structure for a part of the way."""
    return controlled(positive, control_net, image, strength, start_percent, end_percent), negative


@simulates("ControlNetInpaintingAliMamaApply")
def apply_inpainting(
    positive: Conditioning,
    negative: Conditioning,
    control_net: Model,
    vae: Model,
    image: Floats,
    mask: Floats,
    strength: float,
    start_percent: float,
    end_percent: float,
) -> Pair:
    """Outside the mask the picture stays."""
    kept = (rounded_bytes(np.ascontiguousarray(image[..., :3])), np.asarray(mask, np.float32))
    return tuple(  # type: ignore[return-value] # two in, two out
        [[embedding, {**options, wish.INPAINT: kept}] for embedding, options in one] for one in (positive, negative)
    )


@simulates("SetUnionControlNetType")
def set_type(control_net: Model, type: str) -> Model:
    """What kind of picture follows."""
    return control_net.add("type", type)


@simulates("QwenImageDiffsynthControlnet")
def patch_control(
    model: Model, model_patch: Model, vae: Model, image: Floats, strength: float, mask: Floats | None = None
) -> Model:
    """A ControlNet on the model instead of on the words."""
    control = Control(rounded_bytes(np.ascontiguousarray(image[..., :3])), strength)
    return replace(model.add("control", model_patch.name, strength), controls=(*model.controls, control))


@simulates("USOStyleReference")
def patch_style(model: Model, model_patch: Model, clip_vision_output: Bytes) -> Model:
    """The picture's colours for everything that the model makes."""
    look = Look(clip_vision_output[0], 0.8)
    return replace(model.add("style", model_patch.name), looks=(*model.looks, look))


def controlled(
    conditioning: Conditioning,
    control_net: Model,
    image: Floats,
    strength: float,
    start: float = 0.0,
    end: float = 1.0,
) -> Conditioning:
    """The conditioning with one control more; strength 0 adds none."""
    if strength <= 0:
        return conditioning
    kind = " ".join(part.name for part in control_net.parts)
    control = Control(rounded_bytes(np.ascontiguousarray(image[..., :3])), strength, start, end, kind)
    return with_option(conditioning, wish.CONTROLS, (control,))
