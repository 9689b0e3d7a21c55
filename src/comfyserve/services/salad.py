"""What SaladCloud gives to its instances and wants to know of them (stateless-comfyui-api.md, section 4.4)."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus

import structlog

from comfyserve.services.depth import Depth

META = "SYSTEM_META_"
VARIABLES = (
    "SALAD_ORGANIZATION_NAME",
    "SALAD_ORGANIZATION_ID",
    "SALAD_PROJECT_NAME",
    "SALAD_PROJECT_ID",
    "SALAD_CONTAINER_GROUP_NAME",
    "SALAD_CONTAINER_GROUP_ID",
    "SALAD_INSTANCE_ID",
    "SALAD_MACHINE_ID",
)
METADATA_URL = "http://169.254.169.254/v1/deletion-cost"
PAUSE = 1.0
"""Seconds between two messages at least."""

AGAIN = 5.0
"""Seconds until a message that was not taken is sent again."""

Put = Callable[[str, bytes, Mapping[str, str]], Awaitable[int]]
"""Puts a body at an address, with headers; the status of the answer."""

log = structlog.get_logger(__name__)


def is_on_salad(environment: Mapping[str, str]) -> bool:
    """Whether this process runs on SaladCloud."""
    return any(environment.get(name) for name in VARIABLES)


def system_metadata(environment: Mapping[str, str]) -> dict[str, str]:
    """The metadata of system events: `SYSTEM_META_<key>` as `<key>`, and what SaladCloud says of the instance."""
    own = {name.removeprefix(META): value for name, value in environment.items() if name.startswith(META) and value}
    return own | {name.lower(): environment[name] for name in VARIABLES if environment.get(name)}


class DeletionCost:
    """Tells SaladCloud how much would be lost with this instance: as many runs as have not ended."""

    def __init__(
        self, put: Put, depth: Depth, *, url: str = METADATA_URL, pause: float = PAUSE, again: float = AGAIN
    ) -> None:
        self._put = put
        self._depth = depth
        self._url = url
        self._pause = pause
        self._again = again

    async def run(self) -> None:
        """Tell every change until cancelled, each until it is taken: an instance that has nothing to do any more must
        not look expensive for ever."""
        told: int | None = None
        while True:
            number = await self._depth.other_than(told)
            told = number if await self._taken(number) else None
            await asyncio.sleep(self._pause if told is not None else self._again)

    async def _taken(self, number: int) -> bool:
        body = json.dumps({"deletion_cost": number}).encode()
        try:
            status = await self._put(self._url, body, {"Metadata": "true", "Content-Type": "application/json"})
        except Exception as error:
            log.debug("deletion_cost_not_told", problem=str(error))
            return False
        if status >= HTTPStatus.MULTIPLE_CHOICES:
            log.debug("deletion_cost_not_told", status=status)
            return False
        return True
