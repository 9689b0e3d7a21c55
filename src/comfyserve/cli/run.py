"""`comfyserve run`: run a deployment, or a workflow file, and keep what it gives."""

import asyncio
import json as json_module
import os
import shlex
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote
from uuid import uuid4

import typer

from comfyserve.cli.connection import KeyOption, UrlOption, connect, given_url
from comfyserve.cli.console import Exit, JsonFlag, complain, fail, finish, note, print_json, say
from comfyserve.cli.run_options import ConvertOption, CredentialsOption, TargetOption, read_options
from comfyserve.cli.workflow_file import forms_of, names_a_file, read_workflow

if TYPE_CHECKING:
    from comfyserve.client import Client

MAX_NAMED = 20
READY_SECONDS = 0.05


def run(
    what: Annotated[
        str,
        typer.Argument(
            metavar="NAME|FILE",
            help="A deployment's name or id, or a workflow file: JSON, or a picture that carries it.",
        ),
    ],
    inputs: Annotated[
        list[str] | None,
        typer.Option(
            "--input", "-i", metavar="NAME=VALUE", help="A value of an input; @path uploads a file. May be repeated."
        ),
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="The folder for the results.")] = Path(),
    convert: ConvertOption = "",
    target: TargetOption = None,
    credentials: CredentialsOption = None,
    url: UrlOption = "",
    key: KeyOption = "",
    json: JsonFlag = False,
) -> None:
    """Run a deployment or a workflow file and download its results.

    Ctrl-C cancels the run. With a file and no server running, what is needed is started for this one run and
    ended after it.
    """
    values = parse_inputs(inputs or [], as_json=json)
    options = read_options(convert, target, credentials, as_json=json)
    graph = read_workflow(Path(what), as_json=json) if _is_file(what) else None
    if out.exists() and not out.is_dir():
        fail(f"{out} is not a folder.", Exit.USAGE, as_json=json)
    request = _Request(what, graph, values, options)
    with ExitStack() as own:
        record, files = finish(_run(url, key, request, out, own, quiet=json), as_json=json)
    if json:
        print_json({"run": record, "files": [str(path) for path in files]})
    else:
        _tell(record, files)
    if record["status"] != "success":
        raise typer.Exit(Exit.RUN_FAILED)


def parse_inputs(pairs: Sequence[str], *, as_json: bool = False) -> dict[str, str | Path]:
    """`name=value` pairs; `@path` becomes a Path, the rest stays as it was written."""
    values: dict[str, str | Path] = {}
    for pair in pairs:
        name, sign, text = pair.partition("=")
        if not sign or not name:
            fail(f"--input {pair}: write it as name=value.", Exit.USAGE, as_json=as_json)
        values[name] = _value(text, as_json=as_json)
    return values


def _value(text: str, *, as_json: bool) -> str | Path:
    if text.startswith("@@"):
        return text[1:]
    if not text.startswith("@"):
        return text
    path = Path(text[1:]).expanduser()
    if not path.is_file():
        hint = "Text that begins with @ is written with two."
        fail(f"{path} is not a file. {hint}", Exit.USAGE, as_json=as_json)
    return path


def read_value(text: str) -> Any:
    """A JSON number, switch or list; everything else is the text itself."""
    with suppress(ValueError, RecursionError):
        value = json_module.loads(text, parse_constant=_no_number)
        if not isinstance(value, str | dict) and value is not None:
            return value
    return text


def _no_number(name: str) -> None:
    raise ValueError(name)


def _is_file(what: str) -> bool:
    """A name that ends like a workflow file, or a path to a file that is there; a bare word is a deployment."""
    return names_a_file(what) or (os.sep in what and Path(what).is_file())


@dataclass(frozen=True)
class _Request:
    """What shall run: a deployment's name, or the `graph` of a file; with its inputs and options."""

    what: str
    graph: Any
    values: Mapping[str, str | Path]
    options: Mapping[str, Any]


async def _run(
    url: str, key: str, request: _Request, out: Path, own: ExitStack, *, quiet: bool
) -> tuple[Any, list[Path]]:
    """The run at its end and its files. What a server of its own leaves is removed by `own`."""
    from comfyserve.cli.progress import follow

    async with _server(url, key, own=own if request.graph is not None else None) as client:
        record = await _submit(client, request)
        try:
            record = await follow(client, record, quiet=quiet)
        except asyncio.CancelledError:
            note(f"Cancelling run {record['id']}.")
            await client.cancel(record["id"])
            raise
        return record, await _download(client, record, out)


