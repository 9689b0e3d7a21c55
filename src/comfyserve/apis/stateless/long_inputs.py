"""Long texts in the input of a custom workflow. Its function gets them as they were sent, so that it may decode them;
everything before and after it handles the tokens that stand for them (`apis.http.spool`)."""

import asyncio
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from comfyserve.core.errors import InvalidInput
from comfyserve.services.spooled import TEXTS_LIMIT


class LongInputs:
    """The long texts of one request, for its workflow. Where all of them are over TEXTS_LIMIT the function gets the
    tokens: they may go into a graph as they are."""

    def __init__(self, spooled: Mapping[str, Path]) -> None:
        self._spooled = spooled
        self._texts: Mapping[str, str] = {}

    async def opened(self, value: Any) -> Any:
        """The input with texts for tokens."""
        if self._spooled:
            self._texts = await asyncio.to_thread(_read, self._spooled)
        return _exchanged(value, self._texts)

    def closed(self, value: Any) -> Any:
        """What a function gave, with tokens for texts. Raises InvalidInput when it is too deep."""
        return _exchanged(value, {text: token for token, text in self._texts.items()})

    def shown(self, parsed: Any, graph: Any) -> Any:
        """The parsed input as it is kept beside its graph: a long text that is not in the graph is told by its size."""
        if not self._spooled:
            return parsed
        used = set(_strings(graph))
        sizes = {token: f"({path.stat().st_size} bytes)" for token, path in self._spooled.items() if token not in used}
        return _exchanged(self.closed(parsed), sizes)


def _read(spooled: Mapping[str, Path]) -> dict[str, str]:
    if sum(path.stat().st_size for path in spooled.values()) > TEXTS_LIMIT:
        return {}
    return {token: path.read_bytes().decode() for token, path in spooled.items()}


def _exchanged(value: Any, words: Mapping[str, str]) -> Any:
    """The JSON value with other words for some of its texts."""
    if not words:
        return value
    try:
        return _walked(value, words)
    except RecursionError:
        raise InvalidInput("The workflow's input or graph is nested too deeply.") from None


def _walked(value: Any, words: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return words.get(value, value)
    if isinstance(value, Mapping):
        return {key: _walked(item, words) for key, item in value.items()}
    return [_walked(item, words) for item in value] if isinstance(value, list) else value


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping | list):
        for item in value.values() if isinstance(value, Mapping) else value:
            yield from _strings(item)
