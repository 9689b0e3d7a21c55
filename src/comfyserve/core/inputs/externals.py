"""The one table of the External nodes: what each class declares and how a caller's value gets into it.

Source: external-nodes.md sections 2 to 4. The node package `comfy_nodes` is generated from it (script/generate-nodes).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from comfyserve.core.inputs.node_class import (
    NUMBER_LIMIT,
    Field,
    NodeClass,
    choice,
    files,
    integer,
    linked,
    number,
    text,
)


class Kind(StrEnum):
    """What a caller gives for an input."""

    TEXT = "text"
    NUMBER = "number"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    CHOICE = "choice"
    SEED = "seed"
    IMAGE = "image"
    IMAGES = "images"
    VIDEO = "video"
    AUDIO = "audio"
    FILE = "file"
    MODEL = "model"
    COLOR = "color"


NUMERIC = frozenset({Kind.NUMBER, Kind.INTEGER, Kind.SEED})
MEDIA = frozenset({Kind.IMAGE, Kind.IMAGES, Kind.VIDEO, Kind.AUDIO, Kind.FILE})


@dataclass(frozen=True)
class External:
    """A node class that declares an input. A given value goes to `input_id` as text and to `receives` as it is.

    `default`, `minimum`, `maximum`, `options` and `combo` name the fields that hold the saved default, the bounds,
    the JSON list of choices and the engine's own list. `fallbacks` are emptied when a value is given, so that a file
    that cannot be read is an error and not quietly another file. A `realtime` input is fed by a socket only.
    """

    node: NodeClass
    kind: Kind
    receives: tuple[str, ...] = ()
    default: str = "default_value"
    minimum: str = ""
    maximum: str = ""
    options: str = ""
    combo: str = ""
    fallbacks: tuple[str, ...] = ()
    realtime: bool = False

    def field(self, name: str) -> Field | None:
        """The declared field of that name."""
        return next((one for one in self.node.fields if one.name == name), None)


CATEGORY = "🔗ComfyDeploy"
INPUT_ID = "input_id"
ANY = "*"
SEED_LIMIT = 999999999999999
SEED_HIGH = 4294967295
RANDOM_SEED = -1

FORCE_SIZES: tuple[str, ...] = ("Disabled", "Custom Height", "Custom Width", "Custom")
FORCE_SIZES += ("256x?", "?x256", "256x256", "512x?", "?x512", "512x512")

VALUE = ("default_value",)
WHOLE = (-NUMBER_LIMIT, NUMBER_LIMIT)
IMAGE_OUT = (("IMAGE", "image"),)
PATH_OUT = ((ANY, "path"),)
VIDEO_OUT = (
    ("IMAGE", "IMAGE"),
    ("INT", "frame_count"),
    ("AUDIO", "audio"),
    ("VHS_VIDEOINFO", "video_info"),
    ("LATENT", "LATENT"),
)

LINES = text("default_value", multiline=True)
LINKED_IMAGE = linked("default_value", "IMAGE")
SHOWN = (text("display_name"), text("description", multiline=True))
SLIDER: Mapping[str, Any] = {"minimum": "min_value", "maximum": "max_value"}
SEED_HELP = "A number inside the limits is kept; any other gives a new seed each time."


def _external(
    name: str,
    kind: Kind,
    outputs: tuple[tuple[str, str], ...],
    input_id: str,
    *fields: Field,
    title: str = "",
    receives: tuple[str, ...] = (),
    **rest: Any,
) -> External:
    """A class `ComfyUIDeployExternal<name>` whose first field is `input_id` with that default."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    title = title or f"External {words} (ComfyUI Deploy)"
    own = (text(INPUT_ID, input_id, required=True), *fields)
    return External(NodeClass(f"ComfyUIDeployExternal{name}", title, own, outputs), kind, receives, **rest)


_TEXTS = (
    _external("Text", Kind.TEXT, (("STRING", "text"),), "input_text", LINES, *SHOWN, receives=VALUE),
    _external("TextAny", Kind.TEXT, ((ANY, "text"),), "input_text", LINES, *SHOWN, receives=VALUE),
    _external(
        "TextSingleLine", Kind.TEXT, (("STRING", "text"),), "input_text", text("default_value"), *SHOWN, receives=VALUE
    ),
    _external(
        "Enum",
        Kind.CHOICE,
        ((ANY, "text"),),
        "input_enum",
        text("default_value", dynamic_enum=True),
        text("options", multiline=True),
        *SHOWN,
        title="External Enum",
        receives=VALUE,
        options="options",
    ),
    _external(
        "Boolean",
        Kind.BOOLEAN,
        (("BOOLEAN", "bool_value"),),
        "input_bool",
        Field("default_value", "BOOLEAN", True, {"default": False}),
        *SHOWN,
        receives=VALUE,
    ),
    _external(
        "Color",
        Kind.COLOR,
        (("STRING", "color"),),
        "input_color",
        text("default_value", "#000000"),
        *SHOWN,
        receives=VALUE,
    ),
)

