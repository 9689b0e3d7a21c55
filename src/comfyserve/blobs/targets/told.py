"""Uploads that the operator hears of (stateless-comfyui-api.md section 4.4)."""

import time

from comfyserve.ports import ByteStream, SystemEvent, Target, TellSystem


class Told:
    """A Target that tells of every file that arrived there."""

    def __init__(self, target: Target, tell: TellSystem) -> None:
        self._target = target
        self._tell = tell

    @property
    def at_once(self) -> int:
        """As the target's."""
        return self._target.at_once

    def address(self, name: str) -> str:
        """As the target's."""
        return self._target.address(name)

    async def put(self, name: str, content: ByteStream, *, size: int, mime: str) -> str:
        """As the target's; `local_path` is the name of the output, whose file is in our own storage."""
        began = time.monotonic()
        url = await self._target.put(name, content, size=size, mime=mime)
        data = {"url": url, "local_path": name, "size": size, "duration": round(time.monotonic() - began, 3)}
        self._tell(SystemEvent("storage", "file_uploaded", data))
        return url
