"""What a node class declares, in the words of ComfyUI's V1 contract, and short ways to write it down."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

NUMBER_LIMIT = 2147483647


@dataclass(frozen=True)
class Field:
    """One input of a node class: a ComfyUI type word or a tuple of choices, and the options it is published with.

    `files` names the folder whose files are the choices; the engine fills them in.
    """

    name: str
    type: str | tuple[str, ...]
    required: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)
    files: str = ""


@dataclass(frozen=True)
class NodeClass:
    """A node class as ComfyUI's V1 contract wants it; `outputs` are pairs of type and name."""

    class_type: str
    title: str
    fields: tuple[Field, ...]
    outputs: tuple[tuple[str, str], ...] = ()
    output_node: bool = False
    hidden: Mapping[str, str] = field(default_factory=dict)


def text(name: str, default: str = "", *, required: bool = False, **options: Any) -> Field:
    """A STRING input."""
    return Field(name, "STRING", required, {"default": default, **options})


def number(name: str, default: float, *, required: bool = False, limit: int = NUMBER_LIMIT) -> Field:
    """A FLOAT input."""
    return Field(name, "FLOAT", required, {"default": default, "min": -limit, "max": limit, "step": 0.01})


def integer(
    name: str, default: int, low: int, high: int | None = None, *, required: bool = False, step: int | None = None
) -> Field:
    """An INT input."""
    bounds = {"default": default, "min": low, "max": high, "step": step}
    return Field(name, "INT", required, {key: value for key, value in bounds.items() if value is not None})


def linked(name: str, type_name: str) -> Field:
    """An optional input that only a link can fill."""
    return Field(name, type_name)


def choice(name: str, *choices: str, default: str | None = None, required: bool = True) -> Field:
    """A list to choose from."""
    return Field(name, choices, required, {} if default is None else {"default": default})


def files(name: str, folder: str) -> Field:
    """An optional choice among the files of a folder."""
    return Field(name, (), files=folder)
