"""Progress of samplers; this engine decodes no latents for previews."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from comfyserve.embedded.comfy_modules.comfy.utils import ProgressBar
from comfyserve.embedded.packs.host import engine

MAX_PREVIEW_RESOLUTION = engine().node_settings.preview_size


class LatentPreviewer:
    """Turns latents into a preview; packs subclass it."""

    def decode_latent_to_preview(self, x0: Any) -> Any:
        """A Pillow image of a latent."""
        raise NotImplementedError

    def decode_latent_to_preview_image(self, preview_format: str, x0: Any) -> tuple[str, Any, int]:
        """(format, picture, longest side), as ProgressBar takes it."""
        return preview_format, self.decode_latent_to_preview(x0), MAX_PREVIEW_RESOLUTION


def get_previewer(device: Any, latent_format: Any) -> LatentPreviewer | None:
    """None: no previews of latents."""


def prepare_callback(model: Any, steps: int, x0_output_dict: Any = None) -> Callable[[int, Any, Any, int], None]:
    """A sampler's callback (step, x0, x, steps) that reports progress."""
    bar = ProgressBar(steps)

    def callback(step: int, x0: Any, x: Any, total_steps: int) -> None:
        if x0_output_dict is not None:
            x0_output_dict["x0"] = x0
        bar.update_absolute(step + 1, total_steps)

    return callback
