"""What to say about the name of an input that is not there."""

import difflib
from collections.abc import Iterable

from comfyserve.core.errors import InvalidInput, Place

SHOWN_NAMES = 20
MAX_SHOWN_LENGTH = 80
COMPARED_NAMES = 200


def unknown_sentence(name: str, known: Iterable[str]) -> str:
    """What is unknown, what may have been meant, and what is known."""
    names = list(known)
    quoted = name if len(name) <= MAX_SHOWN_LENGTH else f"{name[:MAX_SHOWN_LENGTH]}..."
    near = difflib.get_close_matches(name[:MAX_SHOWN_LENGTH], names[:COMPARED_NAMES], n=1)
    guess = f" Did you mean {near[0]}?" if near else ""
    if not names:
        return f"Unknown input {quoted}: this workflow declares no inputs."
    more = f" and {len(names) - SHOWN_NAMES} more" if len(names) > SHOWN_NAMES else ""
    return f"Unknown input {quoted}.{guess} Known inputs: {', '.join(names[:SHOWN_NAMES])}{more}."


def unknown_name(name: str, known: Iterable[str]) -> InvalidInput:
    """The error for one unknown name."""
    names = list(known)
    return InvalidInput(
        unknown_sentence(name, names),
        place=Place(field=name[:MAX_SHOWN_LENGTH]),
        details={"known_inputs": names[:SHOWN_NAMES]},
    )
