"""Model files of a manifest: fetched through the cache, and linked to where they shall lie."""

import asyncio
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import structlog

from comfyserve.core.errors import Conflict, DomainError, InvalidInput, Place
from comfyserve.core.redaction import without_logins
from comfyserve.ports import Fetch, Fetched, SystemEvent, TellSystem
from comfyserve.provision.manifest import ModelFile
from comfyserve.provision.programs import ProvisionFailed

log = structlog.get_logger(__name__)

MODELS = "models"


class ManifestModels:
    """Brings model files to their places. A relative path counts from `home`, the ComfyUI's folder, which was the
    working directory in the original's images; what it has below `models` lies in `models`, wherever that is."""

    def __init__(self, fetch: Fetch, home: Path, models: Path) -> None:
        self._fetch = fetch
        self._home = home
        self._models = models

    def check(self, files: Sequence[ModelFile], field: str) -> None:
        """Raise InvalidInput for a path that leaves its folder."""
        for index, file in enumerate(files):
            try:
                self.place_of(file)
            except InvalidInput as error:
                named = f"{field}[{index}].local_path"
                raise InvalidInput(f"{named} {error.message}", place=Place(field=named)) from error

    def place_of(self, file: ModelFile) -> Path:
        """Where a file shall lie. Raises InvalidInput."""
        path = PurePosixPath(file.local_path)
        if ".." in path.parts:
            raise InvalidInput(f"leaves its folder with ..: {file.local_path!r}.")
        if not path.name:
            raise InvalidInput(f"names no file: {file.local_path!r}.")
        if path.is_absolute():
            return Path(path)
        if path.parts[0] == MODELS:
            return self._models.joinpath(*path.parts[1:])
        return self._home / path

    async def bring(self, file: ModelFile) -> None:
        """Fetch a file, and link it; what lies there already stays. Raises ProvisionFailed."""
        place, url = self.place_of(file), _public(file.url)
        is_folder = file.local_path.endswith("/") or (place.is_dir() and not place.is_symlink())
        if not is_folder and _is_somebodys(place):
            log.info("model_is_there", path=str(place))
            return
        try:
            async with self._fetch.fetch(file.url, purpose="model") as fetched:
                await self._link(fetched, place / fetched.filename if is_folder else _named(place, fetched))
        except DomainError as error:
            raise ProvisionFailed(f"The model {file.local_path} from {url}: {error.message}") from error

    async def _link(self, fetched: Fetched, place: Path) -> None:
        _clear(place)
        try:
            await self._fetch.link(fetched.path, place)
        except Conflict:
            log.warning("model_not_replaced", path=str(place), hint="remove it to have the one of the manifest")
            return
        log.info("model_linked", path=str(place), size=fetched.size, cached=fetched.cached)


class AfterStart:
    """Model files that come in the background, one after the other. One that fails is logged, told as the system event
    `storage.download_failed` and in `failures`, and the next begins."""

    def __init__(self, models: ManifestModels, files: Sequence[ModelFile], tell: TellSystem) -> None:
        self.failures: dict[str, str] = {}
        """Path -> the sentence that says why it is not there."""
        self._models = models
        self._files = files
        self._tell = tell
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Begin, once."""
        if self._task is None and self._files:
            self._task = asyncio.create_task(self._bring())

    async def ended(self) -> None:
        """Return when all are there, or have failed."""
        if self._task is not None:
            await asyncio.wait({self._task})

    async def close(self) -> None:
        """Stop; what has arrived of a download is kept for the next start."""
        if self._task is not None:
            self._task.cancel()
            await self.ended()

    async def _bring(self) -> None:
        for file in self._files:
            try:
                await self._models.bring(file)
            except ProvisionFailed as error:
                self._failed(file, error.message)
            except Exception as error:
                log.exception("model_failed_oddly", path=file.local_path)
                self._failed(file, f"The model {file.local_path}: {type(error).__name__}.")

    def _failed(self, file: ModelFile, sentence: str) -> None:
        self.failures[file.local_path] = sentence
        log.error("model_not_fetched", path=file.local_path, reason=sentence)
        data = {"url": _public(file.url), "local_path": file.local_path, "error": sentence}
        self._tell(SystemEvent("storage", "download_failed", data))


def _public(url: str) -> str:
    """An address without what may be secret in it."""
    return without_logins(url.partition("?")[0])


def _clear(place: Path) -> None:
    """Remove a link that leads nowhere."""
    if place.is_symlink() and not place.exists():
        place.unlink()


def _is_somebodys(place: Path) -> bool:
    """Whether something lies there that is no link: an operator has put it there."""
    return place.exists() and not place.is_symlink()


def _named(place: Path, fetched: Fetched) -> Path:
    """A file without an ending is no model to ComfyUI; it gets that of the file that came."""
    ending = PurePosixPath(fetched.filename).suffix
    return place if place.suffix or fetched.is_folder else place.with_name(place.name + ending)
