"""Putting texts together."""

import re
from typing import Any

from ._nodes import node


@node("ComfyUIDeployStringCombine", "StringFunction")
def combine(
    action: str, tidy_tags: str, text_a: str = "", text_b: str = "", text_c: str = "", **_: Any
) -> dict[str, Any]:
    """Join up to three texts, or replace text_b (between slashes: a pattern) by text_c in text_a."""
    tidy = tidy_tags == "yes"
    if action == "append":
        result = (", " if tidy else "").join(part for part in (text_a, text_b, text_c) if part)
    else:
        result = _replaced(text_a, text_b, text_c)
    result = _tidied(result) if tidy else result
    return {"ui": {"text": [result]}, "result": (result,)}


def _replaced(text: str, wanted: str, other: str) -> str:
    if len(wanted) > 1 and wanted.startswith("/") and wanted.endswith("/"):
        try:
            return re.sub(wanted[1:-1], other, text)
        except re.error as error:
            raise ValueError(f"{wanted} is not a valid pattern: {error}") from error
    return text.replace(wanted, other) if wanted else text


def _tidied(text: str) -> str:
    text = re.sub(r"\s{2,}", " ", text).replace(" ,", ",")
    return re.sub(r",{2,}", ",", text).strip()
