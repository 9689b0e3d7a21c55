"""`comfyserve key`: make, list and revoke API keys."""

from typing import Annotated, Any

import typer
from rich.table import Table

from comfyserve.cli.connection import KeyOption, UrlOption, connect
from comfyserve.cli.console import JsonFlag, finish, out, print_json, say

app = typer.Typer(help="Make, list and revoke API keys.", no_args_is_help=True)


@app.command()
def create(
    name: Annotated[str, typer.Option(help="What the key is for.")] = "cli",
    days: Annotated[int | None, typer.Option(help="How many days it works; without: until it is revoked.")] = None,
    url: UrlOption = "",
    key: KeyOption = "",
    json: JsonFlag = False,
) -> None:
    """Make an API key. It is shown this once."""
    made = finish(_create(url, key, name, days), as_json=json)
    print_json(made) if json else say(made["key"])


@app.command("list")
def list_keys(url: UrlOption = "", key: KeyOption = "", json: JsonFlag = False) -> None:
    """List the API keys by what they begin with."""
    keys = finish(_list(url, key), as_json=json)
    if json:
        print_json(keys)
        return
    table = Table("id", "name", "begins with", "last used", box=None, pad_edge=False)
    for item in keys["items"]:
        table.add_row(item["id"], item["name"], item["prefix"], item["last_used_at"] or "never")
    out.print(table)


@app.command()
def revoke(key_id: str, url: UrlOption = "", key: KeyOption = "", json: JsonFlag = False) -> None:
    """Revoke a key by its id; calls that use it are refused from now on."""
    finish(_revoke(url, key, key_id), as_json=json)
    print_json({"revoked": key_id}) if json else say(f"Revoked {key_id}.")


async def _create(url: str, key: str, name: str, days: int | None) -> Any:
    async with connect(url, key) as client:
        return await client.post("/v1/keys", {"name": name, "expires_in_days": days})


async def _list(url: str, key: str) -> Any:
    async with connect(url, key) as client:
        return await client.get("/v1/keys")


async def _revoke(url: str, key: str, key_id: str) -> None:
    async with connect(url, key) as client:
        await client.delete(f"/v1/keys/{key_id}")
