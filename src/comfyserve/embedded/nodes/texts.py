"""The bound on texts that nodes make; what comes in is bounded by the size of a request."""

from __future__ import annotations

from typing import Final

from comfyserve.embedded.context import EngineSettings, current

CHARACTER_BYTES: Final = 4
"""What Python may take for one."""


class TextTooLong(ValueError):
    """A text that is refused before it takes memory."""


def check_text(length: int) -> None:
    """TextTooLong, which names the limit, unless a text of so many characters may exist here."""
    try:
        limit = current().settings.text_bytes
    except LookupError:
        limit = EngineSettings().text_bytes
    if length * CHARACTER_BYTES > limit:
        raise TextTooLong(
            f"A text would get {length} characters or more; at most {limit // CHARACTER_BYTES} are allowed. Ask for "
            "less, or start the engine with a larger --text-megabytes."
        )
