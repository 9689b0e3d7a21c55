"""`comfyserve deploy`: a workflow file becomes a deployment with a stable name."""

import json as json_module
from pathlib import Path
from typing import Annotated, Any

import typer

from comfyserve.cli.connection import KeyOption, UrlOption, connect
from comfyserve.cli.console import Exit, JsonFlag, fail, finish, print_json, say
from comfyserve.client import ApiError, Client


def deploy(
    file: Annotated[Path, typer.Argument(help="The workflow in API form (workflow_api.json).")],
    name: Annotated[str, typer.Option(help="The deployment's name.")],
    comment: Annotated[str, typer.Option(help="What this version changes.")] = "",
    url: UrlOption = "",
    key: KeyOption = "",
    json: JsonFlag = False,
) -> None:
    """Deploy a workflow. A name that is deployed already gets the file as its next version."""
    graph = read_graph(file, as_json=json)
    deployment, page = finish(_deploy(url, key, graph, name, comment), as_json=json)
    if json:
        print_json(deployment)
        return
    say(f"Deployed {deployment['name']}, version {deployment['version']} ({deployment['id']}).")
    for declared in deployment["inputs"]:
        say(f"  --input {declared['id']}=...   {declared['kind']}, default {declared.get('default')!r}")
    say(f"Page:  {page}")
    say(f"Run:   comfyserve run {deployment['name']}")


def read_graph(file: Path, *, as_json: bool = False) -> Any:
    """The JSON of a workflow file; ends the command with a sentence when it is none."""
    try:
        return json_module.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        fail(f"{file} cannot be read: {error.strerror}.", Exit.USAGE, as_json=as_json)
    except ValueError as error:
        fail(f"{file} is not JSON: {error}.", Exit.USAGE, as_json=as_json)


async def _deploy(url: str, key: str, graph: Any, name: str, comment: str) -> tuple[Any, str]:
    async with connect(url, key) as client:
        existing = await _find(client, name)
        if existing is None:
            workflow = await client.post("/v1/workflows", {"name": name, "graph": graph})
            deployment = await client.post("/v1/deployments", {"name": name, "workflow_id": workflow["id"]})
        else:
            path = f"/v1/workflows/{existing['workflow_id']}/versions"
            version = await client.post(path, {"graph": graph, "comment": comment})
            change = {"version": version["version"]}
            deployment = await client.patch(f"/v1/deployments/{existing['id']}", change)
        return deployment, f"{client.url}/apps/{name}"


async def _find(client: Client, name: str) -> Any:
    try:
        return await client.get(f"/v1/deployments/{name}")
    except ApiError as error:
        if error.status == 404:
            return None
        raise
