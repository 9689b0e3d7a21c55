"""A webhook call that is ready to be made: a body of known length, which is not held in memory, and its headers."""

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from comfyserve.core.signing import Signature
from comfyserve.services.postings import Posting

KEPT_BYTES = 256 * 1024
"""A body up to this size is kept from the first reading, a larger one is written anew for the sending."""


@dataclass(frozen=True)
class Letter:
    """What a Sender needs. `content` gives the body anew at each call."""

    content: Callable[[], AsyncIterator[bytes]]
    length: int
    headers: Mapping[str, str]


async def seal(posting: Posting, key: bytes, moment: datetime) -> Letter:
    """Read the body once, to measure it and to sign it as of now where that is wanted; an empty `key` is none. One that
    needs neither is not read."""
    signed = posting.signed == "always" or (posting.signed == "with_secret" and bool(key))
    headers = {"Content-Type": "application/json", **posting.headers}
    if posting.length is not None and not signed:
        return Letter(posting.content, posting.length, headers)
    signature = Signature(key, posting.id, round(moment.timestamp()))
    length, kept = 0, bytearray()
    async for piece in posting.content():
        length += len(piece)
        signature.add(piece)
        if length <= KEPT_BYTES:
            kept += piece
    headers |= signature.headers() if signed else {}
    return Letter(posting.content if length > KEPT_BYTES else at_hand(bytes(kept)), length, headers)


def at_hand(body: bytes) -> Callable[[], AsyncIterator[bytes]]:
    """A body that is held in memory, as often as it is wanted."""

    async def content() -> AsyncIterator[bytes]:
        yield body

    return content
