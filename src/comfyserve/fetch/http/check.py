"""Checksums of a file while it arrives."""

import hashlib
from collections.abc import Iterable

from comfyserve.fetch.http.part import Part

BLOCK_BYTES = 1024 * 1024


class Follower:
    """Hashes what is written, from the first byte on, out of the page cache. It blocks; one thread at a time.

    `at` is how far it is; without any algorithm it reads nothing.
    """

    def __init__(self, part: Part, algorithms: Iterable[str]) -> None:
        self.at = 0
        self._part = part
        self._hashes = {name: hashlib.new(name, usedforsecurity=False) for name in algorithms}
        self._is_stopped = False
        self._buffer = memoryview(bytearray(BLOCK_BYTES))

    def catch_up(self) -> None:
        """Hash until everything that is written without a gap is hashed. Raises StorageFailed."""
        if not self._hashes:
            self.at = self._part.frontier
        while not self._is_stopped and (room := min(self._part.frontier - self.at, BLOCK_BYTES)) > 0:
            count = self._part.read_into(self._buffer[:room], self.at)
            if not count:
                return
            for one in self._hashes.values():
                one.update(self._buffer[:count])
            self.at += count

    def stop(self) -> None:
        """Nobody wants the checksum any more."""
        self._is_stopped = True

    def hexdigest(self, algorithm: str) -> str:
        """The checksum of what was hashed; empty for an algorithm that was not asked for."""
        return self._hashes[algorithm].hexdigest() if algorithm in self._hashes else ""
