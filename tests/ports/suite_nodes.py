"""A node for the custom_nodes folder of a real ComfyUI, for the conformance suite: a ComfyUI without models has no node
that tells progress for long."""

import time
from typing import Any, ClassVar

import comfy.utils  # type: ignore[import-not-found]  # a ComfyUI has it
import numpy as np
from PIL import Image

STEPS, STEP_SECONDS = 10_000, 0.02


class SuiteSlow:
    """Takes minutes, telling progress and previews; can be interrupted at every step."""

    RETURN_TYPES: ClassVar = ("IMAGE",)
    FUNCTION = "run"
    CATEGORY = "suite"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802  (ComfyUI's name)
        return {"required": {"image": ("IMAGE",), "steps": ("INT", {"default": STEPS, "min": 1, "max": STEPS})}}

    def run(self, image: Any, steps: int) -> tuple[Any]:
        bar = comfy.utils.ProgressBar(steps)
        preview = Image.fromarray((image[0].numpy() * 255).astype(np.uint8))
        for step in range(steps):
            bar.update_absolute(step + 1, steps, ("JPEG", preview, 64))
            time.sleep(STEP_SECONDS)
        return (image,)


NODE_CLASS_MAPPINGS = {"SuiteSlow": SuiteSlow}
