"""What turns a model into a model: patches join its identity and so shift the picture mildly; some change its noise."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from comfyserve.embedded.nodes.models.signed import family, signatures, simulates
from comfyserve.embedded.simulate.families import fine_flow
from comfyserve.embedded.simulate.model import Latent, Method, Model
from comfyserve.embedded.simulate.noise_scale import NoiseScale

LTXV_PLACES: Final = 4096


@simulates("ModelSamplingSD3", "ModelSamplingAuraFlow", "ModelSamplingStableCascade")
def flow_shift(model: Model, shift: float) -> Model:
    """Straight lines with this shift."""
    return model.with_noise(NoiseScale("flow", max(shift, 1e-3)))


@simulates("ModelSamplingFlux")
def flux_shift(model: Model, max_shift: float, base_shift: float, width: int, height: int) -> Model:
    """A shift that grows with the picture, from 256 to 4096 patches of 16 pixels."""
    return model.with_noise(fine_flow(_grown(width * height / 256, 256, base_shift, max_shift)))


@simulates("ModelSamplingLTXV")
def ltxv_shift(model: Model, max_shift: float, base_shift: float, latent: Latent | None = None) -> Model:
    """A shift that grows with the latent, from 1024 to 4096 places."""
    places = LTXV_PLACES if latent is None else int(np.prod(np.shape(latent["samples"])[2:]))
    return model.with_noise(fine_flow(_grown(places, 1024, base_shift, max_shift)))


@simulates("ModelSamplingDiscrete")
def discrete(model: Model, sampling: str, zsnr: bool) -> Model:
    """The scale of Stable Diffusion."""
    return model.with_noise(NoiseScale()).add("patch", f"ModelSamplingDiscrete/{sampling}/{zsnr}")


@simulates("ModelSamplingContinuousEDM", "ModelSamplingContinuousV")
def continuous(model: Model, sampling: str, sigma_max: float, sigma_min: float) -> Model:
    """Even in log sigma between these bounds."""
    low = max(min(sigma_min, sigma_max), 1e-4)
    noise = NoiseScale("log", low=low, high=max(sigma_max, low * 1.001))
    return model.with_noise(noise).add("patch", f"sampling/{sampling}")


@simulates("CLIPMergeSimple", "CLIPMergeSubtract", "CLIPMergeAdd")
def merge_clips(clip1: Model, clip2: Model, ratio: float = 1.0, multiplier: float = 1.0) -> Model:
    """The first, with the second in its identity."""
    return clip1.add("merge", clip2.identity, ratio * multiplier)


def _grown(places: float, low: int, base: float, top: float) -> float:
    return base + (top - base) * (places - low) / (LTXV_PLACES - low)


def _patch(name: str) -> None:
    @simulates(name)
    def patched(model: Model, **options: Any) -> Model:
        """Joins the model's identity with its options."""
        return model.add("patch", f"{name}({_said(options)})")


def _merge(name: str) -> None:
    @simulates(name)
    def merged(model1: Model, model2: Model, **shares: Any) -> Model:
        """The first, with the second and the shares in its identity."""
        return model1.add("merge", f"{name}({model2.identity}, {_said(shares)})")


def _clip_patch(name: str) -> None:
    @simulates(name)
    def patched(clip: Model, **options: Any) -> Model:
        """Joins the text encoder's identity; the simulated one reads the words as before."""
        return clip.add("patch", f"{name}({_said(options)})")


def _method(name: str) -> None:
    @simulates(name)
    def method(**options: Any) -> Method:
        """The algorithm with its options."""
        given = {key: value for key, value in options.items() if not isinstance(value, Model)}
        return Method(name.removeprefix("Sampler"), tuple(sorted(given.items())))


def _said(options: dict[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in options.items() if isinstance(value, (str, int, float)))


def publish_the_rest() -> None:
    """Every class that is left and only makes a model of a model, an encoder of an encoder, or options a sampler."""
    rules = {
        ("MODEL", "model"): _patch,
        ("MODEL", "model1"): _merge,
        ("CLIP", "clip"): _clip_patch,
    }
    for name, signature in signatures().items():
        if name in family.classes:
            continue
        first = next(iter(signature["inputs"].get("required", {})), "")
        if signature["outputs"] == ["SAMPLER"]:
            _method(name)
        elif len(signature["outputs"]) == 1 and (signature["outputs"][0], first) in rules:
            rules[signature["outputs"][0], first](name)
