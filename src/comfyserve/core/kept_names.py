"""The names that models from the download cache have among an engine's own (stateless-comfyui-api.md section 3.7).

Such a name opens a model that somebody else may have fetched with credentials, so callers neither see one nor may
write one: whoever wants such a model gives its address.
"""

import re
from collections.abc import Mapping
from typing import Any

from comfyserve.core.addresses import is_outside

KEY_LENGTH = 32
HIDDEN = "a downloaded model"

_KEY = r"(?<![\w-])(?=[\w-]*[a-z])(?=[\w-]*[A-Z])[A-Za-z0-9_-]{32}(?:[-_]\d{1,3})?"
"""32 characters of base64url, in small letters and capitals as good as always, and a number where two had one name."""

_NAME = re.compile(rf"{_KEY}(\.[A-Za-z0-9_-]{{1,15}})?")
_IN_TEXT = re.compile(rf"{_KEY}\.(?:safetensors|sft|ckpt|pth?|pt2|bin|pkl|gguf|onnx|yaml)\b")


def is_kept_name(value: Any) -> bool:
    """Whether a value is such a name, in whichever folder."""
    if not isinstance(value, str) or len(value) < KEY_LENGTH:
        return False
    return _NAME.fullmatch(value.replace("\\", "/").rpartition("/")[2].strip()) is not None


def tells_kept_name(value: Any) -> bool:
    """Whether one stands, with the ending of a model, anywhere in a JSON value but in addresses."""
    if isinstance(value, Mapping):
        return any(tells_kept_name(item) for item in value.values())
    if isinstance(value, list | tuple):
        return any(tells_kept_name(item) for item in value)
    return isinstance(value, str) and not is_outside(value) and _IN_TEXT.search(value) is not None


def without_kept(value: Any) -> Any:
    """The same JSON value; such names are left out of its lists, and out of its texts."""
    if isinstance(value, Mapping):
        return {key: without_kept(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_kept(item) for item in value if not is_kept_name(item)]
    if isinstance(value, str) and len(value) > KEY_LENGTH:
        return _IN_TEXT.sub(HIDDEN, value)
    return value
