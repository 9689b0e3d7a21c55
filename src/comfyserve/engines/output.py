"""What an engine process prints: lines of bounded length into the log, the last ones kept for error messages."""

import asyncio
import logging
import re
from collections import deque

import structlog

MAX_LINE_BYTES = 4_096
LAST_LINES = 20
READ_BYTES = 65_536
LINE_END = re.compile(rb"([\r\n]+)")

log = structlog.get_logger("comfyserve.engine")


class Output:
    """Drains a stream so that its writer never blocks."""

    def __init__(self, name: str, *, loud: bool = False) -> None:
        """`loud`: whole lines are logged as info; what ends with a carriage return, a progress bar, never is."""
        self._name = name
        self._loud = loud
        self._last: deque[str] = deque(maxlen=LAST_LINES)

    @property
    def last(self) -> str:
        """The last lines, for people."""
        return "\n".join(self._last)

    async def drain(self, stream: asyncio.StreamReader) -> None:
        """Read to the end."""
        rest = b""
        while chunk := await stream.read(READ_BYTES):
            *lines, rest = LINE_END.split(rest + chunk)
            for line, end in zip(lines[::2], lines[1::2], strict=True):
                self._add(line, whole=b"\n" in end)
            if len(rest) > MAX_LINE_BYTES:
                self._add(rest)
                rest = b""
        self._add(rest)

    def _add(self, line: bytes, *, whole: bool = True) -> None:
        text = line[:MAX_LINE_BYTES].decode(errors="replace").strip()
        if text:
            self._last.append(text)
            level = logging.INFO if self._loud and whole else logging.DEBUG
            log.log(level, "engine.output", engine=self._name, line=text)
