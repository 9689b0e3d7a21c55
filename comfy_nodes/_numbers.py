"""Numbers from the text that stands in `input_id`."""

import math
import re

LONGEST = 64
NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
NOT_FINITE = re.compile(r"[+-]?(nan|inf|infinity)", re.IGNORECASE)


def number(text: str) -> float | int | None:
    """The number that a text says; None for the input's own name or any other text.

    Raises ValueError for a number that is not finite, beyond floats, or written in more than LONGEST characters.
    """
    text = str(text).strip()
    if NOT_FINITE.fullmatch(text):
        raise ValueError(f"{text} is not a finite number: give one such as 0.5.")
    if not NUMBER.fullmatch(text):
        return None
    if len(text) > LONGEST:
        raise ValueError(
            f"The number {text[:40]}... has {len(text)} characters; at most {LONGEST} are allowed. Round it."
        )
    value = int(text) if text.lstrip("+-").isdigit() else float(text)
    if not math.isfinite(value):
        raise ValueError(f"The number {text[:40]} is too large.")
    return value


def whole(text: str) -> int | None:
    """The same for whole numbers. Raises ValueError for one with a fraction."""
    value = number(text)
    if value is not None and value != int(value):
        raise ValueError(f"{text.strip()} is not a whole number: give one without a fraction, such as {round(value)}.")
    return None if value is None else int(value)


def inside(value: float, low: float, high: float) -> None:
    """Raise ValueError unless the number lies between the bounds."""
    if low > high:
        raise ValueError(f"min_value {low} is above max_value {high}: swap them.")
    if not low <= value <= high:
        raise ValueError(f"{value} is out of range: at least {low}, at most {high}.")
