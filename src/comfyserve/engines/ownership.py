"""Who listens on a port: an engine of ours, or a stranger that took the port first (Linux; elsewhere nobody knows)."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

LISTEN = "0A"
"""TCP_LISTEN as /proc/net/tcp writes it (proc(5))."""

FORWARDERS = frozenset({"docker-proxy", "conmon", "rootlessport", "slirp4netns", "pasta"})
"""Programs that listen for a container: what a command such as `docker run` starts is no descendant of that command."""


def strangers(port: int, ancestor: int) -> list[str]:
    """The names of the processes that listen on the port and do not descend from `ancestor`; empty when one does, when
    it is a container's, or when it cannot be told."""
    proc = Path("/proc")
    sockets = set(_listening(proc, port))
    if not sockets:
        return []
    holders = [pid for pid in _pids(proc) if sockets & set(_sockets(proc / str(pid)))]
    if any(_descends(proc, pid, ancestor) or _name(proc, pid) in FORWARDERS for pid in holders):
        return []
    return [_name(proc, pid) for pid in holders]


def _listening(proc: Path, port: int) -> Iterator[str]:
    """What a file descriptor of a socket that listens on the port points to."""
    ending = f":{port:04X}"
    for table in ("tcp", "tcp6"):
        for line in _text(proc / "net" / table).splitlines():
            fields = line.split()
            if fields[1].endswith(ending) and fields[3] == LISTEN:
                yield f"socket:[{fields[9]}]"


def _pids(proc: Path) -> Iterator[int]:
    with suppress(OSError):
        yield from (int(entry.name) for entry in proc.iterdir() if entry.name.isdigit())


def _sockets(process: Path) -> Iterator[str]:
    with suppress(OSError):
        for entry in (process / "fd").iterdir():
            with suppress(OSError):
                yield str(entry.readlink())


def _descends(proc: Path, pid: int, ancestor: int) -> bool:
    while pid > 1 and pid != ancestor:
        pid = _parent(proc, pid)
    return pid == ancestor


def _parent(proc: Path, pid: int) -> int:
    fields = _text(proc / str(pid) / "stat").rpartition(")")[2].split()
    return int(fields[1]) if fields else 0


def _name(proc: Path, pid: int) -> str:
    return _text(proc / str(pid) / "comm").strip() or "another program"


def _text(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:
        return ""
