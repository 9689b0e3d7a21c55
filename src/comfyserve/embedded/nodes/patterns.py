"""Regular expressions of a caller: Python's `re`, but none may take longer than a time limit, nor much memory.

`re` cannot be stopped and holds the interpreter while it searches: one bad pattern would freeze the engine. So `re`
says whether a pattern is valid and `regex`, which speaks the same language, does the search.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from re import _parser  # type: ignore[attr-defined]  # the types do not know it
from time import monotonic
from typing import Any, Final

SECONDS: Final = 5.0
MOST_CHARACTERS: Final = 100_000
MOST_PARTS: Final = 100_000
"""`regex` writes a repeated group out as often as it must occur: this many parts take 0.3 s and 100 MB."""

_SPOKEN_DIFFERENTLY = re.compile(r"\\.|\{(?![\d,])|\[:", re.DOTALL)
"""Literals for `re` that `regex` gives a meaning: a brace that is no count, and the begin of a POSIX class."""


class TimeLimitedPattern:
    """A compiled pattern; each of its methods raises TimeoutError when it takes longer than `seconds`."""

    def __init__(self, source: str, flags: re.RegexFlag, seconds: float = SECONDS) -> None:
        """re.error for what `re` would not compile, ValueError for what is too large to compile."""
        import regex  # type: ignore[import-untyped]  # the package has no types

        _check_size(source, flags)
        self._python = re.compile(source, flags)
        self._pattern = regex.compile(_SPOKEN_DIFFERENTLY.sub(_literal, source), int(flags))
        self._seconds = seconds

    def search(self, string: str) -> Any:
        """The first match, or None."""
        with self._told():
            return self._pattern.search(string, timeout=self._seconds, concurrent=True)

    def finditer(self, string: str) -> Iterator[Any]:
        """The matches, one after the other; the time counts from the first to the last."""
        end = monotonic() + self._seconds
        with self._told():
            for match in self._pattern.finditer(string, timeout=self._seconds, concurrent=True):
                _check_time(end)
                yield match

    def sub(self, replacement: str, string: str, count: int = 0, check: Callable[[int], None] | None = None) -> str:
        """re.error for a bad replacement. `check` sees how long the result gets, before it does, and may raise."""
        self._python.sub(replacement, "")
        end, length = monotonic() + self._seconds, len(string)

        def replaced(match: Any) -> str:
            nonlocal length
            text: str = match.expand(replacement) if "\\" in replacement else replacement
            length += len(text) - (match.end() - match.start())
            if check is not None:
                check(length)
            _check_time(end)
            return text

        with self._told():
            result: str = self._pattern.sub(replaced, string, count=count, timeout=self._seconds, concurrent=True)
        return result

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except TimeoutError as error:
            raise TimeoutError(
                f"The pattern took longer than {self._seconds:g} seconds on this text. Simplify it; repetitions "
                "inside repetitions are the usual cause."
            ) from error


def _check_size(source: str, flags: re.RegexFlag) -> None:
    if len(source) > MOST_CHARACTERS:
        raise ValueError(f"The pattern has {len(source)} characters; at most {MOST_CHARACTERS} are allowed.")
    if _parts(_parser.parse(source, flags)) > MOST_PARTS:
        raise ValueError(
            f"The pattern stands for more than {MOST_PARTS} parts, repetitions written out. Repeat less often."
        )


def _parts(tree: Iterable[tuple[Any, Any]]) -> int:
    """How many parts a parsed pattern has when what must occur n times is written out n times."""
    parts = 0
    for operation, value in tree:
        repeated = operation in (_parser.MAX_REPEAT, _parser.MIN_REPEAT, _parser.POSSESSIVE_REPEAT)
        inner = sum(map(_parts, _inside(value)))
        parts += max(value[0], 1) * max(inner, 1) if repeated else 1 + inner
    return parts


def _inside(value: Any) -> Iterator[Any]:
    """The parsed patterns that an operation holds."""
    if isinstance(value, _parser.SubPattern):
        yield value
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from _inside(item)


def _check_time(end: float) -> None:
    if monotonic() > end:
        raise TimeoutError


def _literal(found: re.Match[str]) -> str:
    text = found[0]
    return {"{": r"\{", "[:": r"[\:"}.get(text, text)
