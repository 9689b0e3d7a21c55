"""The one table of the External nodes: what each class declares and how a caller's value gets into it.

Source: external-nodes.md sections 2 to 4. The node package `comfy_nodes` is generated from it (script/generate-nodes).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

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
SUFFIX = "(ComfyUI Deploy)"

IMAGE_OUT = (("IMAGE", "image"),)
PATH_OUT = ((ANY, "path"),)
FORCE_SIZES = (
    "Disabled",
    "Custom Height",
    "Custom Width",
    "Custom",
    "256x?",
    "?x256",
    "256x256",
    "512x?",
    "?x512",
    "512x512",
)


def _id(default: str) -> Field:
    return text(INPUT_ID, default, required=True)


DEFAULT_IMAGE = linked("default_value", "IMAGE")
SHOWN = (text("display_name"), text("description", multiline=True))


def _class(name: str, title: str, outputs: tuple[tuple[str, str], ...], *fields: Field) -> NodeClass:
    return NodeClass(f"ComfyUIDeployExternal{name}", title, fields, outputs)


def _input_classes() -> tuple[External, ...]:
    return (*_plain(), *_numbers(), *_media(), *_models(), _websocket())


def _plain() -> tuple[External, ...]:
    """Text, choices, switches and colours."""
    title = f"External {{}} {SUFFIX}".format
    value = ("default_value",)
    lines = text("default_value", multiline=True)
    return (
        External(
            _class("Text", title("Text"), (("STRING", "text"),), _id("input_text"), lines, *SHOWN), Kind.TEXT, value
        ),
        External(
            _class("TextAny", title("Text Any"), ((ANY, "text"),), _id("input_text"), lines, *SHOWN), Kind.TEXT, value
        ),
        External(
            _class(
                "TextSingleLine",
                title("Text Single Line"),
                (("STRING", "text"),),
                _id("input_text"),
                text("default_value"),
                *SHOWN,
            ),
            Kind.TEXT,
            value,
        ),
        External(
            _class(
                "Enum",
                "External Enum",
                ((ANY, "text"),),
                _id("input_enum"),
                text("default_value", dynamic_enum=True),
                text("options", multiline=True),
                *SHOWN,
            ),
            Kind.CHOICE,
            value,
            options="options",
        ),
        External(
            _class(
                "Boolean",
                title("Boolean"),
                (("BOOLEAN", "bool_value"),),
                _id("input_bool"),
                Field("default_value", "BOOLEAN", True, {"default": False}),
                *SHOWN,
            ),
            Kind.BOOLEAN,
            value,
        ),
        External(
            _class(
                "Color",
                title("Color"),
                (("STRING", "color"),),
                _id("input_color"),
                text("default_value", "#000000"),
                *SHOWN,
            ),
            Kind.COLOR,
            value,
        ),
    )


def _numbers() -> tuple[External, ...]:
    """Numbers and seeds. The plugin reads most of them from `input_id` only, and not every text there: -5 is one that
    it ignores. So `default_value` receives the number as well (comfydeploy.md 3.1.3)."""
    title = f"External {{}} {SUFFIX}".format
    value = ("default_value",)
    limits = (-NUMBER_LIMIT, NUMBER_LIMIT)
    return (
        External(
            _class(
                "Number",
                title("Number"),
                (("FLOAT", "value"),),
                _id("input_number"),
                number("default_value", 0),
                *SHOWN,
            ),
            Kind.NUMBER,
            value,
        ),
        External(
            _class(
                "NumberInt",
                title("Number Int"),
                (("INT", "value"),),
                _id("input_number"),
                integer("default_value", 0, *limits),
                *SHOWN,
            ),
            Kind.INTEGER,
            value,
        ),
        External(
            _class(
                "NumberSlider",
                title("Number Slider"),
                (("FLOAT", "value"),),
                _id("input_number_slider"),
                number("default_value", 0.5),
                number("min_value", 0),
                number("max_value", 1),
                *SHOWN,
            ),
            Kind.NUMBER,
            value,
            minimum="min_value",
            maximum="max_value",
        ),
        External(
            _class(
                "NumberSliderInt",
                title("Number Slider Int"),
                (("INT", "value"),),
                _id("input_number_slider_int"),
                integer("default_value", 1, *limits),
                integer("min_value", 0, *limits),
                integer("max_value", 10, *limits),
                *SHOWN,
            ),
            Kind.INTEGER,
            value,
            minimum="min_value",
            maximum="max_value",
        ),
        External(
            _class(
                "Seed",
                title("Seed"),
                (("INT", "seed"),),
                _id("input_seed"),
                Field("default_value", "INT", True, {"default": RANDOM_SEED, "min": RANDOM_SEED, "max": SEED_LIMIT}),
                integer("min_value", 1, 1, SEED_LIMIT, required=True),
                integer("max_value", SEED_HIGH, 1, SEED_LIMIT, required=True),
                text("display_name"),
                text("description", "A number inside the limits is kept; any other gives a new seed each time."),
            ),
            Kind.SEED,
            value,
            minimum="min_value",
            maximum="max_value",
        ),
    )


def _media() -> tuple[External, ...]:
    """Pictures, video, audio and other files: URLs for the caller, staged file names for the engine."""
    title = f"External {{}} {SUFFIX}".format
    return (
        External(
            _class(
                "Image",
                title("Image"),
                IMAGE_OUT,
                _id("input_image"),
                DEFAULT_IMAGE,
                text("display_name"),
                text("description"),
                text("default_value_url", image_preview=True),
            ),
            Kind.IMAGE,
            default="default_value_url",
            fallbacks=("default_value_url",),
        ),
        External(
            _class("ImageAlpha", title("Image Alpha"), IMAGE_OUT, _id("input_image"), DEFAULT_IMAGE, *SHOWN),
            Kind.IMAGE,
            default="",
        ),
        External(
            _class(
                "ImageBatch",
                title("Image Batch"),
                IMAGE_OUT,
                _id("input_images"),
                text("images", "[]", required=True, multiline=True),
                DEFAULT_IMAGE,
                *SHOWN,
            ),
            Kind.IMAGES,
            ("images",),
            default="images",
        ),
        _video(),
        External(
            _class(
                "Vid",
                "External Video (ComfyUI Deploy) path",
                (("STRING", "video"),),
                _id("input_video"),
                linked("meta_batch", "VHS_BatchManager"),
                files("default_value", "input:video"),
            ),
            Kind.VIDEO,
        ),
        External(
            _class(
                "Audio",
                title("Audio"),
                (("AUDIO", "audio"),),
                _id("input_audio"),
                text("audio_file", required=True),
                linked("default_value", "AUDIO"),
                *SHOWN,
            ),
            Kind.AUDIO,
            ("audio_file",),
            default="audio_file",
        ),
        External(
            _class("File", title("File"), PATH_OUT, _id("input_file"), *SHOWN, text("file_url")),
            Kind.FILE,
            ("file_url",),
            default="file_url",
        ),
        External(
            _class(
                "EXR",
                title("EXR"),
                (("IMAGE", "image"), ("MASK", "mask")),
                _id("input_exr"),
                text("exr_file", required=True),
                choice("tonemap", "linear", "sRGB", "Reinhard", default="sRGB"),
                linked("default_image", "IMAGE"),
                linked("default_mask", "MASK"),
                *SHOWN,
            ),
            Kind.FILE,
            ("exr_file",),
            default="exr_file",
        ),
    )


def _video() -> External:
    return External(
        _class(
            "Video",
            "External Video (ComfyUI Deploy x VHS)",
            (
                ("IMAGE", "IMAGE"),
                ("INT", "frame_count"),
                ("AUDIO", "audio"),
                ("VHS_VIDEOINFO", "video_info"),
                ("LATENT", "LATENT"),
            ),
            _id("input_video"),
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
        ),
        Kind.VIDEO,
        default="default_value_url",
        fallbacks=("default_value_url",),
    )


def _models() -> tuple[External, ...]:
    """Model files: a URL, or the name of a file that the engine has."""
    title = f"External {{}} {SUFFIX}".format
    return (
        External(
            _class(
                "Lora",
                title("Lora"),
                PATH_OUT,
                _id("input_lora"),
                files("default_lora_name", "loras"),
                text("lora_save_name"),
                *SHOWN,
                text("lora_url"),
                text("bearer_token"),
            ),
            Kind.MODEL,
            ("lora_url",),
            default="default_lora_name",
            combo="default_lora_name",
        ),
        External(
            _class(
                "Checkpoint",
                title("Checkpoint"),
                PATH_OUT,
                _id("input_checkpoint"),
                files("default_value", "checkpoints"),
                *SHOWN,
            ),
            Kind.MODEL,
            ("default_value",),
            combo="default_value",
        ),
        External(
            _class(
                "FaceModel",
                title("Face Model"),
                PATH_OUT,
                _id("input_reactor_face_model"),
                text("default_face_model_name"),
                text("face_model_save_name"),
                *SHOWN,
                text("face_model_url"),
            ),
            Kind.MODEL,
            ("face_model_url",),
            default="default_face_model_name",
        ),
    )


def _websocket() -> External:
    node = NodeClass(
        "ComfyDeployWebscoketImageInput",
        "Image Websocket Input (ComfyDeploy)",
        (
            _id("input_id"),
            integer("seed", 0, 0, 2**64 - 1, required=True),
            DEFAULT_IMAGE,
            text("client_id"),
        ),
        (("IMAGE", "images"),),
        output_node=True,
    )
    return External(node, Kind.IMAGE, default="", realtime=True)


EXTERNALS: Mapping[str, External] = {one.node.class_type: one for one in _input_classes()}
"""Class type -> the External input class, in the order of external-nodes.md."""
