"""The Targets port: opens what a caller wishes for."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from comfyserve.blobs.stream import FOR_EVER
from comfyserve.blobs.targets.added import AddedWriter, storage_of
from comfyserve.blobs.targets.buckets import BucketTarget, BucketWriter, bucket_of, check_bucket
from comfyserve.blobs.targets.hf import HUB, HfWriter, check_hf
from comfyserve.blobs.targets.http import HttpWriter, opened_by, read_prefix
from comfyserve.blobs.targets.outside import Outside
from comfyserve.blobs.targets.told import Told
from comfyserve.core.buckets import Location
from comfyserve.core.credentials import BearerAuth
from comfyserve.core.errors import FetchFailed, FetchRefused, InvalidInput, Place, TargetFailed
from comfyserve.core.own_header import OwnHeader
from comfyserve.core.targets import HfTarget, HttpTarget, StorageTarget, TargetWish
from comfyserve.core.uploads import Uploads
from comfyserve.ports import Storages, Target, TellSystem

CONNECT_SECONDS = 10.0


@dataclass(frozen=True)
class TargetOptions:
    """`folder` keeps files on their way to Hugging Face. `storage_seconds`: how long a target may stand still or owe an
    answer; 0: for ever. `lend_own`: whether a caller without credentials may use the server's for buckets; `hub_token`
    is what such a caller uses for Hugging Face, empty: nothing. `kept` is where the server's own files are. `own` is
    the operator's header for HTTP, `storages` are those that the operator added, `tell` hears of what arrived."""

    folder: Path
    storage_seconds: float = 120.0
    lend_own: bool = False
    hub: str = HUB
    hub_token: str = field(default="", repr=False)
    kept: Location | None = None
    own: OwnHeader | None = None
    storages: Storages = field(default_factory=dict)
    tell: TellSystem | None = None


def check_wish(wish: TargetWish, options: TargetOptions) -> None:
    """Raise InvalidInput for a wish that cannot be, as far as that can be told without asking anybody."""
    if isinstance(wish, HttpTarget):
        opened_by(wish.auth, read_prefix(wish.url_prefix))
    elif isinstance(wish, StorageTarget):
        storage_of(wish, options.storages)
    elif isinstance(wish, HfTarget):
        check_hf(_with_token(wish, options))
    else:
        check_bucket(wish, options.kept)
        if wish.auth is None and not options.lend_own:
            raise InvalidInput(
                "The target needs credentials: give them in target.auth.", place=Place(field="target.auth")
            )


def _with_token(wish: HfTarget, options: TargetOptions) -> HfTarget:
    return wish if wish.auth is not None or not options.hub_token else replace(wish, auth=BearerAuth(options.hub_token))


class OpenTargets:
    """Buckets by obstore, Hugging Face by a child process, HTTP PUT: all under the outbound policy."""

    def __init__(self, outside: Outside, options: TargetOptions) -> None:
        self._outside = outside
        self._options = options
        self._seconds = options.storage_seconds or FOR_EVER
        self.uploads = Uploads()

    @asynccontextmanager
    async def open(self, wish: TargetWish) -> AsyncIterator[Target]:
        """The target, until the context is left. Raises InvalidInput for a wish that cannot be, TargetFailed."""
        check_wish(wish, self._options)
        async with AsyncExitStack() as ending:
            target = await self._open(wish, ending)
            yield target if self._options.tell is None else Told(target, self._options.tell)

    async def _open(self, wish: TargetWish, ending: AsyncExitStack) -> Target:
        if isinstance(wish, StorageTarget):
            return AddedWriter(wish, self._options.storages)
        if isinstance(wish, HttpTarget):
            connect = min(CONNECT_SECONDS, self._seconds)
            session = self._outside.session(connect_seconds=connect, idle_seconds=self._seconds)
            await ending.enter_async_context(session)
            return HttpWriter(wish, self._outside, session, self._seconds, self._options.own)
        if isinstance(wish, HfTarget):
            programs = await ending.enter_async_context(self._outside.programs())
            wish = _with_token(wish, self._options)
            return HfWriter(wish, programs, self._options.folder, self._options.hub, self._seconds)
        return await self._bucket(wish, ending)

    async def _bucket(self, wish: BucketTarget, ending: AsyncExitStack) -> Target:
        try:
            opening = self._outside.bucket(*bucket_of(wish), wish.auth, self._seconds)
            bucket = await ending.enter_async_context(opening)
        except FetchRefused as error:
            raise InvalidInput(error.message, place=Place(field="target.auth")) from None
        except FetchFailed as error:
            raise TargetFailed(error.message, retryable=error.retryable) from None
        return BucketWriter(wish, bucket, self._seconds)
