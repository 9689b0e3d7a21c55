"""An engine that runs elsewhere: a ComfyUI at a URL."""

import asyncio
from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from comfyserve.core.errors import EngineLost, InvalidInput
from comfyserve.engines.client import NO_ENTRY, ComfyClient, Patience
from comfyserve.engines.folders import Folders
from comfyserve.engines.models import MODELS
from comfyserve.ports import TellSystem

READY_SECONDS = 30.0
READY_DELAYS = (0.1, 0.25, 0.5, 1.0, 2.0)


def split_login(url: str) -> tuple[str, dict[str, str]]:
    """An address without the user and password in it, and the header that stands for them (RFC 7617): addresses are
    logged and shown. Raises InvalidInput."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    address = urlunsplit(parts._replace(netloc=host))
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InvalidInput(f"{address!r} is no address of a ComfyUI; it should look like http://host:8188.")
    if parts.username is None:
        return address, {}
    login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return address, {"Authorization": f"Basic {b64encode(login.encode()).decode()}"}


class RemoteEngine(ComfyClient):
    """A ComfyUI that is not ours: it is waited for, and neither started, stopped nor tidied. Build it in a loop.

    The address is the operator's and is trusted; `headers` go with every request, for a proxy that wants a key.
    `models` is its folder of models when that is mounted on this machine.
    """

    def __init__(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        models: Path | None = None,
        patience: Patience | None = None,
        tell: TellSystem | None = None,
        ready_seconds: float = READY_SECONDS,
    ) -> None:
        address, login = split_login(url)
        mounted = None if models is None else Folders(models, {MODELS: models})
        super().__init__(address, models=mounted, headers={**login, **(headers or {})}, patience=patience, tell=tell)
        self._ready_seconds = ready_seconds

    async def ready(self) -> None:
        """Wait until it answers. Raises EngineLost when it does not within `ready_seconds`, or lets nobody in."""
        loop = asyncio.get_running_loop()
        until = loop.time() + self._ready_seconds
        tries = 0
        while True:
            try:
                await super().ready()
            except EngineLost as error:
                if error.details.get("status") in NO_ENTRY:
                    raise
                delay = READY_DELAYS[min(tries, len(READY_DELAYS) - 1)]
                if loop.time() + delay > until:
                    raise EngineLost(f"{error.message} Is ComfyUI running there?") from error
                await asyncio.sleep(delay)
                tries += 1
            else:
                return
