"""The models that an engine has, and new ones under names of the caller's (stateless-comfyui-api.md 1.3, 1.6)."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import structlog

from comfyserve.core.credentials import Auth, Credential
from comfyserve.core.errors import Conflict, InvalidInput, NotFound, Place
from comfyserve.core.file_names import fault_of
from comfyserve.core.kept_names import is_kept_name, without_kept
from comfyserve.core.models import CONFIGS, FILE_KINDS, LISTED_ENDINGS, MODEL_ENDINGS, SAME_FILES, ModelFolders
from comfyserve.core.safetensors import is_safetensors
from comfyserve.ports import Engine, Fetch, Fetched, OfferedModel

MAX_FILENAME = 200
"""Bytes; file systems take 255, and a copy has a longer name while it is made."""

SAFETENSORS = ".safetensors"
GGUF = "gguf"

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class ModelOrder:
    """A model that a caller wants in a model folder, under a name of its own; without one, under that of the answer."""

    url: str
    folder: str
    filename: str
    auth: Auth | None = None


@dataclass(frozen=True)
class ModelArrived:
    """A model is there: its name in the folder, its bytes, and the seconds that it took."""

    filename: str
    size: int
    seconds: float


OnDisk = Callable[[Collection[str]], Awaitable[ModelFolders]]
"""The folders of models, but for these kinds, with the names of the files in each."""


async def nothing_on_disk(told: Collection[str]) -> Mapping[str, Sequence[str]]:
    """For an engine whose folders are out of reach."""
    return {}


class ModelFiles:
    """Lists the engine's models and brings new ones. `clock` gives seconds that never go back."""

    def __init__(
        self, fetch: Fetch, engine: Engine, *, clock: Callable[[], float], on_disk: OnDisk = nothing_on_disk
    ) -> None:
        self._fetch = fetch
        self._engine = engine
        self._clock = clock
        self._on_disk = on_disk
        self._one_at_a_time = asyncio.Lock()

    async def models(self) -> Mapping[str, Sequence[str]]:
        """Kind -> names: what the engine offers, and the folders of models that it does not tell of. The names of files
        in the download cache are not among them. Raises EngineLost."""
        told = await self._engine.model_folders()
        shown: Mapping[str, Sequence[str]] = without_kept({**told, **await self._on_disk(told.keys())})
        return shown

    async def check(self, order: ModelOrder) -> None:
        """Raise InvalidInput for a name that cannot be or a kind of model that the engine does not have."""
        await self._kind_of(order)

    async def download(self, order: ModelOrder) -> ModelArrived:
        """Fetch the file, by the download cache, and offer it to the engine, whose lists show it then.

        A name that has no ending of a model gets that of the answer. A name belongs to the file that has it first: a
        request for another file under it raises Conflict, and changes nothing. Raises InvalidInput, FetchRefused,
        FetchFailed, TooLarge, StorageFailed, EngineError, EngineLost.
        """
        began = self._clock()
        kind, told = await self._kind_of(order)
        credentials = () if order.auth is None else (Credential(order.url, order.auth),)
        async with self._fetch.fetch(order.url, purpose="model", credentials=credentials) as fetched:
            name = await asyncio.to_thread(_named, order, kind, fetched)
            async with self._one_at_a_time:
                offered = await self._engine.add_model(_listing(kind, name, told), name, fetched.path, exact=True)
            await self._remember(fetched, offered)
            return ModelArrived(offered.name, fetched.size, self._clock() - began)

    async def _kind_of(self, order: ModelOrder) -> tuple[str, ModelFolders]:
        """The engine's word for the kind, and its lists."""
        _check_name(order.filename)
        told = await self._engine.model_folders()
        kind = order.folder if order.folder in told else SAME_FILES.get(order.folder, order.folder)
        if kind not in told:
            sentence = f"Unknown model type: {order.folder}. Available types: {', '.join(told)}"
            raise InvalidInput(sentence, place=Place(field="model_type"))
        return kind, told

    async def _remember(self, fetched: Fetched, offered: OfferedModel) -> None:
        """Have the link removed when the file is evicted."""
        if offered.link is None:
            return
        try:
            await self._fetch.link(fetched.path, offered.link)
        except (NotFound, Conflict) as error:
            log.warning("model_link_not_kept", link=offered.link.name, error=error.message)


def _check_name(name: str) -> None:
    fault = fault_of(name)
    if fault is None and ("/" in name or name.startswith(".")):
        fault = "is the name of one file, without folders, that does not begin with a dot"
    if fault is None and len(name.encode()) > MAX_FILENAME:
        fault = f"has more than {MAX_FILENAME} bytes"
    if fault is None and is_kept_name(name):
        fault = "looks like the name of a file in the download cache; choose another"
    if fault is not None:
        raise InvalidInput(f"filename {fault}.", place=Place(field="filename"))


def _listing(kind: str, name: str, told: ModelFolders) -> str:
    """The kind whose list shows a file: node packs list .gguf files of ComfyUI's folders under kinds of their own."""
    same = (other for other, one in SAME_FILES.items() if one == kind and other.endswith(GGUF) and other in told)
    return next(same, kind) if name.lower().endswith(f".{GGUF}") else kind


def _named(order: ModelOrder, kind: str, fetched: Fetched) -> str:
    """The name in the engine's folder, with an ending that its list shows. Raises InvalidInput, OSError."""
    name = order.filename or fetched.filename
    if fetched.is_folder:
        if kind in {*FILE_KINDS, CONFIGS}:
            raise InvalidInput("The url is that of a repository; give that of one file.", place=Place(field="url"))
        return name
    own, told = PurePosixPath(name).suffix.lower(), PurePosixPath(fetched.filename).suffix.lower()
    if own in MODEL_ENDINGS or (own and kind not in FILE_KINDS):
        return name
    if is_safetensors(fetched.path):
        return f"{name}{SAFETENSORS}"
    return f"{name}{told}" if told in LISTED_ENDINGS or (told and not own) else name
