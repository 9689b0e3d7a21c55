"""`comfyserve worker`: workers in a process of their own, beside a server."""

import os
from pathlib import Path
from typing import Annotated

import typer

from comfyserve.cli.console import JsonFlag, note
from comfyserve.cli.up import ComfyUrlOption, DataOption, HomeOption

MachineOption = Annotated[str, typer.Option(help="The machine whose runs are pulled.")]


def worker(
    machine: MachineOption = "local",
    data_dir: DataOption = None,
    comfy_home: HomeOption = None,
    comfy_url: ComfyUrlOption = None,
    json: JsonFlag = False,
) -> None:
    """Pull runs of a machine and work on them, beside a server with the same data directory.

    The server may have workers of its own, too, or none (`COMFYSERVE_WORK_HERE=false comfyserve up`). Ctrl-C lets
    running work finish and stops; a second one stops at once.
    """
    from comfyserve.cli.strays import stray_settings
    from comfyserve.settings import read_settings

    settings = read_settings(data_dir=data_dir, comfy_home=comfy_home, comfy_url=comfy_url)
    for sentence in stray_settings(os.environ, Path()):
        note(f"Warning: {sentence}")
    import uvloop

    from comfyserve.server import work

    raise typer.Exit(uvloop.run(work(settings, machine, as_json=json)))