async def _submit(client: "Client", request: _Request) -> Any:
    known = request.graph is None
    kinds = await _kinds(client, request.what) if known else {}
    sent = {name: await _sent(client, value, kinds.get(name)) for name, value in request.values.items()}
    graph = None if known else (await forms_of(client, request.graph)).get("graph")
    deployment = request.what if known else None
    return await client.create_run(deployment, sent, graph=graph, idempotency_key=str(uuid4()), **request.options)


@asynccontextmanager
async def _server(url: str, key: str, *, own: ExitStack | None) -> "AsyncIterator[Client]":
    """The server that answers, or with `own` one that lives as long as this command."""
    from comfyserve.client import ServerUnreachable

    async with connect(url, key) as client:
        try:
            await client.health()
        except ServerUnreachable:
            if own is None or given_url(url):
                raise
        else:
            await _warn_if_not_ready(client)
            yield client
            return
    async with _own_server(own) as client:
        yield client


async def _warn_if_not_ready(client: "Client") -> None:
    """A run that will wait for an engine that does not start should not look like one that is slow."""
    from comfyserve.client import ApiError

    try:
        await client.get("/ready")
    except ApiError as error:
        if error.code != "error":
            note(f"Warning: the engine is not ready, the run waits for it. {error}")


@asynccontextmanager
async def _own_server(own: ExitStack) -> "AsyncIterator[Client]":
    from comfyserve.client import Client
    from comfyserve.server import temporary_server

    note("No server is running; starting one for this run.")
    # The folder goes after the event loop and its threads: one that opens the database goes on when it is cancelled.
    folder = own.enter_context(TemporaryDirectory(prefix="comfyserve-"))
    async with temporary_server(Path(folder)) as (address, admin_key), Client(address, admin_key) as client:
        await _engine_ready(client)
        yield client


async def _engine_ready(client: "Client") -> None:
    """Return when the engine is ready. Raises ApiError with the reason when it does not start."""
    from comfyserve.client import ApiError

    while True:
        try:
            await client.get("/ready")
        except ApiError as error:
            if error.code != "error":
                raise
            await asyncio.sleep(READY_SECONDS)
        else:
            return


async def _kinds(client: "Client", deployment: str) -> dict[str, str]:
    """What each input of a deployment is; one that does not exist is refused with the names of those that do."""
    from comfyserve.client import ApiError

    try:
        found = await client.get(f"/v1/deployments/{quote(deployment, safe='')}")
    except ApiError as error:
        if error.code != "not_found":
            raise
        known = [item["name"] for item in (await client.get("/v1/deployments", limit=MAX_NAMED))["items"]]
        hint = f"Deployed: {', '.join(map(shlex.quote, known))}." if known else "Nothing is deployed yet."
        raise error.with_hint(hint) from error
    return {item["id"]: item["kind"] for item in found["inputs"]}


async def _sent(client: "Client", value: str | Path, kind: str | None) -> Any:
    """The value as the API takes it: a file as its URL, words for a text as they are, else numbers and switches."""
    if isinstance(value, Path):
        return (await client.upload(value))["url"]
    return value if kind == "text" else read_value(value)


async def _download(client: "Client", record: Mapping[str, Any], out: Path) -> list[Path]:
    """Every file of the run that the server has; a name that is taken already gets a number."""
    files: list[Path] = []
    for output in record.get("outputs", []):
        if output.get("url") and not _is_elsewhere(output):
            target = _free_name(out / (PurePosixPath(output["filename"].replace("\\", "/")).name or "output"))
            await client.download(output["url"], target)
            files.append(target)
    return files


def _is_elsewhere(output: Mapping[str, Any]) -> bool:
    """Whether a file lies in the target of the run, and not with the server."""
    return bool(output.get("url")) and not output.get("asset_id")


def _free_name(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    number = 1
    free = path
    while free.exists():
        number += 1
        free = path.with_name(f"{path.stem} ({number}){path.suffix}")
    return free


def _tell(record: Mapping[str, Any], files: Sequence[Path]) -> None:
    for output in record.get("outputs", []):
        if output.get("value") is not None:
            say(f"{output['key']}: {output['value']}")
        elif _is_elsewhere(output):
            say(output["url"])
    for path in files:
        say(str(path))
    for warning in record.get("warnings", []):
        note(f"Warning: {warning['message']}")
    if record["status"] != "success":
        complain(_ending(record))
    elif record.get("simulated"):
        note("Simulated: the embedded engine drew this; a real ComfyUI computes it.")


def _ending(record: Mapping[str, Any]) -> str:
    if record["status"] == "cancelled":
        return "The run was cancelled."
    error = record.get("error") or {}
    node = (error.get("place") or {}).get("node_id")
    where = f" (node {node})" if node else ""
    return f"The run ended as {record['status']}: {error.get('message') or 'no reason was given.'}{where}"
