"""What a fetched file is called and what it is."""

import re
from pathlib import PurePosixPath

from comfyserve.core.media import ENDINGS, UNKNOWN_TYPE, extension_of, sniff_mime, type_of

MAX_NAME = 120
UNKNOWN_NAME = "file"
VAGUE = frozenset({"", "application/octet-stream", "binary/octet-stream", "application/binary", "text/plain"})

_MIME = re.compile(r"[a-z0-9!#$&^_.+-]+/[a-z0-9!#$&^_.+-]+")
_UNSAFE = re.compile(r"[^\w.() -]+")


def mime_of(head: bytes, declared: str, filename: str) -> str:
    """The media type: what the first bytes show, else what the sender says, else what the name suggests."""
    said = declared.partition(";")[0].strip().lower()
    said = said if _MIME.fullmatch(said) else ""
    if found := sniff_mime(head):
        return found
    if said not in VAGUE:
        return said
    return type_of(filename) or said or UNKNOWN_TYPE


def safe_name(*candidates: str | None) -> str:
    """The first candidate with a name in it, as a plain file name: no folders, no control characters, not hidden."""
    for candidate in candidates:
        last = re.split(r"[/\\]", candidate or "")[-1]
        name = _UNSAFE.sub("_", last).strip(". ")
        if name:
            stem, dot, ending = name.rpartition(".")
            return name if len(name) <= MAX_NAME else (stem or ending)[: MAX_NAME - 16] + dot + ending[:15]
    return UNKNOWN_NAME


def with_extension(name: str, mime: str) -> str:
    """The name, with the ending of its type when it has none."""
    if PurePosixPath(name).suffix or mime not in ENDINGS:
        return name
    return name + extension_of(mime)
