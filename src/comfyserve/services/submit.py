"""Submit: from a caller's values to a queued run."""

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from comfyserve.core.addresses import tells_address
from comfyserve.core.catalogue import check_classes
from comfyserve.core.conversion import Conversion, read_conversion
from comfyserve.core.credentials import AzureAuth, GcsAuth, S3Auth
from comfyserve.core.errors import Conflict, FetchRefused, InvalidInput, NotFound, Place, QueueFull
from comfyserve.core.graph import Graph, parse_graph
from comfyserve.core.inputs.bind import Bound, bind
from comfyserve.core.inputs.declare import Input, declare
from comfyserve.core.inputs.seeds import Draw, randomise_seeds
from comfyserve.core.limits import LEAST_PRIORITY, MAX_URL, MOST_PRIORITY
from comfyserve.core.logins import lift_logins
from comfyserve.core.options import RunOptions
from comfyserve.core.runs import FINAL, Status
from comfyserve.core.targets import HttpTarget, TargetWish
from comfyserve.db import assets, deployments, runs
from comfyserve.db.database import Database
from comfyserve.db.rows import Row
from comfyserve.ports import Bell, machine_topic
from comfyserve.services.checks import check_json, check_text
from comfyserve.services.door import Door
from comfyserve.services.forms import EditorForms
from comfyserve.services.graphs import Graphs, narrowed
from comfyserve.services.machines import Catalogue, Machines, find_machine
from comfyserve.services.media import MediaStore, SettledMedia
from comfyserve.services.options import digest_of, kept, kept_wish
from comfyserve.services.records import Caller, RunView, SubmitRequest, WebhookWish
from comfyserve.services.runs import Runs
from comfyserve.services.sealing import Sealing
from comfyserve.services.spooled import fingerprinted
from comfyserve.services.topics import DELIVERIES, DEPTH
from comfyserve.services.views import run_view

FAILURES = FINAL - {Status.SUCCESS}
PRIORITIES = range(LEAST_PRIORITY, MOST_PRIORITY + 1)
NO_OPTIONS = RunOptions()
NO_PART_OF_THE_WISH = frozenset({"idempotency_key", "reuse", "memo", "options", "spooled", "asked"})
MAX_WEBHOOKS = 8
RETRY_AFTER = 5
"""Seconds that a caller is asked to wait when the queue is full."""


@dataclass(frozen=True)
class SubmitLimits:
    """Bounds of one submit: waiting runs of a machine, attempts of a run, bytes of a graph's or inputs' JSON.

    `no_conversion`: why no run can have its pictures converted; empty where runs can. `check_target` raises
    InvalidInput for a target that cannot be, `check_address` FetchRefused for an address that is never called."""

    max_queued: int
    max_attempts: int
    graph_bytes: int
    inputs_bytes: int
    no_conversion: str = ""
    check_target: Callable[[TargetWish], None] = lambda wish: None
    check_address: Callable[[str], object] = lambda url: None


@dataclass(frozen=True)
class _Target:
    """What shall run, and where."""

    graph: Graph
    inputs: Sequence[Input]
    editor: Mapping[str, Any] | None
    machine_id: str
    catalogue: Catalogue | None
    columns: Mapping[str, Any]
    convert: Conversion | None = None

    def options(self, asked: RunOptions) -> RunOptions:
        """What was asked for, with the deployment's default."""
        return asked if asked.convert is not None else replace(asked, convert=self.convert)


