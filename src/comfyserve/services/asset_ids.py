"""Ids of assets: a word for the kind of file and 16 characters without look-alikes (comfydeploy.md 1.6)."""

import re
import uuid
from collections.abc import Callable

ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
LENGTH = 16
PREFIXES = {"image": "img", "video": "vid", "audio": "audio"}
ZIP = "application/zip"

_SHAPE = re.compile(rf"(?:img|vid|audio|zip|file|folder)_[{ALPHABET}]{{{LENGTH}}}")


def new_asset_id(mime: str, ids: Callable[[], str]) -> str:
    """A fresh id; its characters are the low bits of a UUID, which are random."""
    number = uuid.UUID(ids()).int
    letters = ""
    for _ in range(LENGTH):
        number, digit = divmod(number, len(ALPHABET))
        letters += ALPHABET[digit]
    prefix = "zip" if mime == ZIP else PREFIXES.get(mime.partition("/")[0], "file")
    return f"{prefix}_{letters}"


def is_asset_id(text: str) -> bool:
    """Whether a text has the shape of an asset id."""
    return _SHAPE.fullmatch(text) is not None
