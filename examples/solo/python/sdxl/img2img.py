"""sdxl/img2img: image to image."""

from typing import Any, Literal

from pydantic import BaseModel, Field

from comfyserve.workflows import ctx, random_seed

summary = "Image to image"
description = "A picture from another one and a text, with Stable Diffusion XL."


class Input(BaseModel):
    prompt: str = Field(description="What the picture shows")
    negative_prompt: str = Field("", description="What the picture must not show")
    width: int = Field(4096, ge=256, le=4096, description="The width that the model is told")
    height: int = Field(4096, ge=256, le=4096, description="The height that the model is told")
    seed: int = Field(
        default_factory=random_seed, description="The same seed gives the same picture; a random one unless given"
    )
    steps: int = Field(20, ge=1, le=100, description="Steps of the sampler")
    cfg_scale: float = Field(5.5, ge=0, le=20, description="How closely the prompt is followed")
    sampler_name: ctx.Sampler = Field("dpmpp_2m_sde_gpu", description="A sampler that the engine has")
    scheduler: ctx.Scheduler = Field("exponential", description="A scheduler that the engine has")
    denoise: float = Field(
        0.75, ge=0, le=1, description="How much of the given picture is replaced: 0 keeps it, 1 ignores it"
    )
    checkpoint: ctx.Model("checkpoints") = Field(
        None, description="A file among the checkpoints; that of the warm-up, or else the first"
    )
    image: str = Field(description="The picture to begin with: a URL or base64")
    upscale_method: Literal["nearest-exact"] = Field(
        "nearest-exact", description="How pixels are made when the picture is resized"
    )
    target_width: int = Field(1024, ge=256, le=4096, description="Pixels from left to right of the picture")
    target_height: int = Field(1024, ge=256, le=4096, description="Pixels from top to bottom of the picture")


def generate(input: Input) -> dict[str, Any]:
    return {
        "1": {
            "class_type": "CheckpointLoaderSimple",
            "inputs": {"ckpt_name": input.checkpoint},
            "_meta": {"title": "Checkpoint"},
        },
        "2": {
            "class_type": "CLIPTextEncodeSDXL",
            "inputs": {
                "width": input.width,
                "height": input.height,
                "crop_w": 0,
                "crop_h": 0,
                "target_width": input.width,
                "target_height": input.height,
                "text_g": input.prompt,
                "text_l": input.prompt,
                "clip": ["1", 1],
            },
            "_meta": {"title": "Prompt"},
        },
        "3": {
            "class_type": "CLIPTextEncodeSDXL",
            "inputs": {
                "width": input.width,
                "height": input.height,
                "crop_w": 0,
                "crop_h": 0,
                "target_width": input.width,
                "target_height": input.height,
                "text_g": input.negative_prompt,
                "text_l": input.negative_prompt,
                "clip": ["1", 1],
            },
            "_meta": {"title": "Negative prompt"},
        },
        "4": {
            "class_type": "LoadImage",
            "inputs": {"image": input.image},
            "_meta": {"title": "Picture"},
        },
        "5": {
            "class_type": "ImageScale",
            "inputs": {
                "image": ["4", 0],
                "upscale_method": input.upscale_method,
                "width": input.target_width,
                "height": input.target_height,
                "crop": "center",
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
            "inputs": {"images": ["8", 0], "filename_prefix": "img2img"},
            "_meta": {"title": "Save"},
        },
    }
