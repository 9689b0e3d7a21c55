"""`comfyserve solo generate-workflow IN.json OUT.py`: an endpoint from a graph."""

import asyncio
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from comfyserve.cli.console import Exit, JsonFlag, fail, print_json, say

GraphArgument = Annotated[Path, typer.Argument(metavar="IN.json", help="The graph, as ComfyUI exports it (API).")]
OutArgument = Annotated[Path, typer.Argument(metavar="OUT.py", help="The file to write; .json for a field mapping.")]
UrlOption = Annotated[str, typer.Option("--url", help="A ComfyUI whose nodes count; else the embedded engine's.")]
InfoOption = Annotated[Path | None, typer.Option("--object-info", help="A saved answer of /object_info instead.")]


class Model(StrEnum):
    """Who writes the file."""

    AUTO = "auto"
    ANTHROPIC = "anthropic"
    MINIMAX = "minimax"
    NONE = "none"


ModelOption = Annotated[
    Model,
    typer.Option(
        "--model", help="A language model improves OUT.py; auto: if ANTHROPIC_API_KEY or MINIMAX_API_KEY is set."
    ),
]
ForceFlag = Annotated[bool, typer.Option("--force", help="Write over a file that is there.")]


def generate_workflow(
    graph: GraphArgument,
    out: OutArgument,
    url: UrlOption = "",
    object_info: InfoOption = None,
    model: ModelOption = Model.AUTO,
    force: ForceFlag = False,
    json: JsonFlag = False,
) -> None:
    """Write a workflow endpoint from a graph: its inputs, with types, bounds and defaults, and the function.

    What a language model writes is run once, if it can do no harm, to see that it gives back the graph; read it before
    you serve it.
    """
    from comfyserve.app.solo_generate import DomainError, EngineLost, LanguageModelFailed
    from comfyserve.app.solo_generate import generate_workflow as generate

    work = generate(graph, out, engine_url=url, object_info=object_info, model=model.value, force=force)
    try:
        written = asyncio.run(work)
    except DomainError as error:
        outside = isinstance(error, EngineLost | LanguageModelFailed)
        facts = {key: value for key, value in error.as_dict().items() if key != "message"}
        fail(error.message, Exit.UNREACHABLE if outside else Exit.USAGE, as_json=json, **facts)
    if json:
        print_json({"file": str(out), "inputs": written.inputs, "author": written.author})
        return
    who = "from the graph" if written.author == "graph" else f"by {written.author}"
    say(f"{out} is written {who}, with {len(written.inputs)} inputs: {', '.join(written.inputs)}.")
    say(f"Try it: comfyserve solo check {out} --input '{{}}'")
