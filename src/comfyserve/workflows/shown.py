"""Inputs and graphs as they stand in a debug log: bounded, and without secrets."""

import json
import re
from collections.abc import Mapping
from typing import Any

MAX_TEXT = 200
MAX_ITEMS = 200
MAX_DEPTH = 12
HIDDEN = "***"

SECRET_NAME = re.compile(r"passw|secret|token|credential|api_?key|authorization", re.IGNORECASE)
LOGIN = re.compile(r"(?<=://)[^/\s@]+(?=@)")
QUERY = re.compile(r"(https?://[^\s?#]+)\?[^\s#]+")


def shown(value: Any) -> str:
    """JSON of a value: long texts are cut, what is named like a secret is hidden, and so are logins and queries of
    addresses (signed links carry their key there)."""
    return json.dumps(_shown(value, 0), ensure_ascii=False, default=str)


def _shown(value: Any, depth: int) -> Any:
    if depth > MAX_DEPTH:
        return "..."
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, Mapping):
        named = list(value.items())[:MAX_ITEMS]
        return {str(name): HIDDEN if SECRET_NAME.search(str(name)) else _shown(one, depth + 1) for name, one in named}
    if isinstance(value, list | tuple):
        return [_shown(one, depth + 1) for one in value[:MAX_ITEMS]]
    return value


def _text(text: str) -> str:
    cut = text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}... ({len(text)} characters)"
    return QUERY.sub(rf"\1?{HIDDEN}", LOGIN.sub(HIDDEN, cut))
