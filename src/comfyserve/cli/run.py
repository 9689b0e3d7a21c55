"""`comfyserve run`: run a deployment, or a workflow file, and keep what it gives."""

import asyncio
import json as json_module
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Annotated, Any
from uuid import uuid4

import typer
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from comfyserve.cli.connection import KeyOption, UrlOption, connect
from comfyserve.cli.console import Exit, JsonFlag, err, fail, finish, print_json, say
from comfyserve.cli.deploy import read_graph
from comfyserve.client import Client, Event, ServerUnreachable


def run(
    target: Annotated[str, typer.Argument(help="A deployment's name or id, or a workflow file in API form.")],
    inputs: Annotated[
        list[str] | None,
        typer.Option("--input", "-i", help="name=value; a value @path uploads a file, other values may be JSON."),
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder for the results.")] = Path(),
    url: UrlOption = "",
    key: KeyOption = "",
    json: JsonFlag = False,
) -> None:
    """Run a deployment or a workflow file and download its results.

    With a file and no server running, what is needed is started for this one run and ended after it.
    """
    values = parse_inputs(inputs or [], as_json=json)
    file = Path(target)
    graph = read_graph(file, as_json=json) if target.endswith(".json") or file.is_file() else None
    record, files = finish(_run(url, key, target, graph, values, out, quiet=json), as_json=json)
    if json:
        print_json({"run": record, "files": [str(path) for path in files]})
    else:
        _tell(record, files)
    if record["status"] != "success":
        raise typer.Exit(Exit.RUN_FAILED)


def parse_inputs(pairs: Sequence[str], *, as_json: bool = False) -> dict[str, Any]:
    """`name=value` pairs; `@path` becomes a Path, JSON numbers, switches and lists are read, the rest is text."""
    values: dict[str, Any] = {}
    for pair in pairs:
        name, sign, text = pair.partition("=")
        if not sign or not name:
            fail(f"--input {pair}: write it as name=value.", Exit.USAGE, as_json=as_json)
        values[name] = _value(text, as_json=as_json)
    return values


def _value(text: str, *, as_json: bool) -> Any:
    if text.startswith("@"):
        path = Path(text[1:]).expanduser()
        if not path.is_file():
            fail(f"{path} is not a file.", Exit.USAGE, as_json=as_json)
        return path
    with suppress(ValueError):
        value = json_module.loads(text)
        if not isinstance(value, str | dict) and value is not None:
            return value
    return text


async def _run(
    url: str, key: str, target: str, graph: Any, values: Mapping[str, Any], out: Path, *, quiet: bool
) -> tuple[Any, list[Path]]:
    async with _server(url, key, own=graph is not None) as client:
        sent = {name: await _sent(client, value) for name, value in values.items()}
        deployment = None if graph is not None else target
        record = await client.create_run(deployment, sent, graph=graph, idempotency_key=str(uuid4()))
        try:
            record = await _follow(client, record, quiet=quiet)
        except asyncio.CancelledError:
            await client.cancel(record["id"])
            raise
        return record, await _download(client, record, out)


@asynccontextmanager
async def _server(url: str, key: str, *, own: bool) -> AsyncIterator[Client]:
    """The server that answers, or with `own` one that lives as long as this command."""
    async with connect(url, key) as client:
        try:
            await client.get("/health")
        except ServerUnreachable:
            if not own or url:
                raise
        else:
            yield client
            return
    from comfyserve.server import temporary_server

    err.print("No server is running; starting one for this run.", style="dim")
    with TemporaryDirectory(prefix="comfyserve-") as folder:
        async with temporary_server(Path(folder)) as (address, admin_key), Client(address, admin_key) as client:
            yield client


async def _sent(client: Client, value: Any) -> Any:
    return (await client.upload(value))["url"] if isinstance(value, Path) else value


async def _follow(client: Client, record: Any, *, quiet: bool) -> Any:
    columns = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f}%"), TimeElapsedColumn()
    with Progress(*columns, console=err, transient=True, disable=quiet) as bar:
        task = bar.add_task("queued", total=1.0)
        async for event in client.events(record["id"]):
            if event.kind == "run":
                return event.data
            _show(bar, task, event)
    return record


def _show(bar: Progress, task: TaskID, event: Event) -> None:
    if event.kind == "progress":
        bar.update(task, completed=event.data["fraction"])
    elif event.kind == "node_started":
        bar.update(task, description=event.data["data"].get("title") or "running")
    elif event.kind == "executed":
        bar.update(task, completed=1.0, description="collecting")
    elif event.kind == "lost":
        bar.update(task, completed=0.0, description="trying again")


async def _download(client: Client, record: Mapping[str, Any], out: Path) -> list[Path]:
    """Every file of the run; a name that is taken already gets a number."""
    files: list[Path] = []
    for output in record.get("outputs", []):
        if output.get("url"):
            target = _free_name(out / PurePosixPath(output["filename"].replace("\\", "/")).name)
            await client.download(output["url"], target)
            files.append(target)
    return files


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
    for path in files:
        say(str(path))
    if record.get("simulated"):
        err.print("Simulated: the embedded engine drew this; a real ComfyUI computes it.", style="dim")
    if record["status"] != "success":
        error = record.get("error") or {}
        place = error.get("place") or {}
        where = f" (node {place['node_id']})" if place.get("node_id") else ""
        err.print(
            f"The run ended as {record['status']}: {error.get('message', 'no reason was given')}{where}", style="red"
        )
