"""sdxl/txt2img-with-refiner: text to image with a refiner."""

from typing import Any

from pydantic import BaseModel, Field

from comfyserve.workflows import ctx, random_seed

summary = "Text to image with a refiner"
description = "A picture from a text, with Stable Diffusion XL; its refiner does the last steps."


class Input(BaseModel):
    prompt: str = Field(description="What the picture shows")
    negative_prompt: str = Field("text, watermark", description="What the picture must not show")
    width: int = Field(1024, ge=256, le=2048, description="Pixels from left to right of the picture")
    height: int = Field(1024, ge=256, le=2048, description="Pixels from top to bottom of the picture")
    seed: int = Field(
        default_factory=random_seed, description="The same seed gives the same picture; a random one unless given"
    )
    steps: int = Field(25, ge=1, le=100, description="Steps of the sampler")
    cfg_scale: float = Field(8, ge=0, le=20, description="How closely the prompt is followed")
    sampler_name: ctx.Sampler = Field("euler", description="A sampler that the engine has")
    scheduler: ctx.Scheduler = Field("normal", description="A scheduler that the engine has")
    base_start_step: int = Field(0, ge=0, le=100, description="The first step of the base model")
    base_end_step: int = Field(20, ge=0, le=100, description="The step before which the base model ends")
    refiner_start_step: int = Field(20, ge=0, le=100, description="The first step of the refiner")
    checkpoint: ctx.Model("checkpoints") = Field(
        None, description="A file among the checkpoints; that of the warm-up, or else the first"
    )
    refiner_checkpoint: str = Field(
        "sd_xl_refiner_1.0.safetensors", description="The file of the refiner among the checkpoints"
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
            "class_type": "KSamplerAdvanced",
            "inputs": {
                "add_noise": "enable",
                "noise_seed": input.seed,
                "steps": input.steps,
                "cfg": input.cfg_scale,
                "sampler_name": input.sampler_name,
                "scheduler": input.scheduler,
                "start_at_step": input.base_start_step,
                "end_at_step": input.base_end_step,
                "return_with_leftover_noise": "enable",
                "model": ["1", 0],
                "positive": ["2", 0],
                "negative": ["3", 0],
                "latent_image": ["4", 0],
            },
            "_meta": {"title": "Base"},
        },
        "6": {
            "class_type": "CheckpointLoaderSimple",
            "inputs": {"ckpt_name": input.refiner_checkpoint},
            "_meta": {"title": "Refiner"},
        },
        "7": {
            "class_type": "CLIPTextEncode",
            "inputs": {"text": input.prompt, "clip": ["6", 1]},
            "_meta": {"title": "Prompt of the refiner"},
        },
        "8": {
            "class_type": "CLIPTextEncode",
            "inputs": {"text": input.negative_prompt, "clip": ["6", 1]},
            "_meta": {"title": "Negative prompt of the refiner"},
        },
        "9": {
            "class_type": "KSamplerAdvanced",
            "inputs": {
                "add_noise": "disable",
                "noise_seed": 0,
                "steps": input.steps,
                "cfg": input.cfg_scale,
                "sampler_name": input.sampler_name,
                "scheduler": input.scheduler,
                "start_at_step": input.refiner_start_step,
                "end_at_step": 10000,
                "return_with_leftover_noise": "disable",
                "model": ["6", 0],
                "positive": ["7", 0],
                "negative": ["8", 0],
                "latent_image": ["5", 0],
            },
            "_meta": {"title": "Refiner"},
        },
        "10": {
            "class_type": "VAEDecode",
            "inputs": {"samples": ["9", 0], "vae": ["6", 2]},
            "_meta": {"title": "Decode"},
        },
        "11": {
            "class_type": "SaveImage",
            "inputs": {"images": ["10", 0], "filename_prefix": "ComfyUI"},
            "_meta": {"title": "Save"},
        },
    }
