"""Nodes that change a conditioning: combining, areas, masks, times, guidance, references, hooks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from comfyserve.embedded.nodes.models.signed import simulates
from comfyserve.embedded.nodes.models.text import with_option
from comfyserve.embedded.simulate import latent as latents
from comfyserve.embedded.simulate import wish
from comfyserve.embedded.simulate.latent import Floats
from comfyserve.embedded.simulate.model import Bytes, Conditioning, Embedding, Latent, Look, Model, Part

CELL = 8


@dataclass(frozen=True, slots=True)
class Hooks:
    """A HOOKS link: what is added to the model while a conditioning is in force."""

    parts: tuple[Part, ...] = ()


@simulates("ConditioningCombine")
def combine(conditioning_1: Conditioning, conditioning_2: Conditioning) -> Conditioning:
    """Both."""
    return conditioning_1 + conditioning_2


@simulates("ConditioningConcat")
def concat(conditioning_to: Conditioning, conditioning_from: Conditioning) -> Conditioning:
    """The words of both as one text, per entry of the first."""
    more = wish.words_of(conditioning_from)
    return [[_longer(embedding, more), options] for embedding, options in conditioning_to]


@simulates("ConditioningAverage")
def average(
    conditioning_to: Conditioning, conditioning_from: Conditioning, conditioning_to_strength: float
) -> Conditioning:
    """The composition of the weightier one, with the colours of the other by its share."""
    first, second, share = wish.words_of(conditioning_to), wish.words_of(conditioning_from), conditioning_to_strength
    if share < 0.5:
        first, second, share = second, first, 1 - share
    return [[Embedding(first, second, 1 - share), options] for _, options in conditioning_to]


@simulates("ConditioningZeroOut")
def zero_out(conditioning: Conditioning) -> Conditioning:
    """The same without its words."""
    return [[Embedding(""), options] for _, options in conditioning]


@simulates("ConditioningSetArea")
def set_area(conditioning: Conditioning, width: int, height: int, x: int, y: int, strength: float) -> Conditioning:
    """The words hold for a box of pixels."""
    area = (height // CELL, width // CELL, y // CELL, x // CELL)
    return with_options(conditioning, {wish.AREA: area, wish.AREA_STRENGTH: strength})


@simulates("ConditioningSetAreaPercentage", "ConditioningSetAreaPercentageVideo")
def set_area_share(
    conditioning: Conditioning,
    width: float,
    height: float,
    x: float,
    y: float,
    strength: float,
    temporal: float = 1.0,
    z: float = 0.0,
) -> Conditioning:
    """The words hold for a box that is a share of the picture."""
    area = ("percentage", height, width, y, x)
    return with_options(conditioning, {wish.AREA: area, wish.AREA_STRENGTH: strength})


@simulates("ConditioningSetAreaStrength")
def set_area_strength(conditioning: Conditioning, strength: float) -> Conditioning:
    """How strongly the words hold in their area."""
    return with_options(conditioning, {wish.AREA_STRENGTH: strength})


@simulates("ConditioningSetMask")
def set_mask(conditioning: Conditioning, mask: Floats, strength: float, set_cond_area: str) -> Conditioning:
    """The words hold where the mask is set."""
    return with_options(conditioning, {wish.MASK: mask, wish.MASK_STRENGTH: strength})


@simulates("ConditioningSetTimestepRange")
def set_times(conditioning: Conditioning, start: float, end: float) -> Conditioning:
    """The words hold for a part of the way."""
    return with_options(conditioning, {wish.START: start, wish.END: end})


@simulates("FluxGuidance")
def set_guidance(conditioning: Conditioning, guidance: float) -> Conditioning:
    """As guidance by cfg: more contrast."""
    return with_options(conditioning, {wish.GUIDANCE: guidance})


@simulates("FluxDisableGuidance")
def no_guidance(conditioning: Conditioning) -> Conditioning:
    """No guidance beside cfg."""
    return with_options(conditioning, {wish.GUIDANCE: None})


@simulates("FluxKontextMultiReferenceLatentMethod")
def reference_method(conditioning: Conditioning, reference_latents_method: str) -> Conditioning:
    """How several references are told apart decides nothing here."""
    return conditioning


@simulates("ReferenceLatent")
def reference(conditioning: Conditioning, latent: Latent | None = None) -> Conditioning:
    """The latent's picture is what is to be edited."""
    if latent is None:
        return conditioning
    return with_option(conditioning, wish.REFERENCES, tuple(latents.decode(latent)[:1]))


