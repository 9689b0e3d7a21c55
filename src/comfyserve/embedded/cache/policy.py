"""Which results outlive their prompt, as the command line chooses it."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from enum import StrEnum

MEBIBYTE = 1024 * 1024


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


def add_cache_options(parser: argparse.ArgumentParser) -> None:
    """ComfyUI's own options, and the bound on memory."""
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--cache-classic", action="store_true", help="keep what the latest prompt used (the default)")
    kind.add_argument("--cache-lru", type=int, default=0, metavar="N", help="keep N results, the most recently used")
    kind.add_argument("--cache-none", action="store_true", help="keep no result longer than its prompt needs it")
    most = CachePolicy().size // MEBIBYTE
    parser.add_argument("--cache-megabytes", type=int, default=most, help="the most that kept results may take")


def cache_policy(options: argparse.Namespace) -> CachePolicy:
    """What the options of add_cache_options say."""
    kind = CacheKind.NONE if options.cache_none else CacheKind.LRU if options.cache_lru > 0 else CacheKind.CLASSIC
    return CachePolicy(kind, options.cache_lru, options.cache_megabytes * MEBIBYTE)
