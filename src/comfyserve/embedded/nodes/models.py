"""Loaders, conditioning, sampler and VAE over the simulated model (signatures of the protocol spec, section 14)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from comfyserve.embedded.context import current
from comfyserve.embedded.folders import Folders
from comfyserve.embedded.nodes.declare import IMAGE, MASK, MAX_SIDE, Family, choice, integer, listing, number
from comfyserve.embedded.simulate import OnStep, Preview, Sampler, SimulatedSampler, Task
from comfyserve.embedded.simulate.latent import CELL, CHANNELS, Floats, Latent, check_size, to_bytes, to_floats

family = Family()

BUNDLED_CHECKPOINT: Final = "simulated-sd15.safetensors"
PIXEL_SPACE: Final = "pixel_space"
MAX_SEED: Final = 2**64 - 1
SAMPLERS: Final = [
    "euler",
    "euler_cfg_pp",
    "euler_ancestral",
    "euler_ancestral_cfg_pp",
    "heun",
    "heunpp2",
    "dpm_2",
    "dpm_2_ancestral",
    "lms",
    "dpm_fast",
    "dpm_adaptive",
    "dpmpp_2s_ancestral",
    "dpmpp_2s_ancestral_cfg_pp",
    "dpmpp_sde",
    "dpmpp_sde_gpu",
    "dpmpp_2m",
    "dpmpp_2m_cfg_pp",
    "dpmpp_2m_sde",
    "dpmpp_2m_sde_gpu",
    "dpmpp_2m_sde_heun",
    "dpmpp_2m_sde_heun_gpu",
    "dpmpp_3m_sde",
    "dpmpp_3m_sde_gpu",
    "ddpm",
    "lcm",
    "ipndm",
    "ipndm_v",
    "deis",
    "res_multistep",
    "res_multistep_cfg_pp",
    "res_multistep_ancestral",
    "res_multistep_ancestral_cfg_pp",
    "gradient_estimation",
    "gradient_estimation_cfg_pp",
    "er_sde",
    "seeds_2",
    "seeds_3",
    "sa_solver",
    "sa_solver_pece",
    "ddim",
    "uni_pc",
    "uni_pc_bh2",
]
SCHEDULERS: Final = [
    "simple",
    "sgm_uniform",
    "karras",
    "exponential",
    "ddim_uniform",
    "beta",
    "normal",
    "linear_quadratic",
    "kl_optimal",
]

MODEL, CLIP, VAE, CONDITIONING, LATENT = (("MODEL",), ("CLIP",), ("VAE",), ("CONDITIONING",), ("LATENT",))
PROMPT = ("STRING", {"multiline": True, "dynamicPrompts": True})


@dataclass(frozen=True)
class Model:
    """What a MODEL, CLIP or VAE link carries: a name (of checkpoint, LoRAs, ...) and the sampler behind it."""

    name: str
    sampler: Sampler


@dataclass(frozen=True)
class Embedding:
    """What the first place of a CONDITIONING pair carries: the text itself, for the simulated model reads it."""

    text: str


Conditioning = list[list[Any]]


def _checkpoints(folders: Folders) -> list[str]:
    return folders.model_files("checkpoints") or [BUNDLED_CHECKPOINT]


def _files(folder: str) -> Callable[[Folders], list[str]]:
    return lambda folders: folders.model_files(folder)


@family.node(
    "CheckpointLoaderSimple",
    "nodes",
    "loaders",
    {"ckpt_name": listing(_checkpoints)},
    ("MODEL", "CLIP", "VAE"),
    title="Load Checkpoint",
)
def load_checkpoint(ckpt_name: str) -> tuple[Model, Model, Model]:
    """The simulated model under the file's name; the file itself is not read."""
    model = Model(ckpt_name, SimulatedSampler())
    return model, model, model


