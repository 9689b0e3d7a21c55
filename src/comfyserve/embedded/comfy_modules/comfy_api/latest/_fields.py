"""Inputs and outputs of a V3 schema, and how each is published."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any, ClassVar

Options = dict[str, Any]


class FolderType(StrEnum):
    """Where a file lies."""

    input = "input"
    output = "output"
    temp = "temp"


class UploadType(StrEnum):
    """What a choice lets people upload: the option that says so."""

    image = "image_upload"
    audio = "audio_upload"
    video = "video_upload"
    model = "file_upload"


class NumberDisplay(StrEnum):
    """How a number is edited."""

    number = "number"
    slider = "slider"
    gradient_slider = "gradientslider"


class ControlAfterGenerate(StrEnum):
    """What becomes of a seed after a run."""

    fixed = "fixed"
    increment = "increment"
    decrement = "decrement"
    randomize = "randomize"


class RemoteOptions:
    """A choice that the editor fetches from a route."""

    def __init__(
        self,
        route: str,
        refresh_button: bool,
        control_after_refresh: str = "first",
        timeout: int | None = None,
        max_retries: int | None = None,
        refresh: int | None = None,
    ) -> None:
        self.route = route
        self.refresh_button = refresh_button
        self.control_after_refresh = control_after_refresh
        self.timeout = timeout
        self.max_retries = max_retries
        self.refresh = refresh

    def as_dict(self) -> Options:
        return given(vars(self))


class TypeWord(str):
    """The word for a type; `!=` asks whether two types cannot be linked."""

    def __ne__(self, value: object) -> bool:
        if not isinstance(value, str) or self == "*" or value == "*":
            return not isinstance(value, str)
        mine, other = set(self.split(",")), set(value.split(","))
        return not (mine <= other or other <= mine)

    __hash__ = str.__hash__


class _Field:
    """An input or an output; `Parent` is the type it belongs to."""

    Parent: ClassVar[Any] = None

    @property
    def io_type(self) -> Any:
        return self.Parent.io_type

    def get_io_type(self) -> Any:
        """The word that is published."""
        return self.io_type


class Input(_Field):
    """An input with a socket."""

    def __init__(
        self,
        id: str,
        display_name: str | None = None,
        optional: bool = False,
        tooltip: str | None = None,
        lazy: bool | None = None,
        extra_dict: Mapping[str, Any] | None = None,
        raw_link: bool | None = None,
        advanced: bool | None = None,
    ) -> None:
        self.id = id
        self.display_name = display_name
        self.optional = optional
        self.tooltip = tooltip
        self.lazy = lazy
        self.extra_dict = dict(extra_dict or {})
        self.raw_link = raw_link
        self.advanced = advanced

    def as_dict(self) -> Options:
        """The options that are published, without those not given."""
        own = {
            "display_name": self.display_name,
            "tooltip": self.tooltip,
            "lazy": self.lazy,
            "rawLink": self.raw_link,
            "advanced": self.advanced,
        }
        return given(own) | given(self.extra_dict)


class WidgetInput(Input):
    """An input that is edited on the node."""

    def __init__(
        self,
        id: str,
        display_name: str | None = None,
        optional: bool = False,
        tooltip: str | None = None,
        lazy: bool | None = None,
        default: Any = None,
        socketless: bool | None = None,
        widget_type: str | None = None,
        force_input: bool | None = None,
        extra_dict: Mapping[str, Any] | None = None,
        raw_link: bool | None = None,
        advanced: bool | None = None,
    ) -> None:
        super().__init__(id, display_name, optional, tooltip, lazy, extra_dict, raw_link, advanced)
        self.default = default
        self.socketless = socketless
        self.widget_type = widget_type
        self.force_input = force_input

    def as_dict(self) -> Options:
        own = {
            "default": self.default,
            "socketless": self.socketless,
            "widgetType": self.widget_type,
            "forceInput": self.force_input,
        }
        return super().as_dict() | given(own)

    def get_io_type(self) -> Any:
        return super().get_io_type() if self.widget_type is None else self.widget_type


class Output(_Field):
    """An output."""

    def __init__(
        self,
        id: str | None = None,
        display_name: str | None = None,
        tooltip: str | None = None,
        is_output_list: bool = False,
    ) -> None:
        self.id = id
        self.display_name = display_name
        self.tooltip = tooltip
        self.is_output_list = is_output_list

    def as_dict(self) -> Options:
        return given(vars(self) | {"id": None})


class ComfyTypeI:
    """A type that only inputs have."""

    Type: ClassVar[Any] = Any
    io_type: ClassVar[str] = ""
    Input: ClassVar[type[Input]] = Input


class ComfyTypeIO(ComfyTypeI):
    """A type of inputs and outputs."""

    Output: ClassVar[type[Output]] = Output


def comfytype(io_type: str, **_: object) -> Any:
    """Decorates a class whose Input and Output then are of this type."""

    def decorate(cls: type[Any]) -> Any:
        kind: Any = cls if issubclass(cls, ComfyTypeI) else type(cls.__name__, (cls, ComfyTypeIO), {})
        kind.io_type = TypeWord(io_type)
        for name in ("Input", "Output"):
            field = getattr(kind, name, None)
            if field is not None:
                setattr(kind, name, type(name, (field,), {"Parent": kind, "__module__": cls.__module__}))
        return kind

    return decorate


def Custom(io_type: str) -> Any:  # noqa: N802  ComfyUI's name
    """A type of a pack's own."""
    return comfytype(io_type)(type("Custom", (ComfyTypeIO,), {}))


def declaration(field: Input) -> tuple[Any, Options]:
    """Type and options of an input, as INPUT_TYPES has them."""
    word = field.get_io_type()
    return word if isinstance(word, list) else str(word), field.as_dict()


def declarations(fields: Iterable[Input]) -> dict[str, dict[str, tuple[Any, Options]]]:
    """The same of several inputs, required and optional ones apart."""
    found: dict[str, dict[str, tuple[Any, Options]]] = {"required": {}, "optional": {}}
    for field in fields:
        found["optional" if field.optional else "required"][field.id] = declaration(field)
    return found


def given(options: Mapping[str, Any]) -> Options:
    """The options that have a value."""
    return {name: value for name, value in options.items() if value is not None}


def copy_with(field: Input, **changes: Any) -> Input:
    """A copy of an input with some attributes changed."""
    found = copy.copy(field)
    for name, value in changes.items():
        setattr(found, name, value)
    return found
