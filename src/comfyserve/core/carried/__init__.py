"""The workflow that a file carries: JSON in either form, or what ComfyUI wrote into a picture, video, sound or latent.

Where each kind has it: comfyui-protocol.md section 11.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from comfyserve.core.carried import matroska, mp4, pictures, plain, sounds
from comfyserve.core.convert import is_editor_form
from comfyserve.core.errors import InvalidGraph

Text = tuple[str, bytes]
"""A name and its text, as it stands in the file."""

PROMPT, WORKFLOW, COMMENT = "prompt", "workflow", "comment"
NAMES = frozenset({PROMPT, WORKFLOW, COMMENT})

READERS: tuple[Callable[[bytes], Iterator[Text]], ...] = (
    pictures.png,
    pictures.webp,
    mp4.tags,
    matroska.tags,
    sounds.flac,
    sounds.ogg,
    sounds.mp3,
    plain.safetensors,
    plain.svg,
)
"""Each gives nothing for a file that is not its kind."""


@dataclass(frozen=True)
class Carried:
    """What a file holds: the API form, the editor's form, or both."""

    graph: Mapping[str, Any] | None
    editor: Mapping[str, Any] | None


def read_carried(data: bytes) -> Carried:
    """The workflow in a file. Raises InvalidGraph when there is none."""
    raw = _json(data)
    if isinstance(raw, dict):
        return _of(raw)
    found: dict[str, Any] = {}
    for reader in READERS:
        for name, text in reader(data):
            key = name.lower()
            if key in NAMES and isinstance(read := _json(text), dict):
                found |= read if key == COMMENT else {key: read}
    graph, editor = _object(found.get(PROMPT)), _object(found.get(WORKFLOW))
    if graph is None and editor is None:
        raise InvalidGraph(
            "The file carries no workflow. Send its JSON, or a picture, video or sound that ComfyUI saved with it."
        )
    return Carried(graph, editor)


def _of(raw: dict[str, Any]) -> Carried:
    """A JSON file: the editor's form, or the API form, or an object that holds them as `prompt` and `workflow`."""
    if is_editor_form(raw):
        return Carried(None, raw)
    graph, editor = _object(raw.get(PROMPT)), _object(raw.get(WORKFLOW))
    if graph is not None and "class_type" not in graph:
        return Carried(graph, editor)
    return Carried(raw, None)


def _object(raw: Any) -> dict[str, Any] | None:
    """The object, which some tools write as text."""
    read = _json(raw.encode()) if isinstance(raw, str) else raw
    return read if isinstance(read, dict) and read else None


def _json(data: bytes) -> Any:
    text = data.lstrip(b"\xef\xbb\xbf \t\r\n").rstrip(b"\x00 \t\r\n")
    if not text.startswith(b"{"):
        return None
    try:
        return json.loads(text.decode("utf-8", errors="replace"))
    except (ValueError, RecursionError):
        return None
