"""Makes ComfyUI node classes of plain functions and the generated table `_table.json`."""

import json
from collections.abc import Callable, Mapping
from functools import wraps
from numbers import Real
from pathlib import Path
from typing import Any, TypeVar

from . import _host
from ._sources import VIDEOS

Run = TypeVar("Run", bound=Callable[..., Any])

TABLE = json.loads(Path(__file__).with_name("_table.json").read_text(encoding="utf-8"))
INPUT_VIDEOS = "input:video"
SHOWN = 80
"""How much of a bad value an error repeats."""

NODE_CLASS_MAPPINGS: dict[str, type] = {}
NODE_DISPLAY_NAME_MAPPINGS: dict[str, str] = {}


class AnyType(str):
    """The wildcard `*`: ComfyUI compares types with `!=`, and this one never differs."""

    __slots__ = ()

    def __ne__(self, other: object) -> bool:
        return False


def node(*class_types: str, **traits: Any) -> Callable[[Run], Run]:
    """Publish a function as these classes of the table; `traits` become class attributes such as IS_CHANGED.

    The function gets the node's inputs as keywords and returns the tuple of outputs or a UI object.
    """

    def publish(run: Run) -> Run:
        for class_type in class_types:
            facts = TABLE["classes"][class_type]
            NODE_CLASS_MAPPINGS[class_type] = type(class_type, (), {**_attributes(facts, run), **traits})
            NODE_DISPLAY_NAME_MAPPINGS[class_type] = facts["title"]
        return run

    return publish


def _attributes(facts: dict[str, Any], run: Callable[..., Any]) -> dict[str, Any]:
    def input_types() -> dict[str, Any]:
        return {
            category: {name: _published(entry) for name, entry in fields.items()}
            for category, fields in facts["inputs"].items()
        }

    @wraps(run)
    def checked(**given: Any) -> Any:
        for fields in facts["inputs"].values():
            check_values(fields, given)
        return run(**given)

    types = tuple(AnyType(kind) if kind == "*" else kind for kind, _ in facts["outputs"])
    return {
        "__doc__": run.__doc__,
        "INPUT_TYPES": staticmethod(input_types),
        "RETURN_TYPES": types,
        "RETURN_NAMES": tuple(name for _, name in facts["outputs"]),
        "FUNCTION": "run",
        "CATEGORY": TABLE["category"],
        "DESCRIPTION": facts["description"],
        "OUTPUT_NODE": facts["output_node"],
        "run": staticmethod(checked),
    }


def check_values(fields: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """Raise ValueError for a choice that is not offered and a number out of bounds.

    An engine checks what stands in a graph, but not what comes over a link.
    """
    for name, entry in fields.items():
        value = given.get(name)
        if value is None or not isinstance(entry, list):
            continue
        kind, options = entry[0], entry[1] if len(entry) > 1 else {}
        if isinstance(kind, list) and "files" not in options and not (isinstance(value, str) and value in kind):
            raise ValueError(f"{name} must be one of {', '.join(kind)}, not {str(value)[:SHOWN]!r}.")
        if kind in ("INT", "FLOAT") and {"min", "max"} <= options.keys():
            _check_number(name, value, options)


def _check_number(name: str, value: Any, options: Mapping[str, Any]) -> None:
    if not isinstance(value, Real) or not options["min"] <= value <= options["max"]:
        raise ValueError(
            f"{name} must be a number from {options['min']} to {options['max']}, not {str(value)[:SHOWN]!r}."
        )


def _published(entry: Any) -> Any:
    """A field as INPUT_TYPES has it; the choices of a list of files are those of this moment."""
    if not isinstance(entry, list):
        return entry
    kind, options = entry[0], dict(entry[1]) if len(entry) > 1 else {}
    folder = options.pop("files", None)
    if folder is not None:
        kind = _names(folder)
    return (kind, options)


def _names(folder: str) -> list[str]:
    """The files of that kind, none where there is no engine."""
    try:
        return _host.input_names(VIDEOS) if folder == INPUT_VIDEOS else _host.engine().model_names(folder)
    except ValueError:
        return []