@family.node(
    "VAELoader",
    "nodes",
    "loaders",
    {"vae_name": listing(lambda folders: [*folders.model_files("vae"), PIXEL_SPACE])},
    ("VAE",),
    title="Load VAE",
)
def load_vae(vae_name: str) -> Model:
    """The simulated model's VAE, whatever the name."""
    return Model(vae_name, SimulatedSampler())


@family.node(
    "LoraLoader",
    "nodes",
    "loaders",
    {
        "model": MODEL,
        "clip": CLIP,
        "lora_name": listing(_files("loras")),
        "strength_model": number(1.0, -100.0, 100.0, 0.01),
        "strength_clip": number(1.0, -100.0, 100.0, 0.01),
    },
    ("MODEL", "CLIP"),
    title="Load LoRA",
)
def load_lora(
    model: Model, clip: Model, lora_name: str, strength_model: float, strength_clip: float
) -> tuple[Model, Model]:
    """The name and strength join the model's name, and so change the picture mildly."""
    return load_lora_model_only(model, lora_name, strength_model), load_lora_model_only(clip, lora_name, strength_clip)


@family.node(
    "LoraLoaderModelOnly",
    "nodes",
    "loaders",
    {"model": MODEL, "lora_name": listing(_files("loras")), "strength_model": number(1.0, -100.0, 100.0, 0.01)},
    ("MODEL",),
)
def load_lora_model_only(model: Model, lora_name: str, strength_model: float) -> Model:
    """As LoraLoader; strength 0 changes nothing."""
    return replace(model, name=f"{model.name}+{lora_name}:{strength_model}") if strength_model else model


@family.node(
    "CLIPSetLastLayer",
    "nodes",
    "conditioning",
    {"clip": CLIP, "stop_at_clip_layer": integer(-1, -24, -1, 1)},
    ("CLIP",),
    title="CLIP Set Last Layer",
)
def set_last_layer(clip: Model, stop_at_clip_layer: int) -> Model:
    """The simulated text encoder has no layers to leave out."""
    return clip


@family.node(
    "CLIPTextEncode",
    "nodes",
    "conditioning",
    {"text": PROMPT, "clip": CLIP},
    ("CONDITIONING",),
    title="CLIP Text Encode (Prompt)",
)
def encode_text(text: str, clip: Model) -> Conditioning:
    """One pair [embedding, options], as ComfyUI's conditioning nodes expect."""
    return [[Embedding(text), {}]]


@family.node(
    "ConditioningCombine",
    "nodes",
    "conditioning",
    {"conditioning_1": CONDITIONING, "conditioning_2": CONDITIONING},
    ("CONDITIONING",),
    title="Conditioning (Combine)",
)
def combine_conditioning(conditioning_1: Conditioning, conditioning_2: Conditioning) -> Conditioning:
    """Both."""
    return conditioning_1 + conditioning_2


@family.node(
    "ConditioningZeroOut",
    "nodes",
    "advanced/conditioning",
    {"conditioning": CONDITIONING},
    ("CONDITIONING",),
)
def zero_conditioning(conditioning: Conditioning) -> Conditioning:
    """The same without its words."""
    return [[Embedding(""), dict(options)] for _, options in conditioning]


