"""AnimateDiff-Evolved: the main nodes by their public signatures. A motion model makes a batch one clip."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from comfyserve.embedded.nodes.models.latents import empty_picture
from comfyserve.embedded.nodes.models.loaders import load_checkpoint, loaded
from comfyserve.embedded.nodes.models.signed import simulates
from comfyserve.embedded.nodes.models.vae import encode
from comfyserve.embedded.simulate.latent import Floats, rounded_bytes, to_floats
from comfyserve.embedded.simulate.latent import resized as resized_picture
from comfyserve.embedded.simulate.model import Latent, Model, Part

Options = tuple[Part, ...]


@simulates("ADE_AnimateDiffLoaderGen1", "ADE_AnimateDiffLoaderWithContext")
def load_and_apply(
    model: Model, model_name: str, beta_schedule: str, motion_lora: Options | None = None, **options: Any
) -> Model:
    """The model with this motion model."""
    return use(model, beta_schedule, apply(loaded(model_name), motion_lora))


@simulates("ADE_LoadAnimateDiffModel")
def load(model_name: str, ad_settings: Any = None) -> Model:
    """A motion model."""
    return loaded(model_name)


@simulates("ADE_ApplyAnimateDiffModelSimple", "ADE_ApplyAnimateDiffModel")
def apply(
    motion_model: Model, motion_lora: Options | None = None, prev_m_models: Options | None = None, **options: Any
) -> Options:
    """A motion model with its LoRAs, after those that are there."""
    return (*(prev_m_models or ()), Part("motion", motion_model.name), *(motion_lora or ()))


@simulates("ADE_UseEvolvedSampling")
def use(model: Model, beta_schedule: str, m_models: Options | None = None, **options: Any) -> Model:
    """The model with these motion models; context windows change nothing here."""
    return replace(model, parts=(*model.parts, *(m_models or ())))


@simulates("ADE_AnimateDiffLoRALoader")
def load_motion_lora(name: str, strength: float, prev_motion_lora: Options | None = None) -> Options:
    """A way of the camera."""
    return (*(prev_motion_lora or ()), *((Part("camera", name, strength),) if strength else ()))


@simulates("ADE_AnimateDiffUnload")
def unload(model: Model) -> Model:
    """The model without motion."""
    return replace(model, parts=tuple(part for part in model.parts if part.kind not in {"motion", "camera"}))


@simulates("CheckpointLoaderSimpleWithNoiseSelect")
def load_with_noise(
    ckpt_name: str, beta_schedule: str, use_custom_scale_factor: bool = False, scale_factor: float = 0.18215
) -> tuple[Model, Model, Model]:
    """As CheckpointLoaderSimple."""
    return load_checkpoint(ckpt_name)


@simulates("ADE_EmptyLatentImageLarge")
def empty_large(width: int, height: int, batch_size: int) -> Latent:
    """As EmptyLatentImage, for longer batches."""
    return empty_picture(width, height, batch_size)


@simulates("ADE_UpscaleAndVAEEncode")
def upscale_and_encode(image: Floats, vae: Model, latent_size: Latent, scale_method: str, crop: str) -> Latent:
    """The pictures at the size of a latent."""
    import numpy as np

    height, width = (side * 8 for side in np.shape(latent_size["samples"])[-2:])
    sized = [resized_picture(rounded_bytes(np.ascontiguousarray(one[..., :3])), width, height) for one in image]
    return encode(to_floats(np.stack(sized)), vae)


@simulates(
    "ADE_StandardStaticContextOptions",
    "ADE_StandardUniformContextOptions",
    "ADE_LoopedUniformContextOptions",
    "ADE_BatchedContextOptions",
    "ADE_ViewsOnlyContextOptions",
    "ADE_AnimateDiffUniformContextOptions",
    "ADE_StandardStaticViewOptions",
    "ADE_StandardUniformViewOptions",
    "ADE_LoopedUniformViewOptions",
    "ADE_AnimateDiffSamplingSettings",
    "ADE_IterationOptsDefault",
    "ADE_IterationOptsFreeInit",
    "ADE_AnimateDiffKeyframe",
    "ADE_MultivalDynamic",
    "ADE_MultivalDynamicFloats",
    "ADE_MultivalScaledMask",
    "ADE_AnimateDiffSettings",
    "ADE_NoiseLayerAdd",
    "ADE_NoiseLayerAddWeighted",
    "ADE_NoiseLayerNormalizedSum",
    "ADE_NoiseLayerReplace",
    "ADE_CustomCFGSimple",
    "ADE_CustomCFG",
    "ADE_CustomCFGKeyframeSimple",
    "ADE_SigmaSchedule",
    "ADE_RawSigmaSchedule",
    "ADE_CameraPoseBasic",
)
def options_of(**options: Any) -> dict[str, Any]:
    """The options as they are; they tune what the simulated model has not."""
    return options
