"""Putting texts together."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from ._nodes import node

LONGEST = 10_000_000
"""Characters of a result; such a text may be the input of the next node, which doubles it."""
SECONDS = 3.0
PROGRAM = Path(__file__).with_name("_substitute.py")


@node("ComfyUIDeployStringCombine", "StringFunction")
def combine(
    action: str, tidy_tags: str, text_a: str = "", text_b: str = "", text_c: str = "", **_: Any
) -> dict[str, Any]:
    """Join up to three texts, or replace text_b (between slashes: a pattern) by text_c in text_a."""
    tidy = tidy_tags == "yes"
    if action == "append":
        _check_length(sum(map(len, (text_a, text_b, text_c))))
        result = (", " if tidy else "").join(part for part in (text_a, text_b, text_c) if part)
    else:
        result = _replaced(text_a, text_b, text_c)
    result = _tidied(result) if tidy else result
    return {"ui": {"text": [result]}, "result": (result,)}


def _replaced(text: str, wanted: str, other: str) -> str:
    _check_length(len(text))
    if len(wanted) > 1 and wanted.startswith("/") and wanted.endswith("/"):
        return _substituted(wanted, other, text)
    if not wanted:
        return text
    _check_length(len(text) + text.count(wanted) * (len(other) - len(wanted)))
    return text.replace(wanted, other)


def _substituted(wanted: str, other: str, text: str) -> str:
    """In a process that can be ended: a bad pattern would hold up the whole engine for hours."""
    given = {"pattern": wanted[1:-1], "other": other, "text": text, "longest": LONGEST}
    command = [sys.executable, "-I", "-S", str(PROGRAM)]
    try:
        done = subprocess.run(
            command, input=json.dumps(given), capture_output=True, text=True, timeout=SECONDS, check=True
        )
    except subprocess.TimeoutExpired:
        raise ValueError(
            f"{wanted[:80]} took longer than {SECONDS:g} seconds on this text. Simplify it; repetitions inside "
            "repetitions are the usual cause."
        ) from None
    except subprocess.CalledProcessError as error:
        raise ValueError(f"{wanted[:80]} cannot be tried on this text: simplify it.") from error
    answer: dict[str, str] = json.loads(done.stdout)
    if "error" in answer:
        raise ValueError(f"{wanted[:80]} is not a valid pattern for this text: {answer['error']}.")
    return answer["result"]


def _tidied(text: str) -> str:
    text = re.sub(r"\s{2,}", " ", text).replace(" ,", ",")
    return re.sub(r",{2,}", ",", text).strip()


def _check_length(characters: int) -> None:
    if characters > LONGEST:
        raise ValueError(f"The text is longer than {LONGEST} characters: combine fewer or shorter ones.")
