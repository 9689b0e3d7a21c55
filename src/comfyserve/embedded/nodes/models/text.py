"""Text encoders: the simulated model reads the words themselves, so an encoder only passes them on."""

from __future__ import annotations

from typing import Any

import numpy as np

from comfyserve.embedded.nodes.models.signed import simulates
from comfyserve.embedded.simulate import wish
from comfyserve.embedded.simulate.latent import Floats, rounded_bytes
from comfyserve.embedded.simulate.model import Bytes, Conditioning, Embedding, Look, Model

# Inputs that hold the words, in the order in which they matter.
WORDS = (
    "text",
    "prompt",
    "user_prompt",
    "text_g",
    "clip_g",
    "t5xxl",
    "mt5xl",
    "llama",
    "text_l",
    "clip_l",
    "bert",
    "tags",
)


@simulates(
    "CLIPTextEncode",
    "CLIPTextEncodeSDXL",
    "CLIPTextEncodeSDXLRefiner",
    "CLIPTextEncodeSD3",
    "CLIPTextEncodeHiDream",
    "CLIPTextEncodeHunyuanDiT",
    "CLIPTextEncodeLumina2",
    "CLIPTextEncodePixArtAlpha",
)
def encode_text(**values: Any) -> Conditioning:
    """The words, each text once."""
    return encoded(*(values[name] for name in WORDS if isinstance(values.get(name), str)))


@simulates("CLIPTextEncodeFlux")
def encode_flux(clip: Model, clip_l: str, t5xxl: str, guidance: float) -> Conditioning:
    """The words and the guidance."""
    return [[entry, {wish.GUIDANCE: guidance}] for entry, _ in encoded(t5xxl, clip_l)]


@simulates("CLIPTextEncodeControlnet")
def encode_for_controlnet(clip: Model, conditioning: Conditioning, text: str) -> Conditioning:
    """Words for the ControlNet alone; the simulated one takes its structure from the picture only."""
    return conditioning


@simulates("TextEncodeHunyuanVideo_ImageToVideo")
def encode_hunyuan_image(clip: Model, clip_vision_output: Bytes, prompt: str, image_interleave: int) -> Conditioning:
    """The words, and a little of the picture's colours."""
    return with_option(encoded(prompt), wish.LOOKS, (Look(clip_vision_output[0], 0.3),))


@simulates("TextEncodeQwenImageEdit", "TextEncodeQwenImageEditPlus")
def encode_edit(
    clip: Model,
    prompt: str,
    vae: Model | None = None,
    image: Floats | None = None,
    image1: Floats | None = None,
    image2: Floats | None = None,
    image3: Floats | None = None,
) -> Conditioning:
    """The words, and the pictures that are to be edited."""
    given = [rounded_bytes(one[0, ..., :3]) for one in (image, image1, image2, image3) if one is not None]
    return with_option(encoded(prompt), wish.REFERENCES, tuple(given)) if given else encoded(prompt)


@simulates("TextEncodeAceStepAudio")
def encode_song(clip: Model, tags: str, lyrics: str, lyrics_strength: float) -> Conditioning:
    """The tags decide the sound, the lyrics join them."""
    return encoded(tags, lyrics)


@simulates("PhotoMakerEncode")
def encode_photomaker(photomaker: Model, image: Floats, clip: Model, text: str) -> Conditioning:
    """The words, and the colours of the person's picture."""
    return with_option(encoded(text), wish.LOOKS, (Look(rounded_bytes(image[0, ..., :3]), 0.6),))


@simulates("CLIPVisionEncode")
def encode_picture(clip_vision: Model, image: Floats, crop: str) -> Bytes:
    """The pictures themselves: what the simulated encoder knows of them."""
    return rounded_bytes(np.ascontiguousarray(image[..., :3]))


def encoded(*texts: str) -> Conditioning:
    """One pair [embedding, options] of these texts, repetitions left out."""
    kept = dict.fromkeys(text.strip() for text in texts if text.strip())
    return [[Embedding(". ".join(kept)), {}]]


def with_option(conditioning: Conditioning, key: str, value: Any) -> Conditioning:
    """A copy with this option on every entry; a tuple joins the one that is there."""
    result = []
    for embedding, options in conditioning:
        joined = options.get(key, ()) + value if isinstance(value, tuple) else value
        result.append([embedding, {**options, key: joined}])
    return result
