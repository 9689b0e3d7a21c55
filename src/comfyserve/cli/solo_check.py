"""`comfyserve solo check FILE --input JSON`: the graph that a workflow file makes, or what is wrong and where."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from comfyserve.cli.console import Exit, JsonFlag, fail, note, print_json

FILE_MARK = "@"

FileArgument = Annotated[Path, typer.Argument(help="A workflow file: .py, .json, .yaml, .ts or .js.")]
InputOption = Annotated[str, typer.Option("--input", help="The input as JSON, @FILE, or - for standard input.")]
UrlOption = Annotated[str, typer.Option("--url", help="An engine, to check names of models and nodes against.")]
CheckpointOption = Annotated[str, typer.Option(help="The checkpoint that a warm-up would have brought.")]


def check(
    file: FileArgument,
    given: InputOption = "{}",
    url: UrlOption = "",
    warmup_checkpoint: CheckpointOption = "",
    json_flag: JsonFlag = False,
) -> None:
    """Print the graph that a workflow file makes of an input, or what is wrong and where."""
    from comfyserve.app.solo_check import DomainError, EngineLost, Unreadable, check_workflow

    value = _input(given, as_json=json_flag)
    try:
        work = check_workflow(file, value, engine_url=url, warmup_ckpt=warmup_checkpoint or None)
        tried = asyncio.run(work)
    except Unreadable as error:
        fail(f"{file}: {error}", Exit.USAGE, as_json=json_flag, code="unreadable_workflow")
    except EngineLost as error:
        fail(error.message, Exit.UNREACHABLE, as_json=json_flag, code=error.code)
    except DomainError as error:
        fail(_problems(error), Exit.REFUSED, as_json=json_flag, **_facts(error))
    if not url:
        note("No engine was asked: names of samplers, models and nodes are unchecked. Give --url to check them.")
    print_json({"input": tried.input, "graph": tried.graph} if json_flag else tried.graph)


def _input(given: str, *, as_json: bool) -> Any:
    try:
        if given == "-":
            return json.load(sys.stdin)
        if given.startswith(FILE_MARK):
            return json.loads(Path(given.removeprefix(FILE_MARK)).read_text(encoding="utf-8"))
        return json.loads(given)
    except OSError as error:
        fail(f"{error.filename}: {error.strerror}.", Exit.USAGE, as_json=as_json, code="file")
    except ValueError as error:
        fail(f"--input is not JSON: {error}.", Exit.USAGE, as_json=as_json, code="invalid_json")


def _facts(error: Any) -> dict[str, Any]:
    return {key: value for key, value in error.as_dict().items() if key != "message"}


def _problems(error: Any) -> str:
    """Every problem on a line of its own, with its place."""
    issues = error.details.get("issues") or [{"field": _place(error), "message": error.message}]
    return "\n".join(f"{one['field']}: {one['message']}" if one["field"] else one["message"] for one in issues)


def _place(error: Any) -> str:
    parts = (f"node {error.place.node_id}" if error.place.node_id else "", error.place.field or "")
    return ", ".join(part for part in parts if part)