@family.node(
    "EmptyLatentImage",
    "nodes",
    "latent",
    {
        "width": integer(512, 16, MAX_SIDE, 8),
        "height": integer(512, 16, MAX_SIDE, 8),
        "batch_size": integer(1, 1, 4096),
    },
    ("LATENT",),
    title="Empty Latent Image",
)
def empty_latent(width: int, height: int, batch_size: int = 1) -> Latent:
    """Zeros [B,4,H//8,W//8]."""
    check_size(batch_size, height, width)
    return {"samples": np.zeros((batch_size, CHANNELS, height // CELL, width // CELL), np.float32)}


@family.node(
    "KSampler",
    "nodes",
    "sampling",
    {
        "model": MODEL,
        "seed": integer(0, 0, MAX_SEED, control_after_generate=True),
        "steps": integer(20, 1, 10000),
        "cfg": number(8.0, 0.0, 100.0, 0.1, round=0.01),
        "sampler_name": choice(*SAMPLERS),
        "scheduler": choice(*SCHEDULERS),
        "positive": CONDITIONING,
        "negative": CONDITIONING,
        "latent_image": LATENT,
        "denoise": number(1.0, 0.0, 1.0, 0.01),
    },
    ("LATENT",),
)
def sample(
    model: Model,
    seed: int,
    steps: int,
    cfg: float,
    sampler_name: str,
    scheduler: str,
    positive: Conditioning,
    negative: Conditioning,
    latent_image: Latent,
    denoise: float = 1.0,
) -> Latent:
    """Every step costs the setting step_ms, reports progress with a preview, and can be interrupted."""
    task = Task(_text(positive), _text(negative), seed, steps, cfg, denoise, model.name)
    kept = {key: value for key, value in latent_image.items() if key in {"noise_mask", "batch_index"}}
    return {**kept, **model.sampler.sample(task, latent_image, _reporting(steps))}


@family.node("VAEDecode", "nodes", "latent", {"samples": LATENT, "vae": VAE}, ("IMAGE",), title="VAE Decode")
def decode(samples: Latent, vae: Model) -> Floats:
    """Pictures [B,8h,8w,3]."""
    return vae.sampler.decode(samples)


@family.node("VAEEncode", "nodes", "latent", {"pixels": IMAGE, "vae": VAE}, ("LATENT",), title="VAE Encode")
def encode(pixels: Floats, vae: Model) -> Latent:
    """The latent of the pictures, cut to a multiple of 8."""
    return vae.sampler.encode(pixels)


@family.node(
    "VAEEncodeForInpaint",
    "nodes",
    "latent/inpaint",
    {"pixels": IMAGE, "vae": VAE, "mask": MASK, "grow_mask_by": integer(6, 0, 64, 1)},
    ("LATENT",),
    title="VAE Encode (for Inpainting)",
)
def encode_for_inpaint(pixels: Floats, vae: Model, mask: Floats, grow_mask_by: int = 6) -> Latent:
    """The pictures with gray where the mask is set, and the mask, grown, as the place that may change."""
    from scipy.ndimage import maximum_filter  # type: ignore[import-untyped] # no stubs; slow to import, and few graphs inpaint

    if mask.shape[-2:] != pixels.shape[1:3]:
        raise ValueError(
            f"The mask is {mask.shape[-2:]}, the pictures are {pixels.shape[1:3]}. Give both the same size."
        )
    flat = np.asarray(mask, np.float32).reshape(-1, *mask.shape[-2:])
    hole = np.round(flat)[..., None]
    latent = vae.sampler.encode(np.asarray((pixels[..., :3] - 0.5) * (1 - hole) + 0.5, np.float32))
    grown = maximum_filter(flat, size=(1, grow_mask_by or 1, grow_mask_by or 1))
    return {**latent, "noise_mask": to_floats(to_bytes(grown))}


@family.node(
    "SetLatentNoiseMask",
    "nodes",
    "latent/inpaint",
    {"samples": LATENT, "mask": MASK},
    ("LATENT",),
    title="Set Latent Noise Mask",
)
def set_noise_mask(samples: Latent, mask: Floats) -> Latent:
    """Only where the mask is set will the sampler change the picture."""
    return {**samples, "noise_mask": mask.reshape(-1, 1, *mask.shape[-2:])}


def _text(conditioning: Conditioning) -> str:
    return ". ".join(pair[0].text for pair in conditioning if isinstance(pair[0], Embedding) and pair[0].text)


def _reporting(steps: int) -> OnStep:
    context = current()

    def report(step: int, preview: Preview) -> None:
        # The event ends the wait at once when the prompt is interrupted; progress() then raises.
        context.interrupt.wait(context.settings.step_ms / 1000)
        context.progress(step, steps, preview(context.settings.preview_size))

    return report


for _node in family.classes.values():
    _node.SIMULATED = True
