"""Names in the cache: stateless-comfyui-api.md section 3.7."""

import base64
import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import urlsplit, urlunsplit

from comfyserve.core.credentials import Auth, AzureAuth, GcsAuth, QueryAuth, S3Auth
from comfyserve.fetch.names import safe_name, with_extension

KEY_LENGTH = 32
CARD_ENDING = ".meta"
ANONYMOUS = "anonymous"

_ENDING = re.compile(r"\.[A-Za-z0-9_-]{1,15}")
_KEY = re.compile(r"[A-Za-z0-9_-]{32}([.-].*)?")


@dataclass(frozen=True)
class Slot:
    """Where the copy of an address belongs: its key, and its file's ending as far as the URL tells it."""

    key: str
    ending: str = ""


def slot_of(url: str, place: str = "", asker: str = "") -> Slot:
    """The slot of a URL as it was given. `place`: what else decides which file the URL means (see `place_of`); `asker`:
    for whom alone this slot is. No two sets of words have one slot, since no URL begins with a bracket."""
    words = json.dumps([url, place, asker]) if place or asker else url
    return Slot(cache_key(words), ending_of(urlsplit(url).path))


def cache_key(text: str) -> str:
    """The first 32 characters of the base64url form of SHA-256."""
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
    return base64.urlsafe_b64encode(digest).decode()[:KEY_LENGTH]


def place_of(auth: Auth | None) -> str:
    """What credentials say about where a file lies, not who asks: the same URL at another endpoint is another file.

    Without it a caller's own endpoint could open, or replace, what another caller fetched from the real one.
    """
    match auth:
        case S3Auth(endpoint=str(endpoint)) | GcsAuth(endpoint=str(endpoint)):
            return endpoint
        case S3Auth(region=str(region)):
            return f"@{region}"
        case AzureAuth():
            return f"{auth.account_name}@{auth.endpoint or ''}"
        case QueryAuth():
            return f"?{auth.query_param}"
    return ""


def ending_of(name: str) -> str:
    """The ending of a name or path with its dot, if it is a plain, short one; else nothing."""
    ending = PurePosixPath(name).suffix
    return ending if _ENDING.fullmatch(ending) else ""


def ending_from_answer(names: Sequence[str | None], mime: str) -> str:
    """The ending that the answer of an origin tells: the first of its names that has one, else that of the type."""
    endings = (ending_of(safe_name(name)) for name in names if name)
    return next((ending for ending in endings if ending), "") or ending_of(with_extension("file", mime))


def is_entry(name: str) -> bool:
    """Whether a name in the folder is that of a cached file, and not of a side-car or of something foreign."""
    return _KEY.fullmatch(name) is not None and not name.endswith(CARD_ENDING)


def without_secrets(url: str) -> str:
    """The URL for the side-car: no user, no password, no fragment, and of the query the names of its parameters alone,
    since none tells by its name that its value is no secret."""
    parts = urlsplit(url)
    words = (word.partition("=") for word in parts.query.split("&"))
    names = "&".join(f"{name}=" for name, equals, _ in words if equals)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query=names, fragment=""))
