"""POST /download: a model from an address into a folder of models (stateless-comfyui-api.md section 1.6)."""

import asyncio
import re
from typing import Any, Literal
from urllib.parse import urlsplit, urlunsplit

import structlog
import uuid_utils
from fastapi import APIRouter, FastAPI, Request
from pydantic import BaseModel, Field, field_validator
from pydantic_core import PydanticCustomError

from comfyserve.apis.http.events import Slots, unless_closed
from comfyserve.apis.http.routing import ApiRoute
from comfyserve.apis.stateless.bodies import JsonAnswer, documented, read_body
from comfyserve.apis.stateless.options import SignedIn, StatelessOptions, stateless_of
from comfyserve.apis.stateless.shapes import DownloadAuth, Part
from comfyserve.core.addresses import is_url, is_web_address, public_name
from comfyserve.core.credentials import read_auth
from comfyserve.core.errors import (
    Conflict,
    DomainError,
    EngineError,
    FetchFailed,
    FetchRefused,
    InvalidInput,
    NotFound,
    QueueFull,
    StorageFailed,
    TooLarge,
)
from comfyserve.core.limits import MAX_URL
from comfyserve.core.logins import split_login
from comfyserve.services.model_files import ModelArrived, ModelOrder
from comfyserve.services.system_events import SystemEvent

router = APIRouter(tags=["models"], route_class=ApiRoute)
log = structlog.get_logger(__name__)

AT_ONCE = 4
"""Downloads of models at the same time; the rest wait for their turn."""

MAX_UNDER_WAY = 100
"""Downloads under way or waiting; one more is refused."""

RETRY_AFTER = 30
DOWNLOAD_FAILED = "download_failed"
REFUSALS = (Conflict, EngineError, FetchFailed, FetchRefused, InvalidInput, NotFound, TooLarge)
"""What the caller can change: answered 400, whatever it is elsewhere."""

_ABSOLUTE = re.compile(r"[a-z][a-z0-9+.-]*:.", re.IGNORECASE)


class DownloadBody(Part):
    """Which model, and where it shall lie."""

    url: str = Field(max_length=MAX_URL, description="Where the file is: http, https, s3, Azure, gs or Hugging Face.")
    model_type: str = Field(description="A folder of models, such as `checkpoints`; GET /models names them.")
    filename: str | None = Field(None, description="By default the last part of the address.")
    wait: bool = Field(False, description="Answer when the file is there, and not at once.")
    auth: DownloadAuth | None = Field(None, repr=False)

    @field_validator("url")
    @classmethod
    def _is_absolute(cls, url: str) -> str:
        if _ABSOLUTE.match(url) is None or _name_in(url) is None:
            raise PydanticCustomError("url", "Invalid url")
        if urlsplit(url).scheme in ("http", "https") and not is_web_address(url):
            raise PydanticCustomError("url", "Invalid url")
        return url


class Downloaded(BaseModel):
    """What was begun, or is done; `size` in bytes, `duration` in seconds."""

    url: str
    model_type: str
    filename: str
    status: Literal["started", "completed"]
    size: int | None = None
    duration: float | None = None


class Refused(BaseModel):
    """Why the file cannot be had."""

    error: str


