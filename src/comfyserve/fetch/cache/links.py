"""What lies elsewhere for a cached file: a symbolic link, or a copy where links lead nowhere; a hard link is one."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from stat import S_IFMT, S_ISDIR, S_ISLNK

import structlog

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Link:
    """A place. A copy has the size and the time of change that it had when it was noted; a symbolic link has none."""

    path: str
    size: int = 0
    modified_ns: int = 0


def find_link(entry: Path, destination: Path) -> Link | None:
    """What lies at a destination, when it leads to this cached file or is a copy of it; None for anything else."""
    try:
        there, ours = destination.lstat(), entry.stat()
        if S_ISLNK(there.st_mode):
            return Link(str(destination)) if destination.readlink() == entry else None
    except OSError:
        return None
    return Link(str(destination), *_facts(there)) if _is_copy(there, ours) else None


def remove_link(entry: Path, link: Link) -> None:
    """Remove what was placed, unless something else lies there now. What the disk does not give up stays, and is told
    in the log."""
    place = Path(link.path)
    try:
        there = place.lstat()
        if S_ISLNK(there.st_mode):
            if place.readlink() == entry:
                place.unlink()
        elif link.modified_ns and _facts(there) == (link.size, link.modified_ns):
            shutil.rmtree(place) if S_ISDIR(there.st_mode) else place.unlink()
    except FileNotFoundError:
        return
    except OSError as error:
        log.warning("cache_link_left", name=place.name, reason=os.strerror(error.errno or 0))


def _facts(facts: os.stat_result) -> tuple[int, int]:
    """Size and time of change; the size of a folder says nothing."""
    return (0 if S_ISDIR(facts.st_mode) else facts.st_size), facts.st_mtime_ns


def _is_copy(there: os.stat_result, ours: os.stat_result) -> bool:
    """A copy has the size and the time of change of its file, in whole seconds: disks keep the rest or not."""
    if os.path.samestat(there, ours):
        return True
    kinds = S_IFMT(there.st_mode) == S_IFMT(ours.st_mode)
    (size, changed), (our_size, our_change) = _facts(there), _facts(ours)
    return kinds and (size, changed // 10**9) == (our_size, our_change // 10**9)
