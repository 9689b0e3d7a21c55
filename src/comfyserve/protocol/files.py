"""How ComfyUI names its folders and files (spec comfyui-protocol 4, 5 and 11)."""

from __future__ import annotations

import re
from typing import Final

MODEL_FOLDERS: Final = (
    "checkpoints",
    "configs",
    "loras",
    "vae",
    "text_encoders",
    "diffusion_models",
    "clip_vision",
    "style_models",
    "embeddings",
    "diffusers",
    "vae_approx",
    "controlnet",
    "gligen",
    "upscale_models",
    "custom_nodes",
    "hypernetworks",
    "photomaker",
    "classifiers",
    "model_patches",
    "audio_encoders",
)
MODEL_FOLDER_ALIASES: Final = {"unet": "diffusion_models", "clip": "text_encoders"}
MODEL_FOLDER_PATHS: Final = {
    "text_encoders": ("text_encoders", "clip"),
    "diffusion_models": ("unet", "diffusion_models"),
    "controlnet": ("controlnet", "t2i_adapter"),
}
"""The kinds with more than one folder below models/."""
MODEL_FOLDER_EXTENSIONS: Final = {"configs": (".yaml",), "diffusers": ("folder",), "classifiers": ("",)}
"""The kinds whose files end otherwise."""
MODEL_EXTENSIONS: Final = (".ckpt", ".pt", ".pt2", ".bin", ".pth", ".safetensors", ".pkl", ".sft")

FILE_TYPES: Final = ("output", "input", "temp")
COUNTER_WIDTH: Final = 5

_ANNOTATED: Final = re.compile(r"^(?P<name>.*?)\s*\[(?P<type>input|output|temp)\]$", re.DOTALL)


def split_annotation(name: str, default: str = "input") -> tuple[str, str]:
    """'x.png [output]' -> ('x.png', 'output'); a name without annotation gets the default type."""
    match = _ANNOTATED.match(name)
    return (match["name"], match["type"]) if match else (name, default)


def output_file_name(stem: str, counter: int, ext: str) -> str:
    """'ComfyUI', 7, 'png' -> 'ComfyUI_00007_.png'."""
    return f"{stem}_{counter:0{COUNTER_WIDTH}d}_.{ext.lstrip('.')}"
