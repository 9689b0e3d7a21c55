"""sdxl/txt2img: text to image."""

from typing import Any

from pydantic import BaseModel, Field

from comfyserve.workflows import ctx, random_seed

summary = "Text to image"
description = "A picture from a text, with Stable Diffusion XL."


class Input(BaseModel):
    prompt: str = Field(description="What the picture shows")
    negative_prompt: str = Field("text, watermark", description="What the picture must not show")
    width: int = Field(1024, ge=256, le=2048, description="Pixels from left to right of the picture")
    height: int = Field(1024, ge=256, le=2048, description="Pixels from top to bottom of the picture")
    seed: int = Field(
        default_factory=random_seed, description="The same seed gives the same picture; a random one unless given"
    )
    steps: int = Field(20, ge=1, le=100, description="Steps of the sampler")
    cfg_scale: float = Field(8, ge=0, le=20, description="How closely the prompt is followed")
    sampler_name: ctx.Sampler = Field("euler", description="A sampler that the engine has")
    scheduler: ctx.Scheduler = Field("normal", description="A scheduler that the engine has")
    denoise: float = Field(1, ge=0, le=1, description="How much of the start is replaced: 1 is all of it")
    checkpoint: ctx.Model("checkpoints") = Field(
        None, description="A file among the checkpoints; that of the warm-up, or else the first"
    )


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
            "inputs": {"text": input.negative_prompt, "clip": ["1", 1]},
            "_meta": {"title": "Negative prompt"},
        },
        "4": {
            "class_type": "EmptyLatentImage",
            "inputs": {"width": input.width, "height": input.height, "batch_size": 1},
            "_meta": {"title": "Empty latent"},
        },
        "5": {
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
                "latent_image": ["4", 0],
            },
            "_meta": {"title": "Sampler"},
        },
        "6": {
            "class_type": "VAEDecode",
            "inputs": {"samples": ["5", 0], "vae": ["1", 2]},
            "_meta": {"title": "Decode"},
        },
        "7": {
            "class_type": "SaveImage",
            "inputs": {"images": ["6", 0], "filename_prefix": "ComfyUI"},
            "_meta": {"title": "Save"},
        },
    }
