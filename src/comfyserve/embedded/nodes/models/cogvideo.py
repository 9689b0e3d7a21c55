"""ComfyUI-CogVideoXWrapper: its nodes by their public signatures. Latents are [B,16,T,h,w] here, as of other clips."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import numpy as np

from comfyserve.embedded.nodes.models.conditioning import average, concat, with_options
from comfyserve.embedded.nodes.models.loaders import loaded
from comfyserve.embedded.nodes.models.refused import NotSimulated
from comfyserve.embedded.nodes.models.sampling import walk
from comfyserve.embedded.nodes.models.signed import simulates
from comfyserve.embedded.nodes.models.text import encoded, with_option
from comfyserve.embedded.nodes.models.vae import decode
from comfyserve.embedded.nodes.models.video import keyframes, pictures_of
from comfyserve.embedded.simulate import Task, grid, wish
from comfyserve.embedded.simulate.latent import Floats, empty, encode, resized, to_floats
from comfyserve.embedded.simulate.model import Conditioning, Control, Latent, Model, Part

DEFAULT_SIZE: Final = (720, 480)
BUCKET: Final = 16
TRAJECTORY = "The embedded engine does not simulate Tora trajectories. Leave tora_trajectory unconnected."


@simulates("DownloadAndLoadCogVideoModel", "DownloadAndLoadCogVideoGGUFModel")
def load(model: str, lora: tuple[Part, ...] | None = None, **how: Any) -> tuple[Model, Model]:
    """Model and VAE; nothing is downloaded."""
    both = loaded(model)
    return replace(both, parts=(*both.parts, *(lora or ()))), both


@simulates("CogVideoXModelLoader")
def load_model(model: str, lora: tuple[Part, ...] | None = None, **how: Any) -> Model:
    """A model of a file."""
    return load(model, lora)[0]


@simulates("CogVideoXVAELoader")
def load_vae(model_name: str, **how: Any) -> Model:
    """A VAE of a file."""
    return loaded(model_name)


@simulates("DownloadAndLoadCogVideoControlNet", "DownloadAndLoadToraModel")
def load_extra(model: str) -> Model:
    """A ControlNet; nothing is downloaded."""
    return loaded(model)


@simulates("CogVideoLoraSelect", "CogVideoLoraSelectComfy")
def select_lora(
    lora: str, strength: float, prev_lora: tuple[Part, ...] | None = None, fuse_lora: bool = False
) -> tuple[Part, ...]:
    """LoRAs for the loader."""
    return (*(prev_lora or ()), *((Part("lora", lora, strength),) if strength else ()))


@simulates("CogVideoTextEncode")
def encode_text(
    clip: Model, prompt: str, strength: float = 1.0, force_offload: bool = True
) -> tuple[Conditioning, Model]:
    """The words, and the encoder again for the next."""
    return encoded(prompt), clip


@simulates("CogVideoTextEncodeCombine")
def combine(
    conditioning_1: Conditioning, conditioning_2: Conditioning, combination_mode: str, weighted_average_ratio: float
) -> Conditioning:
    """The words of both, or the first with the colours of the second."""
    if combination_mode == "concatenate":
        return concat(conditioning_1, conditioning_2)
    share = 0.5 if combination_mode == "average" else weighted_average_ratio
    return average(conditioning_1, conditioning_2, share)


@simulates("CogVideoImageEncode", "CogVideoImageEncodeFunInP")
def encode_pictures(
    vae: Model, start_image: Floats, end_image: Floats | None = None, num_frames: int = 0, **how: Any
) -> Latent:
    """The first frames, or with several pictures a clip to go on from, and the last."""
    return {**encode(start_image, grid.VIDEO), wish.KEYFRAMES: keyframes(start_image[:1], end_image)}


@simulates("CogVideoControlNet")
def control(
    controlnet: Model,
    images: Floats,
    control_strength: float,
    control_start_percent: float,
    control_end_percent: float,
) -> Control:
    """The structure of these frames."""
    return Control(pictures_of(images), control_strength, control_start_percent, control_end_percent)


@simulates("CogVideoSampler")
def sample(
    model: Model,
    positive: Conditioning,
    negative: Conditioning,
    num_frames: int,
    steps: int,
    cfg: float,
    seed: int,
    scheduler: str,
    samples: Latent | None = None,
    image_cond_latents: Latent | None = None,
    denoise_strength: float = 1.0,
    controlnet: Control | None = None,
    tora_trajectory: Any = None,
    **options: Any,
) -> Latent:
    """A clip of the size of the latent (720x480 without one)."""
    if controlnet is not None:
        positive = with_option(positive, wish.CONTROLS, (controlnet,))
    if image_cond_latents is not None:
        positive = with_options(positive, {wish.KEYFRAMES: image_cond_latents[wish.KEYFRAMES]})
    whole = denoise_strength >= 1 or samples is None or np.ndim(samples["samples"]) != 5
    given = samples if samples is not None else image_cond_latents
    width, height = DEFAULT_SIZE if given is None else (side * 8 for side in np.shape(given["samples"])[:-3:-1])
    latent = empty(grid.VIDEO, width, height, 1, num_frames) if whole or samples is None else samples
    share = 1.0 if whole else denoise_strength
    return walk(Task(model, positive, negative, seed, steps, cfg, share, method=scheduler), latent)


@simulates("CogVideoDecode")
def decode_clip(vae: Model, samples: Latent, **tiling: Any) -> Floats:
    """The frames."""
    return decode(samples, vae)


@simulates("CogVideoLatentPreview")
def preview(samples: Latent, **factors: Any) -> tuple[Floats, str]:
    """The first frame of the latent, small."""
    frame = pictures_of(decode(samples, Model.loaded("cogvideo"))[:1])[0]
    small = resized(frame, frame.shape[1] // 8, frame.shape[0] // 8)
    return to_floats(small[None]), "simulated"


@simulates("CogVideoXFunResizeToClosestBucket")
def resize_to_bucket(images: Floats, base_resolution: int, upscale_method: str, crop: str) -> tuple[Floats, int, int]:
    """About as many pixels as a square of the base resolution, sides in steps of 16."""
    height, width = images.shape[1:3]
    scale = base_resolution / (height * width) ** 0.5
    sides = [max(BUCKET, round(side * scale / BUCKET) * BUCKET) for side in (width, height)]
    sized = np.stack([resized(picture, sides[0], sides[1]) for picture in pictures_of(images)])
    return to_floats(sized), sides[0], sides[1]


@simulates("ToraEncodeTrajectory", "ToraEncodeOpticalFlow")
def trajectory(**values: Any) -> Any:
    """Raises NotSimulated."""
    raise NotSimulated(TRAJECTORY)


@simulates(
    "CogVideoTransformerEdit",
    "CogVideoContextOptions",
    "CogVideoXFasterCache",
    "CogVideoXTorchCompileSettings",
    "CogVideoEnhanceAVideo",
    "CogVideoXTeaCache",
)
def options_of(**options: Any) -> dict[str, Any]:
    """The options as they are; they tune what the simulated model has not."""
    return options
