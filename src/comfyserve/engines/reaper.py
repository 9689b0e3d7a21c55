"""The parent of an engine process: it makes sure that the engine and all its descendants end with us.

Started as `python -I -S reaper.py COMMAND...` with a socket to us as standard input, on which it tells the engine's
process id. When our end closes, because we closed it or were killed with -9, everything below is killed with -9; so is
what an engine leaves behind when it ends.
On Linux the reaper adopts orphans (PR_SET_CHILD_SUBREAPER), so that even a detached grandchild is found; elsewhere
the engine's process group is all it can reach. SIGTERM is passed on to the group. Its exit status is the engine's.

A start script may put the engine into the background and end with 0: that is told to us as `0`, what it left is then
the engine, and the reaper ends with the last of it and its exit status. Whoever wants no such engine closes the socket.
"""

import os
import select
import signal
import sys
import time

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
US = 0
SWEEPS = 500
SWEEP_SECONDS = 0.01


def main(command: list[str]) -> int:
    """Run the command until it ends or we do; the answer is the exit status."""
    _prctl(PR_SET_CHILD_SUBREAPER, 1)
    read_end, write_end = os.pipe()
    os.set_blocking(read_end, False)
    os.set_blocking(write_end, False)
    terminated: list[int] = []
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGTERM, lambda number, _: terminated.append(number))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
    engine = _start(command)
    _tell(engine)
    status, left = None, False
    while True:
        ready, _, _ = select.select([US, read_end], [], [])
        if US in ready and not _read(US):
            _kill_all(engine)
            return 128 + signal.SIGKILL
        if read_end in ready:
            os.read(read_end, 1024)
        if terminated:
            terminated.clear()
            _ask_to_end(engine)
        status, last = _collect(engine, status)
        if status == 0 and _children():
            if not left:
                _tell(0)
            left = True
        elif status is not None:
            _kill_all(engine)
            return last if left and last is not None else status


def _tell(number: int) -> None:
    """Nobody may listen any more; then the loop finds our end closed and kills what was started."""
    try:
        os.write(US, b"%d\n" % number)
    except (BrokenPipeError, ConnectionResetError):
        return


def _read(source: int) -> bytes:
    try:
        return os.read(source, 1024)
    except ConnectionResetError:
        return b""


def _start(command: list[str]) -> int:
    us = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    try:
        os.setsid()
        _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != us:
            os._exit(1)
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        os.dup2(os.open(os.devnull, os.O_RDONLY), US)
        os.execvp(command[0], command)
    except OSError as error:
        os.write(2, f"cannot start {command[0]}: {error.strerror}\n".encode())
    os._exit(127)


def _collect(engine: int, found: int | None) -> tuple[int | None, int | None]:
    """Bury the dead: the engine's exit status when it is among them, or was before (`found`), and that of the last."""
    last = None
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return found, last
        if pid == 0:
            return found, last
        code = os.waitstatus_to_exitcode(status)
        last = code if code >= 0 else 128 - code
        if pid == engine:
            found = last


def _kill_all(engine: int) -> None:
    """Kill the group, then every child until none is left: the children of the dead become ours."""
    _signal_group(engine, signal.SIGKILL)
    for _ in range(SWEEPS):
        for pid in _children():
            _signal(pid, signal.SIGKILL)
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            time.sleep(SWEEP_SECONDS)


def _ask_to_end(engine: int) -> None:
    """SIGTERM for the group, and for those that it left to us."""
    _signal_group(engine, signal.SIGTERM)
    for pid in _children():
        if pid != engine:
            _signal(pid, signal.SIGTERM)


def _children() -> list[int]:
    """Our own children, the orphans that became ours among them; none where the system has no /proc."""
    if sys.platform != "linux":
        return []
    us = str(os.getpid()).encode()
    with os.scandir("/proc") as entries:
        return [int(entry.name) for entry in entries if entry.name.isdigit() and _parent(entry.name) == us]


def _parent(pid: str) -> bytes:
    """The parent's id as /proc tells it (proc(5): the second field after the name in brackets)."""
    try:
        stat = os.open(f"/proc/{pid}/stat", os.O_RDONLY)
    except OSError:
        return b""
    try:
        return os.read(stat, 1024).rpartition(b")")[2].split()[1]
    except (OSError, IndexError):
        return b""
    finally:
        os.close(stat)


def _signal_group(engine: int, number: int) -> None:
    try:
        os.killpg(engine, number)
    except (ProcessLookupError, PermissionError):
        return


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        return


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