class Submit:
    """Takes a wish and queues it, or says what is wrong with it."""

    def __init__(
        self,
        db: Database,
        door: Door,
        *,
        machines: Machines,
        graphs: Graphs,
        forms: EditorForms,
        media: MediaStore,
        runs: Runs,
        sealing: Sealing,
        clock: Callable[[], datetime],
        ids: Callable[[], str],
        draw: Draw,
        bell: Bell,
        limits: SubmitLimits,
    ) -> None:
        """`draw` gives random numbers for seeds."""
        self._db = db
        self._door = door
        self._machines = machines
        self._graphs = graphs
        self._forms = forms
        self._media = media
        self._runs = runs
        self._sealing = sealing
        self._clock = clock
        self._ids = ids
        self._draw = draw
        self._bell = bell
        self._limits = limits

    async def submit(
        self, caller: Caller, request: SubmitRequest, *, prepare: Callable[[], Awaitable[None]] | None = None
    ) -> RunView:
        """The queued run, or the one that the same idempotency key made before (`replayed`), without its place in the
        queue: who shows it asks `Runs.placed`. `prepare` is awaited before a new request is queued, if the queue has
        room; a replayed one needs nothing.

        Raises what `prepare` does, NotFound, InvalidInput, InvalidGraph, TooLarge, QueueFull, and Conflict when the
        idempotency key was used for another request, or while the nodes are not known that a graph in the editor's form
        is converted with.
        """
        _check(request, self._limits)
        digest = None if request.idempotency_key is None else await _request_hash(request, self._sealing)
        if digest is not None and (seen := await self._seen(caller, request, digest)) is not None:
            return seen
        if prepare is not None:
            await self._db.look_up(lambda connection: self._check_room(connection, caller, request))
            await prepare()
        request = await self._in_api_form(caller, request)
        target = await self._db.look_up(lambda connection: self._target(connection, caller, request))
        if target.options(request.options).convert is not None and self._limits.no_conversion:
            raise InvalidInput(self._limits.no_conversion, place=Place(field="convert_output"))
        bound = self._bound(target, request)
        lifted = lift_logins(bound.graph, target.catalogue, request.options.credentials)
        options = replace(request.options, credentials=lifted.credentials)
        request = replace(request, inputs=lifted.shown(request.inputs), options=options)
        media = await self._media.settle(caller, lifted.graph, bound.media, request.spooled)
        row = self._row(caller, request, target, bound, media, digest)
        editor = media.texts.put_back(target.editor, media.names)
        extra = {"extra_pnginfo": {"workflow": editor}} if editor else {}
        graph = {"graph": media.graph.as_json(), "extra_data": extra, "asset_ids": media.asset_ids}
        try:
            view = await self._db.write(
                lambda connection: self._queue(connection, caller, request, row, graph, media.made)
            )
        except Exception:
            await self._media.discard(caller, media.made)
            raise
        if view.replayed:
            await self._media.discard(caller, media.made)
            return view
        self._bell.ring(machine_topic(view.machine_id))
        self._bell.ring(DEPTH)
        if request.webhooks:
            self._bell.ring(DELIVERIES)
        return view

    async def _in_api_form(self, caller: Caller, request: SubmitRequest) -> SubmitRequest:
        if request.deployment is not None or request.version_id is not None:
            return request
        forms = await self._forms.settle(caller, request.graph, request.editor, request.machine_id)
        return replace(request, graph=forms.graph, editor=forms.editor)

    async def _seen(self, caller: Caller, request: SubmitRequest, digest: str) -> RunView | None:
        return await self._db.look_up(lambda connection: self._replay(connection, caller, request, digest))

    def _replay(self, connection: Connection, caller: Caller, request: SubmitRequest, digest: str) -> RunView | None:
        """The run that was made under this key, unless it is free again. Raises Conflict when it was made for another
        request."""
        row = runs.find_by_idempotency_key(connection, caller.workspace_id, str(request.idempotency_key))
        if row is None or (request.reuse == "after_failure" and row["status"] in FAILURES):
            return None
        if row["request_hash"] != digest:
            raise Conflict(
                "This idempotency key was used for another request. Use a fresh key for each distinct run.",
                details={"run_id": row["id"]},
            )
        return replace(self._runs.view(connection, caller, row["id"]), replayed=True)

    def _target(self, connection: Connection, caller: Caller, request: SubmitRequest) -> _Target:
        """What the request names. The graph of a deployment or a version comes from memory when it was used before."""
        workspace_id = caller.workspace_id
        if request.deployment is None and request.version_id is None:
            check_json("graph", request.graph, self._limits.graph_bytes)
            graph = parse_graph(request.graph)
            machine = find_machine(connection, workspace_id, request.machine_id)
            return self._on(connection, machine, graph, declare(graph), request.editor, {})
        if request.deployment is None:
            version = self._graphs.version(connection, workspace_id, str(request.version_id))
            machine = find_machine(connection, workspace_id, request.machine_id)
            columns = {"workflow_id": version.workflow_id, "version_id": version.id, "version": version.version}
            return self._on(connection, machine, version.graph, version.inputs, version.editor, columns)
        row = deployments.find(connection, workspace_id, request.deployment)
        if row is None:
            raise NotFound(f"There is no deployment {request.deployment!r}.", place=Place(field="deployment"))
        version = self._graphs.version(connection, workspace_id, row["version_id"])
        machine = find_machine(connection, workspace_id, row["machine_id"])
        columns = {
            "workflow_id": row["workflow_id"],
            "version_id": version.id,
            "version": version.version,
            "deployment_id": row["id"],
            "deployment_name": row["name"],
        }
        inputs = narrowed(version, row["narrowings"])
        named = self._on(connection, machine, version.graph, inputs, version.editor, columns)
        return replace(named, convert=read_conversion(row["convert_output"]))

    def _on(
        self,
        connection: Connection,
        machine: Row,
        graph: Graph,
        inputs: Sequence[Input],
        editor: Mapping[str, Any] | None,
        columns: Mapping[str, Any],
    ) -> _Target:
        catalogue = self._machines.catalogue_of(connection, machine)
        return _Target(graph, inputs, editor, machine["id"], catalogue, columns)

    def _bound(self, target: _Target, request: SubmitRequest) -> Bound:
        graph = target.graph
        if target.catalogue is not None:
            check_classes(graph, target.catalogue)
        if request.randomise_seeds:
            graph = randomise_seeds(graph, target.editor, self._draw, target.catalogue)
        return bind(
            graph,
            target.inputs,
            request.inputs,
            catalogue=target.catalogue,
            unknown=request.unknown_inputs,
            draw=self._draw,
        )

    def _row(
        self,
        caller: Caller,
        request: SubmitRequest,
        target: _Target,
        bound: Bound,
        media: SettledMedia,
        digest: str | None,
    ) -> dict[str, Any]:
        now = self._clock()
        return EMPTY_RUN | {
            "id": self._ids(),
            "workspace_id": caller.workspace_id,
            "machine_id": target.machine_id,
            "key_id": caller.key_id,
            "dialect": request.dialect,
            "origin": request.origin,
            **target.columns,
            "idempotency_key": request.idempotency_key,
            "request_hash": digest,
            "inputs": media.shown(request.inputs),
            "warnings": [asdict(notice) for notice in bound.warnings],
            **kept(target.options(request.options), self._sealing),
            "outside": request.options.target is not None or _tells_address(media.graph),
            "webhooks": [kept_wish(wish, self._sealing) for wish in request.webhooks] or None,
            "memo": media.texts.put_back(dict(request.memo), media.names) or None,
            "priority": request.priority,
            "max_attempts": self._limits.max_attempts,
            "created_at": now,
            "updated_at": now,
            "queued_at": now,
        }

    def _queue(
        self,
        connection: Connection,
        caller: Caller,
        request: SubmitRequest,
        row: dict[str, Any],
        graph: Mapping[str, Any],
        made: Sequence[str],
    ) -> RunView:
        """Insert the run, unless the queue is full or the idempotency key came first by another way."""
        if (key := row["idempotency_key"]) is not None:
            seen = self._replay(connection, caller, request, row["request_hash"])
            if seen is not None:
                return seen
            if request.reuse == "after_failure":
                runs.release_key(connection, caller.workspace_id, key)
        turn = self._turn(connection, row["machine_id"], row["priority"], row["key_id"])
        queued = row | {"turn": turn}
        self._door.submit(connection, queued, graph)
        assets.adopt(connection, made, row["id"])
        return run_view(queued | {"last_event": 1})

    def _check_room(self, connection: Connection, caller: Caller, request: SubmitRequest) -> None:
        """Raise QueueFull for a graph that would find no room now, NotFound without its machine."""
        if request.deployment is None and request.version_id is None:
            machine = find_machine(connection, caller.workspace_id, request.machine_id)
            self._turn(connection, machine["id"], request.priority, caller.key_id)

    def _turn(self, connection: Connection, machine_id: str, priority: int, key_id: str) -> int:
        """The turn of a new run. Raises QueueFull."""
        limit = self._limits.max_queued
        turn, waiting = runs.next_turn(connection, machine_id, priority, key_id, limit)
        if waiting >= limit:
            raise QueueFull(f"{waiting} runs are waiting already. Try again soon.", retry_after=RETRY_AFTER)
        return turn


