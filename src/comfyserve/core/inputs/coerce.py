"""From what a caller sent to a value of the right type, or a sentence saying what is wanted."""

import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeGuard

from comfyserve.core.addresses import is_outside, is_url
from comfyserve.core.inputs.externals import Kind
from comfyserve.core.limits import MAX_URL

MAX_TEXT = 200_000
MAX_DATA_URI = 64 * 1024 * 1024
MAX_NUMBER_TEXT = 64
MAX_FILES = 100
MAX_INTEGER = 2**64 - 1

ASSET_ID = re.compile(r"[A-Za-z0-9_-]{8,64}")
UNSTORABLE = re.compile("[\0\ud800-\udfff]")
HEX_COLOR = re.compile(r"#?([0-9A-Fa-f]{3}|[0-9A-Fa-f]{6}|[0-9A-Fa-f]{8})")
BOOLEAN_WORDS = {"true": True, "1": True, "false": False, "0": False}
WANTED_FILE = "an http(s) URL, a data URI or an asset"


class Misfit(ValueError):
    """The value cannot be what is wanted; the text ends a sentence that begins with the input's name."""


def coerce(kind: Kind, value: Any) -> Any:
    """The value as its kind wants it: str, int, float, bool or a tuple of str. Raises Misfit."""
    return COERCIONS[kind](value)


def as_text(value: Any) -> str:
    """A coerced value as the text that goes into a STRING field; a list becomes JSON, so that it is no link."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple | list):
        return json.dumps(list(value))
    return str(value)


def shown(value: Any) -> str:
    """A value as an error quotes it."""
    text = json.dumps(value, default=str, ensure_ascii=False) if not isinstance(value, str) else f'"{value}"'
    return text if len(text) <= 80 else f"{text[:77]}..."


def _text(value: Any) -> str:
    if isinstance(value, str):
        if len(value) > MAX_TEXT:
            raise Misfit(f"has {len(value)} characters; at most {MAX_TEXT} are allowed")
        if UNSTORABLE.search(value):
            raise Misfit("has a NUL character or half of a surrogate pair; take it out")
        return value
    if _is_number(value):
        return str(value)
    raise Misfit(f"must be a text, not {shown(value)}")


def _number(value: Any) -> int | float:
    if isinstance(value, str) and 0 < len(value) <= MAX_NUMBER_TEXT and "_" not in value:
        value = _parsed(value)
    if not _is_number(value):
        raise Misfit(f"must be a number, not {shown(value)}")
    if abs(value) > MAX_INTEGER if isinstance(value, int) else not math.isfinite(value):
        raise Misfit(f"must be a finite number of at most {MAX_INTEGER}")
    return value


def _integer(value: Any) -> int:
    try:
        number = _number(value)
    except Misfit:
        raise Misfit(f"must be a whole number, not {shown(value)}") from None
    if number != int(number) or abs(number) > MAX_INTEGER:
        raise Misfit(f"must be a whole number, not {shown(value)}")
    return int(number)


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    word = value.strip().lower() if isinstance(value, str) else str(value) if isinstance(value, int) else ""
    if word not in BOOLEAN_WORDS:
        raise Misfit(f"must be true or false, not {shown(value)}")
    return BOOLEAN_WORDS[word]


def _choice(value: Any) -> Any:
    if isinstance(value, bool):
        return value
    return _text(value) if isinstance(value, str) else _number(value)


def _color(value: Any) -> str:
    if not isinstance(value, str) or not (match := HEX_COLOR.fullmatch(value.strip())):
        raise Misfit(f"must be a colour such as #1e90ff, not {shown(value)}")
    return f"#{match[1].lower()}"


def _file(value: Any) -> str:
    if not isinstance(value, str):
        raise Misfit(f"must be {WANTED_FILE}, not {shown(value)}")
    text = value.strip()
    if ASSET_ID.fullmatch(text):
        return f"asset:{text}"
    if not is_outside(text) or UNSTORABLE.search(text):
        raise Misfit(f"must be {WANTED_FILE}, not {shown(value)}")
    is_data = text[:5].lower() == "data:"
    if is_data and "," not in text[:MAX_URL]:
        raise Misfit("is a data URI without a comma; write data:image/png;base64,<data>")
    if len(text) > (MAX_DATA_URI if is_data else MAX_URL):
        raise Misfit(f"has {len(text)} characters, which is too long; upload the file as an asset instead")
    return text


def _files(value: Any) -> tuple[str, ...]:
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            raise Misfit("must be a list of files, but its JSON cannot be read") from None
    items = [value] if isinstance(value, str) else value
    if not isinstance(items, list | tuple):
        raise Misfit(f"must be a list, each item {WANTED_FILE}, not {shown(value)}")
    if len(items) > MAX_FILES:
        raise Misfit(f"has {len(items)} items; at most {MAX_FILES} are allowed")
    return tuple(_item(index, item) for index, item in enumerate(items))


def _item(index: int, item: Any) -> str:
    try:
        return _file(item)
    except Misfit as reason:
        raise Misfit(f"is wrong at item {index}: it {reason}") from None


def _model(value: Any) -> str:
    if not isinstance(value, str) or not value.strip() or UNSTORABLE.search(value):
        raise Misfit(f"must be the name of a model file or an http(s) URL, not {shown(value)}")
    text = value.strip()
    if len(text) > MAX_URL:
        raise Misfit(f"has {len(text)} characters; at most {MAX_URL} are allowed")
    if is_outside(text) and not is_url(text):
        raise Misfit("cannot be a data URI or an upload; give a URL or the name of a model file")
    if not is_outside(text) and (".." in text.replace("\\", "/").split("/") or text[0] in "/\\"):
        raise Misfit("must be the name of a model file inside its folder")
    return text


def _parsed(text: str) -> int | float | str:
    """The number that a text says, the text itself when it says none."""
    try:
        return int(text)
    except ValueError:
        try:
            return float(text)
        except ValueError:
            return text


def _is_number(value: Any) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


COERCIONS: Mapping[Kind, Callable[[Any], Any]] = {
    Kind.TEXT: _text,
    Kind.NUMBER: _number,
    Kind.INTEGER: _integer,
    Kind.SEED: _integer,
    Kind.BOOLEAN: _boolean,
    Kind.CHOICE: _choice,
    Kind.COLOR: _color,
    Kind.IMAGE: _file,
    Kind.VIDEO: _file,
    Kind.AUDIO: _file,
    Kind.FILE: _file,
    Kind.IMAGES: _files,
    Kind.MODEL: _model,
}
