"""The External input nodes. A value that was bound stands in `input_id` as text and, typed, in `default_value`."""

import math
import random
from typing import Any

from . import _host, _pictures
from ._nodes import node

SEED_LIMIT = 999_999_999_999_999
SEED_FIELDS = ("default_value", "min_value", "max_value")


@node(
    "ComfyUIDeployExternalText",
    "ComfyUIDeployExternalTextAny",
    "ComfyUIDeployExternalTextSingleLine",
    "ComfyUIDeployExternalEnum",
    "ComfyUIDeployExternalColor",
)
def text(default_value: str = "", **_: Any) -> tuple[str]:
    """A text, a choice or a colour that callers may set."""
    return (default_value,)


@node("ComfyUIDeployExternalBoolean")
def boolean(default_value: bool = False, **_: Any) -> tuple[bool]:
    """A switch that callers may set."""
    return (default_value,)


@node("ComfyUIDeployExternalNumber")
def number(input_id: str, default_value: float = 0.0, **_: Any) -> tuple[float]:
    """A number that callers may set."""
    given = _number(input_id)
    return (float(default_value) if given is None else given,)


@node("ComfyUIDeployExternalNumberInt")
def whole_number(input_id: str, default_value: int = 0, **_: Any) -> tuple[int]:
    """A whole number that callers may set."""
    given = _number(input_id)
    return (int(default_value) if given is None or given != int(given) else int(given),)


@node("ComfyUIDeployExternalNumberSlider")
def slider(
    input_id: str, default_value: float = 0.5, min_value: float = 0.0, max_value: float = 1.0, **_: Any
) -> tuple[float]:
    """A number between two bounds that callers may set; outside of them it is the default."""
    given = _number(input_id)
    return (given if given is not None and min_value <= given <= max_value else float(default_value),)


@node("ComfyUIDeployExternalNumberSliderInt")
def whole_slider(
    input_id: str, default_value: int = 1, min_value: int = 0, max_value: int = 10, **_: Any
) -> tuple[int]:
    """A whole number between two bounds that callers may set; outside of them it is the default."""
    given = _number(input_id)
    rounded = None if given is None else round(given)
    return (rounded if rounded is not None and min_value <= rounded <= max_value else int(default_value),)


def _seed_limits(min_value: int, max_value: int) -> tuple[int, int]:
    low, high = (min(max(int(limit), 1), SEED_LIMIT) for limit in (min_value, max_value))
    return min(low, high), max(low, high)


def _seed_changed(**inputs: Any) -> float | int:
    """A fixed seed is the same next time; NaN, for a random one or one that comes through a link, never is."""
    known = [value for name in SEED_FIELDS if isinstance(value := inputs.get(name), int)]
    if len(known) < len(SEED_FIELDS):
        return math.nan
    value, *limits = known
    low, high = _seed_limits(*limits)
    return value if low <= value <= high else math.nan


@node("ComfyUIDeployExternalSeed", IS_CHANGED=staticmethod(_seed_changed))
def seed(default_value: int = -1, min_value: int = 1, max_value: int = SEED_LIMIT, **_: Any) -> tuple[int]:
    """A seed that callers may set; outside of its limits, such as -1, it is a new one each time."""
    low, high = _seed_limits(min_value, max_value)
    # A seed needs no secrecy, only variety.
    return (default_value if low <= default_value <= high else random.randint(low, high),)


def _image_changed(input_id: str = "", default_value_url: str = "", **_: Any) -> str:
    return _pictures.fingerprint(input_id, default_value_url)


@node("ComfyUIDeployExternalImage", IS_CHANGED=staticmethod(_image_changed))
def image(input_id: str, default_value: Any = None, default_value_url: str = "", **_: Any) -> tuple[Any]:
    """A picture that callers may set, without its transparency."""
    return (_picture((input_id, default_value_url), default_value, alpha=False),)


@node("ComfyUIDeployExternalImageAlpha", IS_CHANGED=staticmethod(_image_changed))
def image_alpha(input_id: str, default_value: Any = None, **_: Any) -> tuple[Any]:
    """A picture that callers may set, with its transparency."""
    return (_picture((input_id,), default_value, alpha=True),)


def _picture(sources: tuple[str, ...], default: Any, *, alpha: bool) -> Any:
    """The first source that names a picture; one that names a broken one is an error, not a reason to go on."""
    for source in sources:
        samples = _pictures.load(source, alpha=alpha) if source else None
        if samples is not None:
            return _host.to_engine(samples)
    if default is None:
        raise ValueError(f"The image input {sources[0]!r} has no value and no default: give it a picture.")
    return default


def _number(text: str) -> float | None:
    """The finite number that a text says; None for the input's own name or any other text."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