# The plugin reads these from `input_id` only, and not every text there: it passes over -5, and a whole number behind
# a slider's bounds. `default_value` receives the number as well, so that each engine sees it (comfydeploy.md 3.1.3).
_NUMBERS = (
    _external(
        "Number", Kind.NUMBER, (("FLOAT", "value"),), "input_number", number("default_value", 0), *SHOWN, receives=VALUE
    ),
    _external(
        "NumberInt",
        Kind.INTEGER,
        (("INT", "value"),),
        "input_number",
        integer("default_value", 0, *WHOLE),
        *SHOWN,
        receives=VALUE,
    ),
    _external(
        "NumberSlider",
        Kind.NUMBER,
        (("FLOAT", "value"),),
        "input_number_slider",
        number("default_value", 0.5),
        number("min_value", 0),
        number("max_value", 1),
        *SHOWN,
        receives=VALUE,
        **SLIDER,
    ),
    _external(
        "NumberSliderInt",
        Kind.INTEGER,
        (("INT", "value"),),
        "input_number_slider_int",
        integer("default_value", 1, *WHOLE),
        integer("min_value", 0, *WHOLE),
        integer("max_value", 10, *WHOLE),
        *SHOWN,
        receives=VALUE,
        **SLIDER,
    ),
    _external(
        "Seed",
        Kind.SEED,
        (("INT", "seed"),),
        "input_seed",
        integer("default_value", RANDOM_SEED, RANDOM_SEED, SEED_LIMIT, required=True),
        integer("min_value", 1, 1, SEED_LIMIT, required=True),
        integer("max_value", SEED_HIGH, 1, SEED_LIMIT, required=True),
        text("display_name"),
        text("description", SEED_HELP),
        receives=VALUE,
        **SLIDER,
    ),
)

_FILES = (
    _external(
        "Image",
        Kind.IMAGE,
        IMAGE_OUT,
        "input_image",
        LINKED_IMAGE,
        text("display_name"),
        text("description"),
        text("default_value_url", image_preview=True),
        default="default_value_url",
        fallbacks=("default_value_url",),
    ),
    _external("ImageAlpha", Kind.IMAGE, IMAGE_OUT, "input_image", LINKED_IMAGE, *SHOWN, default=""),
    _external(
        "ImageBatch",
        Kind.IMAGES,
        IMAGE_OUT,
        "input_images",
        text("images", "[]", required=True, multiline=True),
        LINKED_IMAGE,
        *SHOWN,
        receives=("images",),
        default="images",
    ),
    _external(
        "Video",
        Kind.VIDEO,
        VIDEO_OUT,
        "input_video",
        integer("force_rate", 0, 0, 60, required=True, step=1),
        choice("force_size", *FORCE_SIZES),
        integer("custom_width", 512, 0, 8192, required=True, step=8),
        integer("custom_height", 512, 0, 8192, required=True, step=8),
        integer("frame_load_cap", 0, 0, required=True, step=1),
        integer("skip_first_frames", 0, 0, required=True, step=1),
        integer("select_every_nth", 1, 1, required=True, step=1),
        linked("meta_batch", "VHS_BatchManager"),
        linked("vae", "VAE"),
        files("default_video", "input:video"),
        *SHOWN,
        text("default_value_url"),
        title="External Video (ComfyUI Deploy x VHS)",
        default="default_value_url",
        fallbacks=("default_value_url",),
    ),
    _external(
        "Vid",
        Kind.VIDEO,
        (("STRING", "video"),),
        "input_video",
        linked("meta_batch", "VHS_BatchManager"),
        files("default_value", "input:video"),
        title="External Video (ComfyUI Deploy) path",
    ),
    _external(
        "Audio",
        Kind.AUDIO,
        (("AUDIO", "audio"),),
        "input_audio",
        text("audio_file", required=True),
        linked("default_value", "AUDIO"),
        *SHOWN,
        receives=("audio_file",),
        default="audio_file",
    ),
    _external(
        "File", Kind.FILE, PATH_OUT, "input_file", *SHOWN, text("file_url"), receives=("file_url",), default="file_url"
    ),
    _external(
        "EXR",
        Kind.FILE,
        (("IMAGE", "image"), ("MASK", "mask")),
        "input_exr",
        text("exr_file", required=True),
        choice("tonemap", "linear", "sRGB", "Reinhard", default="sRGB"),
        linked("default_image", "IMAGE"),
        linked("default_mask", "MASK"),
        *SHOWN,
        receives=("exr_file",),
        default="exr_file",
    ),
)

_MODELS = (
    _external(
        "Lora",
        Kind.MODEL,
        PATH_OUT,
        "input_lora",
        files("default_lora_name", "loras"),
        text("lora_save_name"),
        *SHOWN,
        text("lora_url"),
        text("bearer_token"),
        receives=("lora_url",),
        default="default_lora_name",
        combo="default_lora_name",
    ),
    _external(
        "Checkpoint",
        Kind.MODEL,
        PATH_OUT,
        "input_checkpoint",
        files("default_value", "checkpoints"),
        *SHOWN,
        receives=VALUE,
        combo="default_value",
    ),
    _external(
        "FaceModel",
        Kind.MODEL,
        PATH_OUT,
        "input_reactor_face_model",
        text("default_face_model_name"),
        text("face_model_save_name"),
        *SHOWN,
        text("face_model_url"),
        receives=("face_model_url",),
        default="default_face_model_name",
    ),
)

_WEBSOCKET = External(
    NodeClass(
        "ComfyDeployWebscoketImageInput",
        "Image Websocket Input (ComfyDeploy)",
        (
            text(INPUT_ID, "input_id", required=True),
            integer("seed", 0, 0, 2**64 - 1, required=True),
            LINKED_IMAGE,
            text("client_id"),
        ),
        (("IMAGE", "images"),),
        output_node=True,
    ),
    Kind.IMAGE,
    default="",
    realtime=True,
)

EXTERNALS: Mapping[str, External] = {
    one.node.class_type: one for one in (*_TEXTS, *_NUMBERS, *_FILES, *_MODELS, _WEBSOCKET)
}
"""Class type -> the External input class."""
