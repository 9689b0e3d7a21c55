"""The words for types of inputs and outputs, and the shape of a V1 node class."""

from __future__ import annotations

from abc import ABC, abstractmethod
from enum import Enum
from typing import Any, TypedDict


class StrEnum(str, Enum):  # noqa: UP042  ComfyUI's own, whose members compare as types
    """An enumeration of words that prints as them."""

    def __str__(self) -> str:
        return str(self.value)


class IO(StrEnum):
    """Types of inputs and outputs; a union of types fits each of its members."""

    STRING = "STRING"
    IMAGE = "IMAGE"
    MASK = "MASK"
    LATENT = "LATENT"
    BOOLEAN = "BOOLEAN"
    INT = "INT"
    FLOAT = "FLOAT"
    COMBO = "COMBO"
    CONDITIONING = "CONDITIONING"
    SAMPLER = "SAMPLER"
    SIGMAS = "SIGMAS"
    GUIDER = "GUIDER"
    NOISE = "NOISE"
    CLIP = "CLIP"
    CONTROL_NET = "CONTROL_NET"
    VAE = "VAE"
    MODEL = "MODEL"
    LORA_MODEL = "LORA_MODEL"
    LOSS_MAP = "LOSS_MAP"
    CLIP_VISION = "CLIP_VISION"
    CLIP_VISION_OUTPUT = "CLIP_VISION_OUTPUT"
    STYLE_MODEL = "STYLE_MODEL"
    GLIGEN = "GLIGEN"
    UPSCALE_MODEL = "UPSCALE_MODEL"
    AUDIO = "AUDIO"
    WEBCAM = "WEBCAM"
    POINT = "POINT"
    FACE_ANALYSIS = "FACE_ANALYSIS"
    BBOX = "BBOX"
    SEGS = "SEGS"
    VIDEO = "VIDEO"
    ANY = "*"
    NUMBER = "FLOAT,INT"
    PRIMITIVE = "STRING,FLOAT,INT,BOOLEAN"

    def __ne__(self, value: object) -> bool:
        """Whether the two cannot be linked."""
        if not isinstance(value, str) or self == "*" or value == "*":
            return not isinstance(value, str)
        mine, other = set(self.split(",")), set(value.split(","))
        return not (mine <= other or other <= mine)

    __hash__ = str.__hash__


class RemoteInputOptions(TypedDict, total=False):
    """A choice that the editor fetches."""

    route: str
    refresh_button: bool
    control_after_refresh: str
    timeout: int
    max_retries: int
    refresh: int


class MultiSelectOptions(TypedDict, total=False):
    """A choice of several."""

    placeholder: str
    chip: bool


class InputTypeOptions(TypedDict, total=False):
    """The options of an input."""

    default: Any
    defaultInput: bool
    forceInput: bool
    lazy: bool
    rawLink: bool
    tooltip: str
    socketless: bool
    widgetType: str
    min: float
    max: float
    step: float
    round: float
    label_on: str
    label_off: str
    multiline: bool
    placeholder: str
    dynamicPrompts: bool
    image_upload: bool
    image_folder: str
    remote: RemoteInputOptions
    control_after_generate: bool
    options: list[Any]
    multi_select: MultiSelectOptions


class HiddenInputTypeDict(TypedDict, total=False):
    """The hidden inputs of a node."""

    node_id: str
    unique_id: str
    prompt: str
    extra_pnginfo: str
    dynprompt: str


class InputTypeDict(TypedDict, total=False):
    """What INPUT_TYPES answers."""

    required: dict[str, tuple[Any, InputTypeOptions]]
    optional: dict[str, tuple[Any, InputTypeOptions]]
    hidden: HiddenInputTypeDict


class ComfyNodeABC(ABC):
    """A V1 node class; packs subclass it for its annotations."""

    DESCRIPTION: str
    CATEGORY: str
    EXPERIMENTAL: bool
    DEPRECATED: bool
    API_NODE: bool | None
    OUTPUT_NODE: bool
    INPUT_IS_LIST: bool
    OUTPUT_IS_LIST: tuple[bool, ...]
    RETURN_TYPES: tuple[Any, ...]
    RETURN_NAMES: tuple[str, ...]
    OUTPUT_TOOLTIPS: tuple[str, ...]
    FUNCTION: str

    @classmethod
    @abstractmethod
    def INPUT_TYPES(cls) -> InputTypeDict:  # noqa: N802  ComfyUI's name
        """The inputs."""
        return {"required": {}}


class CheckLazyMixin:
    """Asks for every input that is not there yet."""

    def check_lazy_status(self, **inputs: Any) -> list[str]:
        """The names of the missing ones."""
        return [name for name, value in inputs.items() if value is None]


class FileLocator(TypedDict):
    """One saved file in the UI object of a node."""

    filename: str
    subfolder: str
    type: str
