"""The manifest: what a ComfyUI needs besides itself (stateless-comfyui-api.md section 5.1)."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import yaml

from comfyserve.core.errors import InvalidInput, Place

JSON_SOURCE = "MANIFEST_JSON"
YAML_ENDINGS, JSON_ENDING = (".yml", ".yaml"), ".json"
MAX_BYTES = 4 * 1024 * 1024
MAX_ITEMS = 10_000
MAX_TEXT = 8192

T = TypeVar("T")


@dataclass(frozen=True)
class ModelFile:
    """A file from an address, and the path at which it shall lie."""

    url: str
    local_path: str


@dataclass(frozen=True)
class Manifest:
    """What is installed, in this order; the last after the start, in the background."""

    apt: tuple[str, ...] = ()
    pip: tuple[str, ...] = ()
    custom_nodes: tuple[str, ...] = ()
    before_start: tuple[ModelFile, ...] = ()
    after_start: tuple[ModelFile, ...] = ()


def read_manifest(text: str, path: str) -> Manifest | None:
    """The manifest of a JSON text, or else of a file, YAML or JSON by its ending; None when both are empty.

    Keys that it does not know are let be. Raises InvalidInput, which names the field at fault."""
    if text.strip():
        return parse_manifest(_json(text, JSON_SOURCE), JSON_SOURCE)
    if not path.strip():
        return None
    file = Path(path)
    if file.suffix.lower() not in (*YAML_ENDINGS, JSON_ENDING):
        raise InvalidInput(f"The manifest {path} must end in .yml, .yaml or .json.", place=Place(field="MANIFEST"))
    content = _content(file)
    raw = _json(content, path) if file.suffix.lower() == JSON_ENDING else _yaml(content, path)
    return parse_manifest(raw, path)


def parse_manifest(raw: Any, source: str) -> Manifest:
    """The manifest of a parsed document; an empty one is no fault. Raises InvalidInput with the field."""
    document = _object(raw, source, "", "an object with apt, pip, custom_nodes and models")
    models = _object(document.get("models"), source, "models", "an object with before_start and after_start")
    return Manifest(
        apt=_list(document, "apt", source, _text),
        pip=_list(document, "pip", source, _text),
        custom_nodes=_list(document, "custom_nodes", source, _text),
        before_start=_list(models, "before_start", source, _model, "models."),
        after_start=_list(models, "after_start", source, _model, "models."),
    )


def _content(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            content = opened.read(MAX_BYTES + 1)
        text = content.decode()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        raise InvalidInput(f"The manifest {file} cannot be read: {reason}.", place=Place(field="MANIFEST")) from error
    if len(content) > MAX_BYTES:
        raise InvalidInput(f"The manifest {file} is larger than {MAX_BYTES} bytes.", place=Place(field="MANIFEST"))
    return text


def _json(text: str, source: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"{source} is no valid JSON: {error}.", place=Place(field="MANIFEST")) from error


def _yaml(text: str, source: str) -> Any:
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}" if mark else ""
        reason = getattr(error, "problem", None) or "it cannot be read"
        raise InvalidInput(f"{source} is no valid YAML{where}: {reason}.", place=Place(field="MANIFEST")) from error


def _object(value: Any, source: str, field: str, wanted: str) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise _wrong(source, field, wanted)
    return value


def _list(
    document: Mapping[str, Any], name: str, source: str, read: Callable[[Any, str, str], T], above: str = ""
) -> tuple[T, ...]:
    field, value = above + name, document.get(name)
    if value is None:
        return ()
    if not isinstance(value, list):
        raise _wrong(source, field, "a list")
    if len(value) > MAX_ITEMS:
        raise _wrong(source, field, f"a list of at most {MAX_ITEMS} items")
    return tuple(read(item, source, f"{field}[{index}]") for index, item in enumerate(value))


def _text(value: Any, source: str, field: str) -> str:
    if not isinstance(value, str) or not value.strip() or not value.isprintable() or len(value) > MAX_TEXT:
        raise _wrong(source, field, f"a text of 1 to {MAX_TEXT} characters in one line")
    return value.strip()


def _model(value: Any, source: str, field: str) -> ModelFile:
    if not isinstance(value, dict):
        raise _wrong(source, field, "an object with url and local_path")
    url = _text(value.get("url"), source, f"{field}.url")
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = urlsplit("")
    if not parts.scheme or not (parts.netloc or parts.path):
        raise _wrong(source, f"{field}.url", "an absolute URL such as https://host/model.safetensors")
    return ModelFile(url, _text(value.get("local_path"), source, f"{field}.local_path"))


def _wrong(source: str, field: str, wanted: str) -> InvalidInput:
    sentence = f"{source}: {field} must be {wanted}." if field else f"{source} must be {wanted}."
    return InvalidInput(sentence, place=Place(field=field or "MANIFEST"))
