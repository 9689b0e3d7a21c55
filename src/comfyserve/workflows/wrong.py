"""What is wrong with an input, in the wording that callers of this API know (stateless-comfyui-api.md 1.0, 6.1)."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from comfyserve.core.errors import InvalidInput, Place

INPUT = "input"
MAX_PROBLEMS = 20

KINDS: Mapping[str, str] = {
    "string_type": "string",
    "int_type": "number",
    "int_parsing": "number",
    "float_type": "number",
    "float_parsing": "number",
    "finite_number": "number",
    "bool_type": "boolean",
    "bool_parsing": "boolean",
    "list_type": "array",
    "dict_type": "object",
    "mapping_type": "object",
    "model_type": "object",
    "model_attributes_type": "object",
    "none_required": "null",
}
"""Pydantic's type of an error -> the kind of value that was expected."""

SENTENCES: Mapping[str, str] = {
    "missing": "Required",
    "int_from_float": "Expected integer, received float",
    "greater_than_equal": "Number must be greater than or equal to {ge}",
    "greater_than": "Number must be greater than {gt}",
    "less_than_equal": "Number must be less than or equal to {le}",
    "less_than": "Number must be less than {lt}",
    "multiple_of": "Number must be a multiple of {multiple_of}",
    "string_too_short": "String must contain at least {min_length} character(s)",
    "string_too_long": "String must contain at most {max_length} character(s)",
    "string_pattern_mismatch": "Invalid",
    "too_short": "Array must contain at least {min_length} element(s)",
    "too_long": "Array must contain at most {max_length} element(s)",
    "literal_error": "Invalid enum value. Expected {expected}",
    "enum": "Invalid enum value. Expected {expected}",
}
"""Pydantic's type of an error -> its sentence; others keep Pydantic's own."""


def invalid(problems: Sequence[tuple[Sequence[str | int], str]]) -> InvalidInput:
    """The error for problems (path below `input`, sentence): the first is told, all stand in `details`."""
    told = [(".".join([INPUT, *map(str, path)]), sentence) for path, sentence in problems[:MAX_PROBLEMS]]
    field, sentence = told[0] if told else (INPUT, "Invalid input")
    listed = [{"field": name, "message": text} for name, text in told]
    return InvalidInput(sentence, place=Place(field=field), details={"issues": listed} if len(listed) > 1 else {})


def not_generated(reason: str) -> InvalidInput:
    """The error for a function that gave no graph."""
    return InvalidInput(f"Failed to generate workflow prompt: {reason}", place=Place(field=INPUT))


def reason_of(error: BaseException) -> str:
    """The text of an exception; its class where the text alone says nothing."""
    text = str(error)
    return text if text and not isinstance(error, LookupError) else f"{type(error).__name__}: {text}".rstrip(": ")


def from_pydantic(error: ValidationError, fields: Iterable[str]) -> InvalidInput:
    """Pydantic's errors as one; `fields` are the names that a path may begin with."""
    known = frozenset(fields)
    return invalid([(_path(one["loc"], known), _sentence(one)) for one in error.errors(include_url=False)])


def kind_of(value: Any) -> str:
    """What JSON calls a value."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list | tuple) else "object"


def _path(location: Sequence[str | int], fields: frozenset[str]) -> Sequence[str | int]:
    """A path without what Pydantic adds for the members of a union: only the field and whole numbers are certain."""
    if not location or location[0] not in fields:
        return location
    return [location[0], *(part for part in location[1:] if isinstance(part, int) or part.isidentifier())]


def _sentence(problem: Mapping[str, Any]) -> str:
    kind, facts = problem["type"], problem.get("ctx") or {}
    if kind == "int_type" and isinstance(problem["input"], float):
        return SENTENCES["int_from_float"]
    if kind in KINDS:
        return f"Expected {KINDS[kind]}, received {kind_of(problem['input'])}"
    if kind == "literal_error" or kind == "enum":
        return f"Invalid enum value. Expected {facts.get('expected')}, received {problem['input']!r}"
    if kind in SENTENCES:
        return SENTENCES[kind].format_map({name: _plain(value) for name, value in facts.items()})
    return str(problem["msg"]).removeprefix("Value error, ").removeprefix("Assertion failed, ")


def _plain(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value
