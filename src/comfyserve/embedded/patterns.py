"""Regular expressions of a caller: Python's `re`, but none may take longer than a time limit.

`re` cannot be stopped and holds the interpreter while it searches: one bad pattern would freeze the engine. So `re`
says whether a pattern is valid and `regex`, which speaks the same language, does the search.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

SECONDS = 5.0

_SPOKEN_DIFFERENTLY = re.compile(r"\\.|\{(?![\d,])|\[:", re.DOTALL)
"""Literals for `re` that `regex` gives a meaning: a brace that is no count, and the begin of a POSIX class."""


class TimeLimitedPattern:
    """A compiled pattern; each of its methods raises TimeoutError when it takes longer than SECONDS."""

    def __init__(self, source: str, flags: re.RegexFlag) -> None:
        """re.error for what `re` would not compile."""
        import regex  # type: ignore[import-untyped]  # the package has no types

        self._python = re.compile(source, flags)
        self._pattern = regex.compile(_SPOKEN_DIFFERENTLY.sub(_literal, source), int(flags))

    def search(self, string: str) -> Any:
        """The first match, or None."""
        return self._timed(self._pattern.search, string)

    def findall(self, string: str) -> list[Any]:
        found: list[Any] = self._timed(self._pattern.findall, string)
        return found

    def finditer(self, string: str) -> Iterator[Any]:
        return iter(self._timed(lambda *given, **limits: list(self._pattern.finditer(*given, **limits)), string))

    def sub(self, replacement: str, string: str, count: int = 0) -> str:
        """re.error for a bad replacement."""
        self._python.sub(replacement, "")
        replaced: str = self._timed(self._pattern.sub, replacement, string, count=count)
        return replaced

    def _timed(self, search: Callable[..., Any], *given: Any, **options: Any) -> Any:
        try:
            return search(*given, timeout=SECONDS, concurrent=True, **options)
        except TimeoutError as error:
            raise TimeoutError(
                f"The pattern took longer than {SECONDS:g} seconds on this text. Simplify it; repetitions inside "
                "repetitions are the usual cause."
            ) from error


def _literal(found: re.Match[str]) -> str:
    text = found[0]
    return {"{": r"\{", "[:": r"[\:"}.get(text, text)
