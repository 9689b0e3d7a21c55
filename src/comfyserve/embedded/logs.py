"""Log lines as JSON objects on standard error, and the last of them for the editor's log panel."""

from __future__ import annotations

import json
import logging
import shutil
import sys
from collections import deque
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}

RING_ENTRIES = 300
"""As many as ComfyUI keeps."""
ENTRY_CHARACTERS = 10_000

Entry = dict[str, str]
"""`t`: ISO time, `m`: the text with its end of line (spec section 5)."""


class JsonLines(logging.Formatter):
    """One object per line: time, level, event, logger, and what the caller added with `extra`."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": round(record.created, 3),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            "logger": record.name,
            **_extra(record),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


class PlainLines(logging.Formatter):
    """For people: the level unless it is info, the event, what the caller added, the traceback."""

    def format(self, record: logging.LogRecord) -> str:
        level = "" if record.levelno == logging.INFO else f"[{record.levelname}] "
        extra = "".join(f" {key}={value}" for key, value in _extra(record).items())
        trace = f"\n{self.formatException(record.exc_info)}" if record.exc_info else ""
        return f"{level}{record.getMessage()}{extra}{trace}"


class LogRing(logging.Handler):
    """The last lines. `heard` is called with each new one, in the thread that logged it; it must not log."""

    def __init__(self, length: int = RING_ENTRIES) -> None:
        super().__init__()
        self.setFormatter(PlainLines())
        self._entries: deque[Entry] = deque(maxlen=length)
        self.heard: Callable[[Entry], None] = lambda _: None

    def emit(self, record: logging.LogRecord) -> None:
        """Called by logging."""
        time = datetime.fromtimestamp(record.created).isoformat()
        entry = {"t": time, "m": f"{self.format(record)[:ENTRY_CHARACTERS]}\n"}
        self._entries.append(entry)
        self.heard(entry)

    def entries(self) -> list[Entry]:
        """The lines that are kept, oldest first."""
        self.acquire()
        try:
            return list(self._entries)
        finally:
            self.release()


def terminal_size() -> dict[str, int]:
    """How wide the log is: that of this process's terminal, 80 x 24 without one."""
    size = shutil.get_terminal_size()
    return {"cols": size.columns, "rows": size.lines}


def log_to_stderr(level: str) -> LogRing:
    """Make JSON lines on standard error the only log of this process, beside the ring that is returned."""
    stream = logging.StreamHandler(sys.stderr)
    stream.setFormatter(JsonLines())
    ring = LogRing()
    logging.basicConfig(level=level.upper(), handlers=[stream, ring], force=True)
    logging.captureWarnings(capture=True)
    return ring


def _extra(record: logging.LogRecord) -> Mapping[str, Any]:
    return {key: value for key, value in vars(record).items() if key not in _STANDARD}
