"""What a blob key may look like: letters, digits, `-_./`; no leading slash, no empty part, no part that starts with a
dot (so neither `..` nor hidden files)."""

import re

from comfyserve.core.errors import InvalidInput

MAX_KEY = 512
_KEY = re.compile(r"(?!\.)[A-Za-z0-9_.-]+(?:/(?!\.)[A-Za-z0-9_.-]+)*")


def check_key(key: str) -> str:
    """The key itself. Raises InvalidInput when it is none."""
    if len(key) > MAX_KEY or not _KEY.fullmatch(key):
        raise InvalidInput(f"{key[:80]!r} is not a blob key: letters, digits and '-_./', at most {MAX_KEY} characters.")
    return key
