"""`comfyserve deploy`: a workflow file becomes a deployment with a stable name."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import typer

from comfyserve.cli.connection import KeyOption, UrlOption, connect
from comfyserve.cli.console import Exit, JsonFlag, fail, finish, print_json, print_table, say
from comfyserve.cli.workflow_file import forms_of, read_workflow

if TYPE_CHECKING:
    from comfyserve.client import Client

MAX_SHOWN = 60


def deploy(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="The workflow: JSON, or a picture or video that carries it.")
    ],
    name: Annotated[str, typer.Option(help="The deployment's name.")],
    comment: Annotated[str, typer.Option(help="What this version changes.")] = "",
    url: UrlOption = "",
    key: KeyOption = "",
    json: JsonFlag = False,
) -> None:
    """Deploy a workflow file under a name.

    A name that is deployed already gets the file as its next version.
    """
    if not name.strip() or "/" in name or not name.isprintable():
        fail("A deployment's name is printable text without a slash.", Exit.USAGE, as_json=json)
    workflow = read_workflow(file, as_json=json)
    deployment, page = finish(_deploy(url, key, workflow, name, comment), as_json=json)
    if json:
        print_json(deployment)
        return
    say(f"Deployed {deployment['name']}, version {deployment['version']}.")
    if deployment["inputs"]:
        say("")
        print_table(("INPUT", "KIND", "DEFAULT", "ALLOWED"), [_row(declared) for declared in deployment["inputs"]])
        say("")
    say(f"Page  {page}")
    say(f"Run   comfyserve run {shlex.quote(name)}")


async def _deploy(url: str, key: str, read: Any, name: str, comment: str) -> tuple[Any, str]:
    async with connect(url, key) as client:
        forms = await forms_of(client, read)
        existing = await _find(client, name)
        if existing is None:
            workflow = await client.post("/v1/workflows", {"name": name, **forms})
            deployment = await client.post("/v1/deployments", {"name": name, "workflow_id": workflow["id"]})
        else:
            path = f"/v1/workflows/{existing['workflow_id']}/versions"
            version = await client.post(path, {**forms, "comment": comment})
            change = {"version": version["version"]}
            deployment = await client.patch(f"/v1/deployments/{existing['id']}", change)
        return deployment, f"{client.url}/apps/{quote(name)}"


async def _find(client: "Client", name: str) -> Any:
    from comfyserve.client import ApiError

    try:
        return await client.get(f"/v1/deployments/{quote(name, safe='')}")
    except ApiError as error:
        if error.status == 404:
            return None
        raise


def _row(declared: Any) -> tuple[str, str, str, str]:
    default = declared.get("default")
    shown = "" if default is None else str(default)
    short = shown if len(shown) <= MAX_SHOWN else f"{shown[: MAX_SHOWN - 3]}..."
    return declared["id"], declared["kind"], short, _allowed(declared)


def _allowed(declared: Any) -> str:
    if choices := declared.get("choices"):
        return ", ".join(str(choice) for choice in choices)
    low, high = declared.get("minimum"), declared.get("maximum")
    if low is None and high is None:
        return ""
    return f"{'' if low is None else low} to {'' if high is None else high}".strip()