class Downloads:
    """The downloads of one server: a few at once, a bounded number in all. They end when it stops; what was promised
    is kept, and begun again by the next one."""

    def __init__(self, options: StatelessOptions, slots: Slots) -> None:
        self._options = options
        self._slots = slots
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._waiting = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def bring(self, order: ModelOrder) -> ModelArrived:
        """Download now. Raises QueueFull, and what the download raises."""
        self._check_room()
        self._waiting += 1
        try:
            return await self._in_turn(order)
        finally:
            self._waiting -= 1

    async def promise(self, order: ModelOrder) -> None:
        """Download in the background, also after a kill: a failure is logged, and told to the system's webhook. Raises
        QueueFull, StorageFailed."""
        self._check_room()
        name = uuid_utils.uuid7().hex
        self._waiting += 1
        try:
            await self._keep(name, order)
        finally:
            self._waiting -= 1
        self._begin(name, order)

    async def go_on(self) -> None:
        """Begin again what a server before this one had promised."""
        if self._options.orders is None:
            return
        try:
            left = await self._options.orders.left()
        except OSError:
            log.exception("model_orders_not_read")
            return
        for name, order in left:
            log.info("model_download_begun_again", model_type=order.folder, filename=order.filename)
            self._begin(name, order)

    def _begin(self, name: str, order: ModelOrder) -> None:
        task = asyncio.create_task(self._in_background(name, order))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _keep(self, name: str, order: ModelOrder) -> None:
        if self._options.orders is None:
            return
        try:
            await self._options.orders.keep(name, order)
        except OSError as error:
            raise StorageFailed(f"The order cannot be kept: {error.strerror or type(error).__name__}.") from error

    async def settled(self) -> None:
        """Return when nothing is under way in the background."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    def _check_room(self) -> None:
        under_way = self._waiting + len(self._tasks)
        if under_way >= MAX_UNDER_WAY:
            raise QueueFull(f"{under_way} downloads are under way. Try again soon.", retry_after=RETRY_AFTER)

    async def _in_turn(self, order: ModelOrder) -> ModelArrived:
        async with self._turns:
            return await self._options.download(order)

    async def _in_background(self, name: str, order: ModelOrder) -> None:
        ended = await unless_closed(self._slots, self._to_its_end(order))
        if ended and self._options.orders is not None:
            await self._options.orders.forget(name)

    async def _to_its_end(self, order: ModelOrder) -> bool:
        """Download, and tell how it went; True."""
        named = {"model_type": order.folder, "filename": order.filename}
        try:
            arrived = await self._in_turn(order)
        except DomainError as error:
            self._tell_failure(order, error.message)
        except Exception:
            log.exception("model_not_downloaded", source=public_name(order.url), **named)
            self._tell_failure(order, "The server's log says why.")
        else:
            log.info("model_downloaded", size=arrived.size, seconds=round(arrived.seconds, 3), **named)
        return True

    def _tell_failure(self, order: ModelOrder, problem: str) -> None:
        facts = {"model_type": order.folder, "filename": order.filename, "error": problem}
        log.error("model_download_failed", source=public_name(order.url), **facts)
        self._options.tell(SystemEvent("storage", DOWNLOAD_FAILED, {"url": _without_query(order.url), **facts}))


def downloads_of(app: FastAPI) -> Downloads:
    """The downloads of an app."""
    state = app.state
    if not hasattr(state, "downloads"):
        state.downloads = Downloads(state.stateless, state.context.slots)
    found: Downloads = state.downloads
    return found


@router.post(
    "/download",
    summary="Download Model",
    openapi_extra=documented(DownloadBody),
    response_model=Downloaded,
    responses={202: {"model": Downloaded}, 400: {"model": Refused}},
)
async def download(request: Request, caller: SignedIn) -> JsonAnswer:
    """Download a model into a folder of models. 202 at once, or with `wait` 200 when it is there."""
    body = await read_body(request, DownloadBody)
    try:
        order = await _order(stateless_of(request), body)
        if body.wait:
            return JsonAnswer(_completed(body, await downloads_of(request.app).bring(order)))
    except REFUSALS as error:
        return JsonAnswer({"error": _sentence(error)}, 400)
    await downloads_of(request.app).promise(order)
    return JsonAnswer(_told(body, order.filename, "started"), 202)


def shown(url: str) -> str:
    """An address as it may be told: without user and password."""
    return split_login(url)[0]


async def _order(options: StatelessOptions, body: DownloadBody) -> ModelOrder:
    """What is to be fetched. Raises InvalidInput."""
    if not is_url(body.url):
        raise InvalidInput(f"No storage provider found for URL: {shown(body.url)}")
    auth = None if body.auth is None else read_auth(body.auth.model_dump(exclude_none=True))
    order = ModelOrder(body.url, body.model_type, body.filename or _name_in(body.url) or "", auth)
    await options.check_model(order)
    return order


def _without_query(url: str) -> str:
    """An address as the system's webhook is told of it: tokens often stand in queries."""
    return urlunsplit(urlsplit(shown(url))._replace(query="", fragment=""))


def _sentence(error: DomainError) -> str:
    return f"Error downloading file: {error.message}" if isinstance(error, FetchFailed) else error.message


def _completed(body: DownloadBody, arrived: ModelArrived) -> dict[str, Any]:
    return _told(body, arrived.filename, "completed") | {"size": arrived.size, "duration": arrived.seconds}


def _told(body: DownloadBody, filename: str, status: str) -> dict[str, Any]:
    return {"url": shown(body.url), "model_type": body.model_type, "filename": filename, "status": status}


def _name_in(url: str) -> str | None:
    """The last part of an address's path, as it is written; None for what is no URL."""
    try:
        return urlsplit(url).path.rpartition("/")[2]
    except ValueError:
        return None
