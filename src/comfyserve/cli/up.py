"""`comfyserve up`: the platform, in this process."""

import os
from pathlib import Path
from typing import Annotated

import typer

from comfyserve.cli.console import JsonFlag, note

HostOption = Annotated[str | None, typer.Option(help="The address to listen on.")]
PortOption = Annotated[int | None, typer.Option(help="The port to listen on; 0 takes a free one.")]
DataOption = Annotated[Path | None, typer.Option(help="The folder for the database, files and keys.")]
HomeOption = Annotated[str | None, typer.Option(help="The folder of a real ComfyUI to start.")]
ComfyUrlOption = Annotated[str | None, typer.Option(help="The URL of a ComfyUI that runs already.")]
ExampleOption = Annotated[str | None, typer.Option(help="What the first start deploys: pod or none.")]


def up(
    host: HostOption = None,
    port: PortOption = None,
    data_dir: DataOption = None,
    comfy_home: HomeOption = None,
    comfy_url: ComfyUrlOption = None,
    example: ExampleOption = None,
    json: JsonFlag = False,
) -> None:
    """Start the server, its page and a worker.

    Ctrl-C lets running work finish and stops; a second one stops at once.
    """
    from comfyserve.cli.strays import stray_settings
    from comfyserve.settings import read_settings

    settings = read_settings(
        host=host, port=port, data_dir=data_dir, comfy_home=comfy_home, comfy_url=comfy_url, example=example
    )
    for sentence in stray_settings(os.environ, Path()):
        note(f"Warning: {sentence}")
    import uvloop

    from comfyserve.server import serve

    raise typer.Exit(uvloop.run(serve(settings, as_json=json)))
