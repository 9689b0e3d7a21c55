"""`comfyserve key`: make, list and revoke API keys."""

from typing import Annotated, Any
from urllib.parse import quote

import typer

from comfyserve.cli.connection import KeyOption, UrlOption, connect
from comfyserve.cli.console import JsonFlag, finish, print_json, print_table, say

app = typer.Typer(help="Make, list and revoke API keys.", no_args_is_help=True, rich_markup_mode=None)


@app.command()
def create(
    name: Annotated[str, typer.Option(help="What the key is for.")] = "cli",
    days: Annotated[int | None, typer.Option(min=1, help="How many days it works; else until it is revoked.")] = None,
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
    heads = ("ID", "BEGINS WITH", "LAST USED", "EXPIRES", "NAME")
    print_table(heads, [_row(item) for item in keys["items"]])


@app.command()
def revoke(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="The key's id, as `key list` shows it.")],
    url: UrlOption = "",
    key: KeyOption = "",
    json: JsonFlag = False,
) -> None:
    """Revoke a key; calls that use it are refused from now on."""
    finish(_revoke(url, key, key_id), as_json=json)
    print_json({"revoked": key_id}) if json else say(f"Revoked {key_id}.")


def _row(item: Any) -> tuple[str, str, str, str, str]:
    expires = (item.get("expires_at") or "never")[:10]
    return item["id"], item["prefix"], (item["last_used_at"] or "never")[:19], expires, item["name"]


async def _create(url: str, key: str, name: str, days: int | None) -> Any:
    async with connect(url, key) as client:
        return await client.post("/v1/keys", {"name": name, "expires_in_days": days})


async def _list(url: str, key: str) -> Any:
    """Every key, over all pages."""
    async with connect(url, key) as client:
        items: list[Any] = []
        cursor = None
        while True:
            page = await client.get("/v1/keys", limit=200, cursor=cursor)
            items += page["items"]
            if not (cursor := page["next_cursor"]):
                return {"items": items}


async def _revoke(url: str, key: str, key_id: str) -> None:
    async with connect(url, key) as client:
        await client.delete(f"/v1/keys/{quote(key_id, safe='')}")
