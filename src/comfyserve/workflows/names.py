"""What a workflow may know of its surroundings: names of the engine, the warm-up checkpoint, public settings."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, TypeVar

from comfyserve.core.catalogue import Catalogue, field_spec
from comfyserve.core.errors import InvalidInput

T = TypeVar("T")
Clock = Callable[[], float]

logger = logging.getLogger(__name__)

SAMPLER_CLASS, SAMPLER_FIELD, SCHEDULER_FIELD = "KSampler", "sampler_name", "scheduler"
"""The node whose choices are the engine's samplers and schedulers, those of node packs included."""
CHECKPOINTS = "checkpoints"
NAMES_SECONDS = 2.0
"""How long names are taken as known; a name that is refused is looked up anew before the caller hears of it."""


@dataclass(frozen=True)
class Surroundings:
    """The names the engine has; None: not known, so nothing is checked against them."""

    samplers: tuple[str, ...] | None = None
    schedulers: tuple[str, ...] | None = None
    models: Mapping[str, tuple[str, ...]] | None = None
    warmup_ckpt: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)

    def model_names(self, folder: str) -> tuple[str, ...] | None:
        """The models of a folder, or None when models are not known; a folder that the engine lacks is empty."""
        return None if self.models is None else self.models.get(folder, ())

    def first_model(self, folder: str) -> str | None:
        """What is taken when the caller names none: the warm-up checkpoint, else the folder's first model."""
        if folder == CHECKPOINTS and self.warmup_ckpt:
            return self.warmup_ckpt
        return next(iter(self.model_names(folder) or ()), None)


_current: ContextVar[Surroundings | None] = ContextVar("surroundings_of_a_workflow", default=None)
NOWHERE = Surroundings()


def surroundings() -> Surroundings:
    """Those of the workflow that is being loaded, read or run; outside of one nothing is known."""
    return _current.get() or NOWHERE


@contextmanager
def within(these: Surroundings) -> Iterator[None]:
    """Let `surroundings()` be these inside the block."""
    token = _current.set(these)
    try:
        yield
    finally:
        _current.reset(token)


@dataclass(frozen=True)
class WorkflowContext:
    """What the program behind lends to workflows. `catalogue` (an answer of /object_info) and `models` (folder ->
    names) may raise while the engine is away. `settings` must hold no secret: workflow files read it. `markdown`:
    whether descriptions carry a table of the inputs. `node`: the Node program; empty: it is looked for. `variables`:
    the names of ours that files in Node may read."""

    catalogue: Callable[[], Awaitable[Catalogue]] | None = None
    models: Callable[[], Awaitable[Mapping[str, Sequence[str]]]] | None = None
    warmup_ckpt: Callable[[], str | None] = lambda: None
    settings: Mapping[str, Any] = field(default_factory=dict)
    markdown: bool = True
    node: str = ""
    variables: Collection[str] = ()


class KnownNames:
    """The surroundings, asked of the engine at most every `NAMES_SECONDS`."""

    def __init__(self, context: WorkflowContext, clock: Clock = time.monotonic) -> None:
        self._context = context
        self._clock = clock
        self._lock = asyncio.Lock()
        self._asked_at: float | None = None
        self.latest = Surroundings(warmup_ckpt=context.warmup_ckpt(), settings=context.settings)

    async def now(self, *, fresh: bool = False) -> Surroundings:
        """The surroundings; `fresh` asks the engine in any case. What it does not tell stays as it was."""
        began = self._clock()
        async with self._lock:
            asked = self._asked_at
            if asked is None or (asked < began if fresh else asked + NAMES_SECONDS < began):
                self.latest = await self._ask()
                self._asked_at = self._clock()
            return self.latest

    async def tried(self, use: Callable[[Surroundings], Awaitable[T]]) -> T:
        """What `use` gives; when it refuses a value and the names have changed meanwhile, it is tried once more."""
        known = await self.now()
        try:
            return await use(known)
        except InvalidInput:
            fresh = await self.now(fresh=True)
            if fresh == known:
                raise
        return await use(fresh)

    async def _ask(self) -> Surroundings:
        catalogue = await self._told("nodes", self._context.catalogue)
        models = await self._told("models", self._context.models)
        return Surroundings(
            samplers=_choices(catalogue, SAMPLER_FIELD) or self.latest.samplers,
            schedulers=_choices(catalogue, SCHEDULER_FIELD) or self.latest.schedulers,
            models=self.latest.models if models is None else {name: tuple(known) for name, known in models.items()},
            warmup_ckpt=self._context.warmup_ckpt(),
            settings=self._context.settings,
        )

    async def _told(self, what: str, ask: Callable[[], Awaitable[T]] | None) -> T | None:
        if ask is None:
            return None
        try:
            return await ask()
        except Exception as error:
            # Whatever is wrong with the engine is told by the run; here it only means that names are unchecked.
            logger.debug("the engine did not tell its %s: %s", what, error)
            return None


def _choices(catalogue: Catalogue | None, name: str) -> tuple[str, ...] | None:
    spec = field_spec(catalogue, SAMPLER_CLASS, name)
    return tuple(map(str, spec.listed)) if spec is not None and spec.listed else None
