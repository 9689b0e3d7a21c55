"""The types of V3 inputs and outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any, Final

from comfyserve.embedded.comfy_modules.comfy_api.latest._fields import (
    ComfyTypeI,
    ComfyTypeIO,
    Custom,
    Input,
    NumberDisplay,
    Options,
    Output,
    RemoteOptions,
    WidgetInput,
    comfytype,
    copy_with,
    given,
)

PLAIN: Final = {
    "Image": "IMAGE",
    "WanCameraEmbedding": "WAN_CAMERA_EMBEDDING",
    "Mask": "MASK",
    "Latent": "LATENT",
    "Conditioning": "CONDITIONING",
    "Sampler": "SAMPLER",
    "Sigmas": "SIGMAS",
    "Noise": "NOISE",
    "Guider": "GUIDER",
    "Clip": "CLIP",
    "ControlNet": "CONTROL_NET",
    "Vae": "VAE",
    "Model": "MODEL",
    "ClipVision": "CLIP_VISION",
    "ClipVisionOutput": "CLIP_VISION_OUTPUT",
    "StyleModel": "STYLE_MODEL",
    "Gligen": "GLIGEN",
    "UpscaleModel": "UPSCALE_MODEL",
    "LatentUpscaleModel": "LATENT_UPSCALE_MODEL",
    "Audio": "AUDIO",
    "Video": "VIDEO",
    "SVG": "SVG",
    "LoraModel": "LORA_MODEL",
    "LossMap": "LOSS_MAP",
    "Voxel": "VOXEL",
    "Mesh": "MESH",
    "Hooks": "HOOKS",
    "HookKeyframes": "HOOK_KEYFRAMES",
    "TimestepsRange": "TIMESTEPS_RANGE",
    "LatentOperation": "LATENT_OPERATION",
    "FlowControl": "FLOW_CONTROL",
    "Accumulation": "ACCUMULATION",
    "Load3DCamera": "LOAD3D_CAMERA",
    "Load3D": "LOAD_3D",
    "Load3DAnimation": "LOAD_3D_ANIMATION",
    "Photomaker": "PHOTOMAKER",
    "Point": "POINT",
    "FaceAnalysis": "FACE_ANALYSIS",
    "BBOX": "BBOX",
    "SEGS": "SEGS",
    "AnyType": "*",
    "MODEL_PATCH": "MODEL_PATCH",
    "ModelPatch": "MODEL_PATCH",
    "AudioEncoder": "AUDIO_ENCODER",
    "AudioEncoderOutput": "AUDIO_ENCODER_OUTPUT",
    "Color": "COLOR",
    "BoundingBox": "BOUNDING_BOX",
    "Curve": "CURVE",
    "Histogram": "HISTOGRAM",
    "File3DAny": "FILE_3D",
}
"""Types that are nothing but a word."""

globals().update({name: Custom(word) for name, word in PLAIN.items()})


class _IntInput(WidgetInput):
    """An integer; control_after_generate makes it a seed."""

    def __init__(
        self,
        id: str,
        display_name: str | None = None,
        optional: bool = False,
        tooltip: str | None = None,
        lazy: bool | None = None,
        default: int | None = None,
        min: int | None = None,
        max: int | None = None,
        step: int | None = None,
        control_after_generate: Any = None,
        display_mode: NumberDisplay | None = None,
        socketless: bool | None = None,
        force_input: bool | None = None,
        **more: Any,
    ) -> None:
        super().__init__(id, display_name, optional, tooltip, lazy, default, socketless, None, force_input, **more)
        self.min, self.max, self.step = min, max, step
        self.control_after_generate, self.display_mode = control_after_generate, display_mode

    def as_dict(self) -> Options:
        own = {
            "min": self.min,
            "max": self.max,
            "step": self.step,
            "control_after_generate": _word(self.control_after_generate),
            "display": _word(self.display_mode),
        }
        return super().as_dict() | given(own)


class _FloatInput(WidgetInput):
    """A number; `round` is the step it is rounded to by the editor."""

    def __init__(
        self,
        id: str,
        display_name: str | None = None,
        optional: bool = False,
        tooltip: str | None = None,
        lazy: bool | None = None,
        default: float | None = None,
        min: float | None = None,
        max: float | None = None,
        step: float | None = None,
        round: float | None = None,
        display_mode: NumberDisplay | None = None,
        socketless: bool | None = None,
        force_input: bool | None = None,
        **more: Any,
    ) -> None:
        super().__init__(id, display_name, optional, tooltip, lazy, default, socketless, None, force_input, **more)
        self.min, self.max, self.step = min, max, step
        self.round, self.display_mode = round, display_mode

    def as_dict(self) -> Options:
        own = {
            "min": self.min,
            "max": self.max,
            "step": self.step,
            "round": self.round,
            "display": _word(self.display_mode),
        }
        return super().as_dict() | given(own)


class _BooleanInput(WidgetInput):
    """A switch."""

    def __init__(
        self,
        id: str,
        display_name: str | None = None,
        optional: bool = False,
        tooltip: str | None = None,
        lazy: bool | None = None,
        default: bool | None = None,
        label_on: str | None = None,
        label_off: str | None = None,
        socketless: bool | None = None,
        force_input: bool | None = None,
        **more: Any,
    ) -> None:
        super().__init__(id, display_name, optional, tooltip, lazy, default, socketless, None, force_input, **more)
        self.label_on, self.label_off = label_on, label_off

    def as_dict(self) -> Options:
        return super().as_dict() | given({"label_on": self.label_on, "label_off": self.label_off})


class _StringInput(WidgetInput):
    """A text."""

    def __init__(
        self,
        id: str,
        display_name: str | None = None,
        optional: bool = False,
        tooltip: str | None = None,
        lazy: bool | None = None,
        multiline: bool = False,
        placeholder: str | None = None,
        default: str | None = None,
        dynamic_prompts: bool | None = None,
        socketless: bool | None = None,
        force_input: bool | None = None,
        **more: Any,
    ) -> None:
        super().__init__(id, display_name, optional, tooltip, lazy, default, socketless, None, force_input, **more)
        self.multiline, self.placeholder, self.dynamic_prompts = multiline, placeholder, dynamic_prompts

    def as_dict(self) -> Options:
        own = {
            "multiline": self.multiline,
            "placeholder": self.placeholder,
            "dynamicPrompts": self.dynamic_prompts,
        }
        return super().as_dict() | given(own)


class _ComboInput(WidgetInput):
    """A choice."""

    multiselect = False

    def __init__(
        self,
        id: str,
        options: Sequence[Any] | type[Enum] | None = None,
        display_name: str | None = None,
        optional: bool = False,
        tooltip: str | None = None,
        lazy: bool | None = None,
        default: Any = None,
        control_after_generate: Any = None,
        upload: Any = None,
        image_folder: Any = None,
        remote: RemoteOptions | None = None,
        socketless: bool | None = None,
        **more: Any,
    ) -> None:
        super().__init__(id, display_name, optional, tooltip, lazy, _word(default), socketless, **more)
        is_enum = isinstance(options, type) and issubclass(options, Enum)
        self.options: Any = [item.value for item in options] if is_enum else options  # type: ignore[union-attr]  # an Enum class iterates
        self.control_after_generate = control_after_generate
        self.upload, self.image_folder, self.remote = upload, image_folder, remote

    def as_dict(self) -> Options:
        own = {
            "multiselect": self.multiselect,
            "options": self.options,
            "control_after_generate": _word(self.control_after_generate),
            "image_folder": _word(self.image_folder),
            "remote": self.remote.as_dict() if self.remote else None,
        }
        uploads = {str(_word(self.upload)): True} if self.upload is not None else {}
        return super().as_dict() | given(own) | uploads


class _ComboOutput(Output):
    """A choice; its type is the list itself."""

    def __init__(
        self,
        id: str | None = None,
        display_name: str | None = None,
        options: Sequence[str] | None = None,
        tooltip: str | None = None,
        is_output_list: bool = False,
    ) -> None:
        super().__init__(id, display_name, tooltip, is_output_list)
        self.options = list(options or ())

    @property
    def io_type(self) -> Any:
        return self.options or self.Parent.io_type


class _MultiComboInput(_ComboInput):
    """A choice of several."""

    multiselect = True

    def __init__(self, *args: Any, placeholder: str | None = None, chip: bool | None = None, **more: Any) -> None:
        super().__init__(*args, **more)
        self.placeholder, self.chip = placeholder, chip

    def as_dict(self) -> Options:
        return super().as_dict() | given({"multi_select": True, "placeholder": self.placeholder, "chip": self.chip})


class _MultiTypeInput(Input):
    """An input that takes several types; made of an input with a widget, it keeps the widget."""

    def __init__(self, id: str | Input, types: Sequence[Any], *args: Any, **more: Any) -> None:
        widget = id if isinstance(id, Input) else None
        super().__init__(widget.id if widget else str(id), *args, **more)
        self._types: list[Any] = [kind if isinstance(kind, type) else type(kind) for kind in types]
        self.widget = widget
        if widget is not None:
            self.optional = widget.optional or self.optional
            self.tooltip = self.tooltip or widget.tooltip
            self.display_name = self.display_name or widget.display_name
            self.lazy = self.lazy or widget.lazy
        if isinstance(widget, WidgetInput):
            self.widget = copy_with(widget, widget_type=widget.get_io_type())

    @property
    def io_types(self) -> list[Any]:
        return self._types

    def get_io_type(self) -> Any:
        words = [str(kind.io_type) for kind in self._types]
        if self.widget is not None:
            words.insert(0, str(self.widget.get_io_type()))
        return ",".join(dict.fromkeys(words))

    def as_dict(self) -> Options:
        return super().as_dict() if self.widget is None else self.widget.as_dict() | super().as_dict()


def _word(value: Any) -> Any:
    return value.value if isinstance(value, Enum) else value


@comfytype("BOOLEAN")
class Boolean(ComfyTypeIO):
    """A switch."""

    Type = bool
    Input = _BooleanInput


@comfytype("INT")
class Int(ComfyTypeIO):
    """An integer."""

    Type = int
    Input = _IntInput


@comfytype("FLOAT")
class Float(ComfyTypeIO):
    """A number."""

    Type = float
    Input = _FloatInput


@comfytype("STRING")
class String(ComfyTypeIO):
    """A text."""

    Type = str
    Input = _StringInput


@comfytype("COMBO")
class Combo(ComfyTypeIO):
    """A choice."""

    Type = str
    Input = _ComboInput
    Output = _ComboOutput


@comfytype("COMBO")
class MultiCombo(ComfyTypeI):
    """A choice of several."""

    Type = list[str]
    Input = _MultiComboInput


@comfytype("WEBCAM")
class Webcam(ComfyTypeIO):
    """A picture of the camera."""

    Type = str
    Input = WidgetInput


@comfytype("COMFY_MULTITYPED_V3")
class MultiType(ComfyTypeI):
    """Several types."""

    Input = _MultiTypeInput


EXPORTED: Final[Mapping[str, Any]] = {
    name: value for name, value in globals().items() if isinstance(value, type) and issubclass(value, ComfyTypeI)
}
