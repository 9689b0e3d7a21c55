"""Which results outlive their prompt, as the command line chooses it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class CacheKind(StrEnum):
    """Those that the latest prompt uses, the most recently used, or none."""

    CLASSIC = "classic"
    LRU = "lru"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class CachePolicy:
    """`entries` is what LRU keeps besides the latest prompt's; past `size` bytes the least recently used goes."""

    kind: CacheKind = CacheKind.CLASSIC
    entries: int = 0
    size: int = 4 * 2**30
