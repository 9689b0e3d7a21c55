"""What an engine process prints: lines of bounded length into the log, the last ones kept for error messages."""

import asyncio
import re
from collections import deque

import structlog

MAX_LINE_BYTES = 4_096
LAST_LINES = 20
READ_BYTES = 65_536
LINE_END = re.compile(rb"[\r\n]+")

log = structlog.get_logger("comfyserve.engine")


class Output:
    """Drains a stream so that its writer never blocks."""

    def __init__(self, name: str) -> None:
        self._name = name
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
            for line in lines:
                self._add(line)
            if len(rest) > MAX_LINE_BYTES:
                self._add(rest)
                rest = b""
        self._add(rest)

    def _add(self, line: bytes) -> None:
        text = line[:MAX_LINE_BYTES].decode(errors="replace").strip()
        if text:
            self._last.append(text)
            log.debug("engine.output", engine=self._name, line=text)
