"""Long texts of a request that are in files for as long as it is served, each named by a token in its JSON."""

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from comfyserve.core.data_uri import PIECE, decode_base64, decode_data
from comfyserve.core.errors import InvalidInput, TooLarge
from comfyserve.core.graph import Graph

TEXTS_LIMIT = 16 * 1024 * 1024
"""Bytes of texts that may be put back into the JSON of one request."""

NO_TEXTS: Mapping[str, Path] = {}
NO_NAMES: Mapping[str, str] = {}


def decoded(path: Path, limit: int) -> Iterator[bytes]:
    """The content of a file that holds a data URI or bare base64, piece by piece. Raises as `core.data_uri` does."""
    with path.open("rb") as file:
        is_uri = file.read(len("data:")).lower() == b"data:"
    return decode_data(_texts(path), limit)[1] if is_uri else decode_base64(_pieces(path), limit)


def fingerprinted(value: Any, spooled: Mapping[str, Path]) -> Any:
    """The JSON value with what is the same for equal texts in place of tokens, which are new each time."""
    return LongTexts(spooled).put_back(value, {token: f"sha256:{_digest(path)}" for token, path in spooled.items()})


class LongTexts:
    """The texts of one request that turn out to be no files: they are put back where their tokens are."""

    def __init__(self, spooled: Mapping[str, Path], limit: int = TEXTS_LIMIT) -> None:
        """`limit`: bytes of all texts that are put back."""
        self._spooled = spooled
        self._left = limit
        self._limit = limit
        self._read: dict[str, str] = {}

    def put_back(self, value: Any, names: Mapping[str, str] = NO_NAMES) -> Any:
        """The JSON value with texts for tokens, and with the name of those that `names` knows. Raises TooLarge over
        the limit, InvalidInput when the value is too deep."""
        if not self._spooled:
            return value
        try:
            return self._walked(value, names)
        except RecursionError:
            raise InvalidInput("The request is nested too deeply.") from None

    def in_graph(self, graph: Graph) -> Graph:
        """The graph with texts for tokens."""
        if not self._spooled:
            return graph
        return graph.with_inputs({node_id: self.put_back(node.inputs) for node_id, node in graph.nodes.items()})

    def _walked(self, value: Any, names: Mapping[str, str]) -> Any:
        if isinstance(value, str):
            return names.get(value) or self._text(value) if value in self._spooled else value
        if isinstance(value, Mapping):
            return {key: self._walked(item, names) for key, item in value.items()}
        return [self._walked(item, names) for item in value] if isinstance(value, list) else value

    def _text(self, token: str) -> str:
        if token not in self._read:
            path = self._spooled[token]
            self._left -= path.stat().st_size
            if self._left < 0:
                raise TooLarge(f"The texts of the request are over the limit of {self._limit} bytes.")
            self._read[token] = path.read_bytes().decode()
        return self._read[token]


def _texts(path: Path) -> Iterator[str]:
    with path.open(encoding="utf-8", newline="") as file:
        while piece := file.read(PIECE):
            yield piece


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            yield piece


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
