"""What the tests of the HTTP source share: limits that suit a quick test, and what must hold of every download."""

import hashlib
from pathlib import Path
from typing import Any

from comfyserve.fetch.http import HttpLimits, HttpSource
from comfyserve.fetch.source import Arrived, Order

LIMITS = HttpLimits(idle_seconds=0.5, answer_seconds=2, connect_seconds=2, pauses=(0.01,), longest_pause=0.02)
LIMIT = 2_000_000


async def arrived(source: HttpSource, url: str, path: Path, **more: Any) -> Arrived:
    """What came; the file must be what it says, and nothing else may be left."""
    result = await source.download(Order(url, **{"limit": LIMIT, **more}), path)
    assert isinstance(result, Arrived)
    content = content_of(path)
    assert (result.size, result.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    assert left_in(path.parent) == {path.name}
    return result


def content_of(path: Path) -> bytes:
    return path.read_bytes()


def left_in(folder: Path) -> set[str]:
    """The names of what lies in a folder."""
    return {path.name for path in folder.iterdir()}
