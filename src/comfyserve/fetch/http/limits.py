"""How long, how often and how wide an HTTP download may be."""

from dataclasses import dataclass

MIB = 1024 * 1024


@dataclass(frozen=True)
class HttpLimits:
    """Caps on one download; times are in seconds, sizes in bytes.

    `tries` counts those in a row that brought less than `PROGRESS`; the pause after each is the next of `pauses`, or
    what the origin asks for, but never more than `longest_pause`. Less than `slow_rate` bytes a second over
    `slow_seconds` ends a try. A file whose rest is `parallel_from` or more, and would take `parallel_rest` or longer at
    the pace of the first `parallel_after`, is read over up to `connections`, in pieces of `piece`. What has come is
    written down every `keep_seconds`, for the case that the process dies. A file of `hash_below` or more is hashed only
    when its checksum is known: that takes more CPU time than the rest of it.
    """

    connect_seconds: float = 10.0
    answer_seconds: float = 60.0
    idle_seconds: float = 30.0
    slow_rate: int = 1024
    slow_seconds: float = 60.0
    redirects: int = 5
    tries: int = 4
    pauses: tuple[float, ...] = (0.5, 2.0, 5.0)
    longest_pause: float = 30.0
    parallel_from: int = 64 * MIB
    parallel_after: float = 1.0
    parallel_rest: float = 5.0
    connections: int = 4
    piece: int = 32 * MIB
    keep_seconds: float = 5.0
    hash_below: int = 256 * MIB


PROGRESS = MIB
"""A try that brought this much was no failure: the count of tries begins anew."""