@simulates("StyleModelApply")
def apply_style(
    conditioning: Conditioning, style_model: Model, clip_vision_output: Bytes, strength: float, strength_type: str
) -> Conditioning:
    """The picture's colours; without words, the picture from another side."""
    return with_option(conditioning, wish.LOOKS, (Look(clip_vision_output[0], strength),))


@simulates("unCLIPConditioning")
def apply_unclip(
    conditioning: Conditioning, clip_vision_output: Bytes, strength: float, noise_augmentation: float
) -> Conditioning:
    """As a style model; the more noise, the less of the picture is left."""
    return with_option(conditioning, wish.LOOKS, (Look(clip_vision_output[0], strength * (1 - noise_augmentation)),))


@simulates("GLIGENTextBoxApply")
def add_box(
    conditioning_to: Conditioning,
    clip: Model,
    gligen_textbox_model: Model,
    text: str,
    width: int,
    height: int,
    x: int,
    y: int,
) -> Conditioning:
    """The text's subject in a box of pixels."""
    box = (text, (height // CELL, width // CELL, y // CELL, x // CELL))
    return with_option(conditioning_to, wish.BOXES, (box,))


@simulates("ConditioningTimestepsRange")
def times(start_percent: float, end_percent: float) -> tuple[Any, Any, Any]:
    """A part of the way, what is before it, and what is after."""
    return (start_percent, end_percent), (0.0, start_percent), (end_percent, 1.0)


@simulates("ConditioningSetProperties", "ConditioningSetPropertiesAndCombine")
def set_properties(
    strength: float,
    set_cond_area: str,
    cond: Conditioning | None = None,
    mask: Floats | None = None,
    hooks: Hooks | None = None,
    timesteps: tuple[float, float] | None = None,
    **new: Conditioning,
) -> Conditioning:
    """Mask, hooks and times at once; joined to `cond` if there is one."""
    return (cond or []) + _with_properties(new["cond_NEW"], strength, mask, hooks, timesteps)


@simulates("PairConditioningSetProperties", "PairConditioningSetPropertiesAndCombine")
def set_pair_properties(
    strength: float,
    set_cond_area: str,
    positive: Conditioning | None = None,
    negative: Conditioning | None = None,
    mask: Floats | None = None,
    hooks: Hooks | None = None,
    timesteps: tuple[float, float] | None = None,
    **new: Conditioning,
) -> tuple[Conditioning, Conditioning]:
    """As ConditioningSetProperties, for a pair."""
    return (
        (positive or []) + _with_properties(new["positive_NEW"], strength, mask, hooks, timesteps),
        (negative or []) + _with_properties(new["negative_NEW"], strength, mask, hooks, timesteps),
    )


@simulates("ConditioningSetDefaultCombine")
def set_default(cond: Conditioning, hooks: Hooks | None = None, **default: Conditioning) -> Conditioning:
    """What holds where no other entry does."""
    return _with_default(cond, default["cond_DEFAULT"], hooks)


@simulates("PairConditioningSetDefaultCombine")
def set_pair_default(
    positive: Conditioning,
    negative: Conditioning,
    hooks: Hooks | None = None,
    **default: Conditioning,
) -> tuple[Conditioning, Conditioning]:
    """As ConditioningSetDefaultCombine, for a pair."""
    return (
        _with_default(positive, default["positive_DEFAULT"], hooks),
        _with_default(negative, default["negative_DEFAULT"], hooks),
    )


@simulates("PairConditioningCombine")
def combine_pairs(**pairs: Conditioning) -> tuple[Conditioning, Conditioning]:
    """Both of each."""
    return pairs["positive_A"] + pairs["positive_B"], pairs["negative_A"] + pairs["negative_B"]


@simulates("CreateHookLora", "CreateHookLoraModelOnly", "CreateHookModelAsLora", "CreateHookModelAsLoraModelOnly")
def create_hook(
    strength_model: float,
    lora_name: str = "",
    ckpt_name: str = "",
    strength_clip: float = 1.0,
    prev_hooks: Hooks | None = None,
) -> Hooks:
    """A LoRA for the time that a conditioning holds."""
    part = Part("lora", lora_name or ckpt_name, strength_model)
    return Hooks(((*prev_hooks.parts, part) if prev_hooks else (part,)) if strength_model else ())


@simulates("CombineHooks2", "CombineHooks4", "CombineHooks8")
def combine_hooks(**hooks: Hooks | None) -> Hooks:
    """All that are there."""
    return Hooks(tuple(part for one in hooks.values() if one for part in one.parts))


@simulates("CreateHookKeyframe")
def hook_keyframe(
    strength_mult: float, start_percent: float, prev_hook_kf: tuple[float, ...] | None = None
) -> tuple[float, ...]:
    """A strength from some point of the way on."""
    return (*(prev_hook_kf or ()), strength_mult)


@simulates("CreateHookKeyframesInterpolated")
def hook_keyframes(
    strength_start: float,
    strength_end: float,
    interpolation: str,
    start_percent: float,
    end_percent: float,
    keyframes_count: int,
    print_keyframes: bool,
    prev_hook_kf: tuple[float, ...] | None = None,
) -> tuple[float, ...]:
    """Strengths from one value to another."""
    between = np.linspace(strength_start, strength_end, keyframes_count)
    return (*(prev_hook_kf or ()), *(float(value) for value in between))


@simulates("CreateHookKeyframesFromFloats")
def hook_keyframes_from(
    floats_strength: Any,
    start_percent: float,
    end_percent: float,
    print_keyframes: bool,
    prev_hook_kf: tuple[float, ...] | None = None,
) -> tuple[float, ...]:
    """Strengths from a list."""
    given = floats_strength if isinstance(floats_strength, (list, tuple)) else [floats_strength]
    return (*(prev_hook_kf or ()), *(float(value) for value in given))


@simulates("SetHookKeyframes")
def set_keyframes(hooks: Hooks, hook_kf: tuple[float, ...] | None = None) -> Hooks:
    """The simulated model sees one moment only: the mean of the strengths."""
    if not hook_kf:
        return hooks
    factor = sum(hook_kf) / len(hook_kf)
    return Hooks(tuple(replace(part, strength=part.strength * factor) for part in hooks.parts))


@simulates("SetClipHooks")
def set_clip_hooks(clip: Model, apply_to_conds: bool, schedule_clip: bool, hooks: Hooks | None = None) -> Model:
    """What the hooks add, on the text encoder."""
    return replace(clip, parts=(*clip.parts, *hooks.parts)) if hooks else clip


def with_options(conditioning: Conditioning, options: dict[str, Any]) -> Conditioning:
    """A copy with these options on every entry."""
    return [[embedding, {**own, **options}] for embedding, own in conditioning]


def _with_properties(
    conditioning: Conditioning,
    strength: float,
    mask: Floats | None,
    hooks: Hooks | None,
    timesteps: tuple[float, float] | None,
) -> Conditioning:
    options: dict[str, Any] = {}
    if mask is not None:
        options |= {wish.MASK: mask, wish.MASK_STRENGTH: strength}
    if timesteps is not None:
        options |= {wish.START: timesteps[0], wish.END: timesteps[1]}
    changed = with_options(conditioning, options)
    return with_option(changed, wish.PARTS, hooks.parts) if hooks else changed


def _with_default(conditioning: Conditioning, default: Conditioning, hooks: Hooks | None) -> Conditioning:
    return _with_properties(default, 1.0, None, hooks, None) + conditioning


def _longer(embedding: Embedding, more: str) -> Embedding:
    return replace(embedding, text=". ".join(text for text in (embedding.text, more) if text))
