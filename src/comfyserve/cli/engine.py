"""`comfyserve engine`: a real ComfyUI for users who have none."""

from pathlib import Path
from typing import Annotated, Any

import typer

from comfyserve.cli.console import Exit, JsonFlag, fail, finish, note, print_json, say

app = typer.Typer(help="Install a real ComfyUI.", no_args_is_help=True, rich_markup_mode=None)

HOURS = 3600


@app.callback()
def engine() -> None:
    """What stands before the commands: without it, typer would make the only command the group itself."""


@app.command()
def install(
    version: Annotated[str, typer.Option(help="latest, nightly or a number such as 0.3.64.")] = "latest",
    folder: Annotated[Path | None, typer.Option("--dir", help="Where; else a folder in the data directory.")] = None,
    nvidia: Annotated[bool, typer.Option("--nvidia", help="For GPUs of NVIDIA.")] = False,
    amd: Annotated[bool, typer.Option("--amd", help="For GPUs of AMD.")] = False,
    m_series: Annotated[bool, typer.Option("--m-series", help="For Macs with Apple silicon.")] = False,
    cpu: Annotated[bool, typer.Option("--cpu", help="For no GPU.")] = False,
    skip_torch: Annotated[bool, typer.Option("--skip-torch", help="Leave PyTorch to you.")] = False,
    hours: Annotated[float, typer.Option(min=0, help="How many hours it may take.")] = 2.0,
    json: JsonFlag = False,
) -> None:
    """Install ComfyUI by comfy-cli, which tracks nothing and has an environment of its own.

    Without --nvidia, --amd, --m-series or --cpu it looks what this machine has. It changes no setting; it says which
    one makes `comfyserve up` use what was installed.
    """
    flags = {"nvidia": nvidia, "amd": amd, "m-series": m_series, "cpu": cpu}
    chosen = [name for name, given in flags.items() if given]
    if len(chosen) > 1:
        fail(f"Give one of --{', --'.join(chosen)}.", Exit.USAGE, as_json=json, code="invalid_input")
    from comfyserve.app import install_engine
    from comfyserve.settings import read_settings

    work = install_engine(
        read_settings(),
        folder=folder,
        version=version,
        device=chosen[0] if chosen else "",
        skip_torch=skip_torch,
        seconds=hours * HOURS,
        on_line=note,
    )
    _tell(finish(work, as_json=json), as_json=json)


def _tell(answer: dict[str, Any], *, as_json: bool) -> None:
    if error := answer.get("error"):
        ending = Exit.UNHEALTHY if error["code"] == "install_failed" else Exit.USAGE
        fail(error.pop("message"), ending, as_json=as_json, **error)
    if as_json:
        print_json(answer)
        return
    state = "is installed already" if answer["already"] else "is installed"
    say(f"ComfyUI {answer['version']} {state} in {answer['folder']}, for {answer['device']}.")
    say(f"Use it: COMFYSERVE_COMFY_HOME={answer['folder']} comfyserve up")
