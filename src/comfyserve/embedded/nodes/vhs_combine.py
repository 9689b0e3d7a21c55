"""VHS_VideoCombine: frames and sound as one GIF, WEBP or video (ComfyUI-VideoHelperSuite)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from comfyserve.embedded.media.sound import Audio
from comfyserve.embedded.nodes.declare import Everything, Family, boolean, choice, integer, text
from comfyserve.embedded.nodes.io import Prompt, Ui, marked, png_texts
from comfyserve.embedded.nodes.vhs_formats import FORMATS, WIDGETS
from comfyserve.embedded.nodes.vhs_render import PILLOW_FORMATS, Clip, Made, Target, render, save_still, target_of
from comfyserve.embedded.nodes.vhs_shared import (
    CATEGORY,
    FLOAT_OR_INT,
    IMAGE_OR_LATENT,
    MARK,
    META_BATCH,
    MODULE,
    VAE,
    refuse_unsupported,
)
from comfyserve.embedded.pixels.arrays import Image

family = Family()

Filenames = tuple[bool, list[str]]


@family.node(
    "VHS_VideoCombine",
    MODULE,
    CATEGORY,
    {
        "images": (IMAGE_OR_LATENT,),
        "frame_rate": (FLOAT_OR_INT, {"default": 8, "min": 1, "step": 1}),
        "loop_count": integer(0, 0, 100, 1),
        "filename_prefix": text("AnimateDiff"),
        "format": choice(*PILLOW_FORMATS, *(f"video/{name}" for name in FORMATS), formats=WIDGETS),
        "pingpong": boolean(False),
        "save_output": boolean(True),
    },
    ("VHS_FILENAMES",),
    title="Video Combine" + MARK,
    optional=Everything(audio=("AUDIO",), meta_batch=META_BATCH, vae=VAE),
    hidden={"prompt": "PROMPT", "extra_pnginfo": "EXTRA_PNGINFO", "unique_id": "UNIQUE_ID"},
    names=("Filenames",),
    output_node=True,
)
def combine_video(
    images: Image,
    frame_rate: float,
    loop_count: int = 0,
    filename_prefix: str = "AnimateDiff",
    format: str = "image/gif",
    pingpong: bool = False,
    save_output: bool = True,
    audio: Audio | None = None,
    prompt: Prompt | None = None,
    extra_pnginfo: Prompt | None = None,
    **widgets: Any,
) -> tuple[Ui, Filenames]:
    """The file, beside it a PNG of the first frame with the graph, and where there is sound a second file with it."""
    refuse_unsupported(vae=widgets.get("vae"), meta_batch=widgets.get("meta_batch"))
    if not isinstance(images, np.ndarray):
        raise ValueError("Video Combine takes pictures here. Put a VAE Decode before it.")
    if not len(images):
        return {}, (save_output, [])
    kind = "output" if save_output else "temp"
    target = target_of(filename_prefix, kind)
    tags = png_texts(prompt, extra_pnginfo)
    wishes = _wishes(extra_pnginfo)
    still = target.path(".png")
    if wishes.get("VHS_MetadataImage", True) is not False:
        save_still(still, images[0], tags)
    clip = Clip(images, _order(len(images), pingpong), frame_rate, loop_count)
    made = render(target, clip, format, widgets, audio, tags)
    if wishes.get("VHS_KeepIntermediate", True) is False:
        made.drop_intermediate()
    files = [str(path) for path in (still, *made.files)]
    return marked({"gifs": _shown(target, made, format, frame_rate, still.name)}, prompt), (save_output, files)


def _order(count: int, pingpong: bool) -> list[int]:
    """Forwards, and for a ping-pong backwards without the two ends."""
    return [*range(count), *(range(count - 2, 0, -1) if pingpong else ())]


def _shown(target: Target, made: Made, form: str, rate: float, still: str) -> list[dict[str, Any]]:
    return [
        {
            "filename": path.name,
            "subfolder": target.subfolder,
            "type": target.kind,
            "format": "image/png" if path.suffix == ".png" else form,
            "frame_rate": rate,
            "workflow": still,
            "fullpath": str(path),
        }
        for path in made.shown
    ]


def _wishes(extra_pnginfo: Prompt | None) -> Mapping[str, Any]:
    """What the editor's settings say, as they stand in the workflow."""
    workflow = (extra_pnginfo or {}).get("workflow")
    extra = workflow.get("extra") if isinstance(workflow, Mapping) else None
    return extra if isinstance(extra, Mapping) else {}
