"""`comfyserve solo`: one engine behind a stateless HTTP API, as comfyui-api has it; and its tools."""

import os
from pathlib import Path
from typing import Annotated

import typer

from comfyserve.cli.console import JsonFlag, note
from comfyserve.cli.solo_check import check
from comfyserve.cli.solo_generate import generate_workflow
from comfyserve.cli.up import ComfyUrlOption, HomeOption, HostOption, PortOption

StateOption = Annotated[Path | None, typer.Option(help="The folder for accepted work and files of outputs.")]
WorkflowsOption = Annotated[Path | None, typer.Option(help="The folder of custom workflow endpoints.")]
MemoryFlag = Annotated[bool, typer.Option("--memory", help="Keep the state in a folder that goes with the process.")]

app = typer.Typer(
    help="Serve one engine as comfyui-api does: POST /prompt, and the answer is the pictures.",
    invoke_without_command=True,
    rich_markup_mode=None,
)
app.command("check")(check)
app.command("generate-workflow")(generate_workflow)


@app.callback()
def solo(
    context: typer.Context,
    host: HostOption = None,
    port: PortOption = None,
    data_dir: StateOption = None,
    workflow_dir: WorkflowsOption = None,
    comfy_home: HomeOption = None,
    comfy_url: ComfyUrlOption = None,
    memory: MemoryFlag = False,
    json: JsonFlag = False,
) -> None:
    """Serve one engine as comfyui-api does, and read its variables.

    Ctrl-C lets running work finish and stops; a second one stops at once.
    """
    if context.invoked_subcommand is not None:
        return
    from comfyserve.cli.strays import stray_settings
    from comfyserve.settings import read_as
    from comfyserve.solo_settings import SoloSettings

    settings = read_as(
        SoloSettings,
        host=host,
        port=port,
        data_dir=data_dir,
        workflow_dir=None if workflow_dir is None else str(workflow_dir),
        comfy_home=comfy_home,
        comfy_url=comfy_url,
    )
    for sentence in stray_settings(os.environ, Path(), SoloSettings):
        note(f"Warning: {sentence}")
    import uvloop

    from comfyserve.solo_server import serve_solo

    raise typer.Exit(uvloop.run(serve_solo(settings, memory=memory, as_json=json)))
