"""flux/img2img: image to image."""

from typing import Any, Literal

from pydantic import BaseModel, Field

from comfyserve.workflows import ctx, random_seed

summary = "Image to image"
description = "A picture from another one and a text, with Flux schnell in one file. Needs ComfyUI_essentials."


class Input(BaseModel):
    prompt: str = Field(description="What the picture shows")
    width: int = Field(1024, ge=256, le=2048, description="Pixels from left to right of the picture")
    height: int = Field(1024, ge=256, le=2048, description="Pixels from top to bottom of the picture")
    seed: int = Field(
        default_factory=random_seed, description="The same seed gives the same picture; a random one unless given"
    )
    steps: int = Field(4, ge=1, le=100, description="Steps of the sampler")
    cfg_scale: float = Field(1, ge=0, le=20, description="How closely the prompt is followed")
    sampler_name: ctx.Sampler = Field("euler", description="A sampler that the engine has")
    scheduler: ctx.Scheduler = Field("simple", description="A scheduler that the engine has")
    denoise: float = Field(
        0.8, ge=0, le=1, description="How much of the given picture is replaced: 0 keeps it, 1 ignores it"
    )
    checkpoint: ctx.Model("checkpoints") = Field(
        None, description="A file among the checkpoints; that of the warm-up, or else the first"
    )
    image: str = Field(description="The picture to begin with: a URL or base64")
    interpolation: Literal["nearest"] = Field("nearest", description="How pixels are made when the picture is resized")
    resize_method: Literal["fill / crop"] = Field("fill / crop", description="How the picture is brought to the size")
    resize_condition: Literal["always"] = Field("always", description="When the picture is resized")
    multiple_of: int = Field(8, description="Width and height become multiples of this; 0 leaves them")


def generate(input: Input) -> dict[str, Any]:
    return {
        "1": {
            "class_type": "CheckpointLoaderSimple",
            "inputs": {"ckpt_name": input.checkpoint},
            "_meta": {"title": "Checkpoint"},
        },
        "2": {
            "class_type": "CLIPTextEncode",
            "inputs": {"text": input.prompt, "clip": ["1", 1]},
            "_meta": {"title": "Prompt"},
        },
        "3": {
            "class_type": "CLIPTextEncode",
            "inputs": {"text": "", "clip": ["1", 1]},
            "_meta": {"title": "Negative prompt"},
        },
        "4": {
            "class_type": "LoadImage",
            "inputs": {"image": input.image},
            "_meta": {"title": "Picture"},
        },
        "5": {
            "class_type": "ImageResize+",
            "inputs": {
                "image": ["4", 0],
                "width": input.width,
                "height": input.height,
                "interpolation": input.interpolation,
                "method": input.resize_method,
                "condition": input.resize_condition,
                "multiple_of": input.multiple_of,
            },
            "_meta": {"title": "Resize"},
        },
        "6": {
            "class_type": "VAEEncode",
            "inputs": {"pixels": ["5", 0], "vae": ["1", 2]},
            "_meta": {"title": "Encode"},
        },
        "7": {
            "class_type": "KSampler",
            "inputs": {
                "seed": input.seed,
                "steps": input.steps,
                "cfg": input.cfg_scale,
                "sampler_name": input.sampler_name,
                "scheduler": input.scheduler,
                "denoise": input.denoise,
                "model": ["1", 0],
                "positive": ["2", 0],
                "negative": ["3", 0],
                "latent_image": ["6", 0],
            },
            "_meta": {"title": "Sampler"},
        },
        "8": {
            "class_type": "VAEDecode",
            "inputs": {"samples": ["7", 0], "vae": ["1", 2]},
            "_meta": {"title": "Decode"},
        },
        "9": {
            "class_type": "SaveImage",
            "inputs": {"images": ["8", 0], "filename_prefix": "ComfyUI"},
            "_meta": {"title": "Save"},
        },
    }
