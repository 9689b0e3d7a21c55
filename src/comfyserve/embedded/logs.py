"""Log lines as JSON objects on standard error, and the last of them for the editor's log panel."""

from __future__ import annotations

import io
import json
import logging
import shutil
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, BinaryIO, TextIO

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
        self._adding = threading.Lock()
        self.heard: Callable[[Entry], None] = lambda _: None

    def emit(self, record: logging.LogRecord) -> None:
        """Called by logging."""
        self.add(record.created, self.format(record))

    def add(self, seconds: float, text: str) -> None:
        """Keep a line of this time (epoch seconds)."""
        entry = {"t": datetime.fromtimestamp(seconds).isoformat(), "m": f"{text[:ENTRY_CHARACTERS]}\n"}
        with self._adding:
            self._entries.append(entry)
        self.heard(entry)

    def entries(self) -> list[Entry]:
        """The lines that are kept, oldest first."""
        with self._adding:
            return list(self._entries)


class Heard(io.TextIOBase):
    """A text stream whose complete lines are kept in the ring, too: nodes print."""

    def __init__(self, stream: TextIO, ring: LogRing) -> None:
        self._stream = stream
        self._ring = ring
        self._begun = ""
        self._writing = threading.Lock()

    def write(self, text: str) -> int:
        self._stream.write(text)
        with self._writing:
            *lines, begun = (self._begun + text).split("\n")
            self._begun = begun[:ENTRY_CHARACTERS]
        for line in lines:
            self._ring.add(time.time(), line)
        return len(text)

    def flush(self) -> None:
        self._stream.flush()

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return self._stream.isatty()

    def fileno(self) -> int:
        return self._stream.fileno()

    @property
    def encoding(self) -> str:  # type: ignore[override]  # it is read-only in io.TextIOBase, whatever its stub says
        return self._stream.encoding

    @property
    def buffer(self) -> BinaryIO:
        """For those who print bytes; these are not kept."""
        return self._stream.buffer


def terminal_size() -> dict[str, int]:
    """How wide the log is: that of this process's terminal, 80 x 24 without one."""
    size = shutil.get_terminal_size()
    return {"cols": size.columns, "rows": size.lines}


def log_to_stderr(level: str) -> LogRing:
    """Make JSON lines on standard error the only log of this process, beside the ring that is returned.

    The ring keeps what is printed on standard output, too.
    """
    stream = logging.StreamHandler(sys.stderr)
    stream.setFormatter(JsonLines())
    ring = LogRing()
    logging.basicConfig(level=level.upper(), handlers=[stream, ring], force=True)
    logging.captureWarnings(capture=True)
    # A program that was started without standard output has none.
    if sys.stdout is not None:
        sys.stdout = Heard(sys.stdout, ring)
    return ring


def _extra(record: logging.LogRecord) -> Mapping[str, Any]:
    return {key: value for key, value in vars(record).items() if key not in _STANDARD}
