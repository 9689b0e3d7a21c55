"""Not outliving the process that started this one."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Callable

PR_SET_PDEATHSIG = 1
WATCH_SECONDS = 1.0
GRACE_SECONDS = 10.0


def watch_parent(parent: int, end: Callable[[], None]) -> None:
    """Call `end` once the parent is gone, and end the process hard if that does not help within GRACE_SECONDS.

    On Linux the kernel tells at once; since it does so when the *thread* that started us ends, too, the parent is
    looked at before anything is ended. Elsewhere, and if that fails, a thread looks every WATCH_SECONDS.
    """
    if sys.platform == "linux":
        signal.signal(signal.SIGUSR1, lambda *_: None if os.getppid() == parent else end())
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGUSR1)
    threading.Thread(target=_watch, args=(parent, end), name="parent", daemon=True).start()


def _watch(parent: int, end: Callable[[], None]) -> None:
    while os.getppid() == parent:
        time.sleep(WATCH_SECONDS)
    end()
    time.sleep(GRACE_SECONDS)
    os._exit(1)