EMPTY_RUN: dict[str, Any] = {
    "status": Status.QUEUED.value,
    "attempts": 0,
    "claims": 0,
    "simulated": False,
    "last_event": 0,
    **dict.fromkeys(
        (
            "workflow_id",
            "version_id",
            "version",
            "deployment_id",
            "deployment_name",
            "attempt_id",
            "claimed_at",
            "started_at",
            "ended_at",
            "cancel_requested_at",
            "error",
        )
    ),
}


def _tells_address(graph: Graph) -> bool:
    return any(tells_address(value) for node in graph.nodes.values() for value in node.inputs.values())


def _check(request: SubmitRequest, limits: SubmitLimits) -> None:
    named = [one for one in (request.deployment, request.version_id, request.graph) if one is not None]
    if len(named) != 1:
        raise InvalidInput("Give either a deployment or a graph.", place=Place(field="deployment"))
    if request.priority not in PRIORITIES:
        raise InvalidInput(f"priority must be from {LEAST_PRIORITY} to {MOST_PRIORITY}.", place=Place(field="priority"))
    if request.idempotency_key is not None:
        check_text("idempotency_key", request.idempotency_key)
    _check_webhooks(request.webhooks)
    if request.options.target is not None:
        limits.check_target(request.options.target)
    _check_addresses(request, limits.check_address)
    check_json("inputs", request.inputs, limits.inputs_bytes)
    check_json("memo", request.memo, limits.graph_bytes)


