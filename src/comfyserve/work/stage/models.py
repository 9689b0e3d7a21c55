"""Bring the models that a graph names by URL into the engine's folders, without copying them."""

import asyncio
import base64
import hashlib
import hmac
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import structlog

from comfyserve.core.errors import Conflict, DomainError, EngineLost, InvalidInput, NotFound, Place, StorageFailed
from comfyserve.core.graph import Graph
from comfyserve.core.kept_names import KEY_LENGTH
from comfyserve.core.models import (
    CONFIGS,
    FILE_KINDS,
    LISTED_ENDINGS,
    REPOSITORIES,
    TOKEN_FIELD,
    ModelPlace,
    credentials_for,
)
from comfyserve.core.safetensors import is_safetensors
from comfyserve.ports import Claim, Engine, Fetch, Fetched
from comfyserve.work.stage.holding import Holding

SAFETENSORS = ".safetensors"

log = structlog.get_logger(__name__)


class Models:
    """Fetches models, which stay pinned for the attempt, and offers them to the engine.

    The name of one is made of its address. Where credentials opened it a secret goes into it: who knows the address,
    and has no credentials, cannot name the model that is in the engine's folder all the same. It is the same name each
    time, so that the engine need not load the model anew.
    """

    def __init__(self, engine: Engine, fetch: Fetch, names_key: bytes) -> None:
        self._engine = engine
        self._fetch = fetch
        self._names_key = names_key

    async def bring(self, claim: Claim, place: ModelPlace, holding: Holding) -> str:
        """The name that the engine has for one model. Every error has its place."""
        try:
            fetched = await self._fetched(claim, place, holding)
            name = PurePosixPath(await asyncio.to_thread(_name, fetched, place))
            if fetched.private:
                name = name.with_stem(self._secret_stem(fetched.path.name))
            offered = await self._engine.add_model(place.folder, name.name, fetched.path)
            if offered.link is not None:
                await self._remember(fetched.path, offered.link)
            return offered.name
        except EngineLost:
            raise
        except DomainError as error:
            error.place = Place(node_id=place.node_id, field=place.label)
            raise
        except OSError as error:
            raise StorageFailed(f"The download cache did not give a model: {error.strerror}.") from error

    def _secret_stem(self, key: str) -> str:
        digest = hmac.new(self._names_key, key.encode(), hashlib.sha256).digest()
        return base64.urlsafe_b64encode(digest).decode()[:KEY_LENGTH]

    async def _fetched(self, claim: Claim, place: ModelPlace, holding: Holding) -> Fetched:
        told, arrived = holding.reports.watch(place.label, place.url) if holding.reports else (None, None)

        def on_bytes(received: int, total: int | None) -> None:
            holding.arriving()
            if told is not None:
                told(received, total)

        credentials = credentials_for(claim.graph, place, claim.options.credentials)
        fetched = await holding.pins.enter_async_context(
            self._fetch.fetch(place.url, purpose="model", credentials=credentials, on_bytes=on_bytes)
        )
        if arrived is not None:
            arrived(fetched)
        return fetched

    async def _remember(self, path: Path, link: Path) -> None:
        """Have the link removed when the file is evicted; a link that stays then leads nowhere, and is replaced."""
        try:
            await self._fetch.link(path, link)
        except (NotFound, Conflict) as error:
            log.warning("model_link_not_kept", link=link.name, error=error.message)


def changes_of(graph: Graph, places: Sequence[ModelPlace], names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The fields that name these models, with the engine's names; a token that opened one has done its work."""
    changes: dict[str, dict[str, Any]] = {}
    for place, name in zip(places, names, strict=True):
        fields = changes.setdefault(place.node_id, {})
        fields[place.field] = name
        if TOKEN_FIELD in graph.nodes[place.node_id].inputs:
            fields[TOKEN_FIELD] = ""
    return changes


def _name(fetched: Fetched, place: ModelPlace) -> str:
    """The name of the cache's own file, with an ending that the engine's list shows."""
    if place.folder == REPOSITORIES and not fetched.is_folder:
        raise InvalidInput(f"{place.label} needs the address of a repository, such as hf://owner/name.")
    if place.folder in {*FILE_KINDS, CONFIGS} and fetched.is_folder:
        raise InvalidInput(f"{place.label} is the address of a repository; give that of one file.")
    name = PurePosixPath(fetched.path.name)
    own, told = name.suffix.lower(), PurePosixPath(fetched.filename).suffix.lower()
    if place.folder not in FILE_KINDS:
        return f"{name.stem}{told}" if told and not own and not fetched.is_folder else name.name
    if own != SAFETENSORS and is_safetensors(fetched.path):
        return f"{name.stem}{SAFETENSORS}"
    return f"{name.stem}{told}" if own not in LISTED_ENDINGS and told in LISTED_ENDINGS else name.name
