"""Who listens on a port: an engine of ours, or a stranger that took the port first (Linux; elsewhere nobody knows)."""

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

PROC = Path("/proc")
LISTEN = "0A"
"""TCP_LISTEN as /proc/net/tcp writes it (proc(5))."""

FORWARDERS = frozenset({"docker-proxy", "conmon", "rootlessport", "slirp4netns", "pasta"})
"""Programs that listen for a container: what a command such as `docker run` starts is no descendant of that command."""


def strangers(port: int, ancestor: int) -> list[str]:
    """The names of the processes that listen on the port and do not descend from `ancestor`; empty when one does, when
    it is a container's, or when it cannot be told."""
    sockets = set(_listening(port))
    if not sockets:
        return []
    parents = {pid: _parent(pid) for pid in _pids()}
    ours = {pid for pid in parents if _descends(pid, ancestor, parents)}
    if any(_holds(pid, sockets) for pid in ours):
        return []
    names = [_name(pid) for pid in parents.keys() - ours if _holds(pid, sockets)]
    return [] if FORWARDERS & set(names) else names


def _listening(port: int) -> Iterator[str]:
    """What a file descriptor of a socket that listens on the port points to."""
    ending = f":{port:04X}"
    for table in ("tcp", "tcp6"):
        for line in _text(PROC / "net" / table).splitlines():
            fields = line.split()
            if fields[1].endswith(ending) and fields[3] == LISTEN:
                yield f"socket:[{fields[9]}]"


def _pids() -> Iterator[int]:
    with suppress(OSError):
        yield from (int(name) for name in os.listdir(PROC) if name.isdigit())  # noqa: PTH208  (a quarter of the time)


def _holds(pid: int, sockets: set[str]) -> bool:
    folder = f"{PROC}/{pid}/fd"
    try:
        return any(_link(f"{folder}/{number}") in sockets for number in os.listdir(folder))  # noqa: PTH208
    except OSError:
        return False


def _link(path: str) -> str:
    try:
        return os.readlink(path)  # noqa: PTH115
    except OSError:
        return ""


def _descends(pid: int, ancestor: int, parents: Mapping[int, int]) -> bool:
    while pid > 1 and pid != ancestor:
        pid = parents.get(pid, 0)
    return pid == ancestor


def _parent(pid: int) -> int:
    fields = _text(PROC / str(pid) / "stat").rpartition(")")[2].split()
    return int(fields[1]) if fields else 0


def _name(pid: int) -> str:
    return _text(PROC / str(pid) / "comm").strip() or "another program"


def _text(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:
        return ""