def _check_webhooks(wishes: Sequence[WebhookWish]) -> None:
    """Only what can be called at all; what its name leads to is looked at when it is called."""
    if len(wishes) > MAX_WEBHOOKS:
        raise InvalidInput(f"A run has at most {MAX_WEBHOOKS} webhooks.", place=Place(field="webhook"))
    for wish in wishes:
        _check_webhook(wish.url)


def _check_webhook(url: str) -> None:
    check_text("webhook", url, MAX_URL)
    if not url.lower().startswith(("http://", "https://")):
        raise InvalidInput("webhook must be an http or https URL.", place=Place(field="webhook"))


def _check_addresses(request: SubmitRequest, check: Callable[[str], object]) -> None:
    """Tell now, and not when the work is done, that a webhook, a target or an endpoint will not be called."""
    for field, address in _addresses(request):
        try:
            check(address)
        except FetchRefused as error:
            raise InvalidInput(f"{field}: {error.message}", place=Place(field=field)) from None


def _addresses(request: SubmitRequest) -> Iterator[tuple[str, str]]:
    """The addresses that the server shall call for a request, but for those of its files, and where they stand."""
    options = request.options
    for wish in request.webhooks:
        yield "webhook", wish.url
    if isinstance(options.target, HttpTarget):
        yield "target.url_prefix", options.target.url_prefix
    auths = [(f"credentials[{index}].auth", one.auth) for index, one in enumerate(options.credentials)]
    for field, auth in [*auths, ("target.auth", None if options.target is None else options.target.auth)]:
        if isinstance(auth, S3Auth | AzureAuth | GcsAuth) and auth.endpoint:
            yield f"{field}.endpoint", auth.endpoint


async def _request_hash(request: SubmitRequest, sealing: Sealing) -> str:
    """What makes two requests the same: everything but the idempotency key itself, and what is only kept. Nothing
    secret can be guessed from it."""
    if request.asked is not None:
        given = request.asked
        if request.spooled:
            given = await asyncio.to_thread(fingerprinted, given, request.spooled)
        return sealing.digest(json.dumps(given, sort_keys=True))
    asked = {key: value for key, value in vars(request).items() if key not in NO_PART_OF_THE_WISH}
    asked["webhooks"] = [sealing.digest(json.dumps(asdict(wish))) for wish in request.webhooks]
    if request.options != NO_OPTIONS:
        asked["options"] = digest_of(request.options, sealing)
    if request.spooled:
        asked = await asyncio.to_thread(fingerprinted, asked, request.spooled)
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()
