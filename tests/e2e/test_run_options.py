"""A private picture in, another format out, into a place of the caller's: and no secret anywhere afterwards."""

import asyncio
import io
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from PIL import Image

from comfyserve.cli.console import Exit
from comfyserve.client import Client, Event
from tests.cli.shell import Shell
from tests.e2e.program import KEY, Program, program, ready
from tests.e2e.shop import SIDE, WORD, Shop

pytestmark = pytest.mark.asyncio(loop_scope="module")

SETTINGS = {"allow_private_network": "127.0.0.1", "log_level": "debug", "log_format": "json"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shop() -> AsyncIterator[Shop]:
    async with Shop().open() as opened:
        yield opened


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the server has its data and its log."""
    return tmp_path_factory.mktemp("options")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(folder: Path) -> AsyncIterator[Program]:
    """A server that may call this machine, and logs all it does."""
    async with program(folder / "data", example="none", **SETTINGS) as running:
        async with running.client() as client:
            await ready(client)
        yield running


async def followed(
    client: Client, run_id: str, on_download: Callable[[], None] = lambda: None
) -> tuple[list[Event], dict[str, Any]]:
    """All events of a run, and the run at its end."""
    events: list[Event] = []
    async with asyncio.timeout(60):
        async for event in client.events(run_id):
            events.append(event)
            if event.kind == "download":
                on_download()
    return events[:-1], events[-1].data


async def submitted(client: Client, wish: dict[str, Any]) -> dict[str, Any]:
    """A queued run."""
    made: dict[str, Any] = await client.post("/v1/runs", wish)
    return made


async def test_from_a_private_picture_to_a_place_of_the_callers(server: Program, shop: Shop) -> None:
    async with server.client() as client:
        made = await submitted(client, shop.wish("slow.png"))
        events, run = await followed(client, made["id"], on_download=shop.go_on.set)
    assert run["status"] == "success", run["error"]
    [output] = run["outputs"]
    assert output["url"] == output["target_url"]
    assert output["url"].startswith(f"{shop.url}/in/") and output["url"].endswith(".webp")
    assert "asset_id" not in output
    content = shop.taken[output["url"].removeprefix(f"{shop.url}/in/")]
    with Image.open(io.BytesIO(content)) as taken:
        assert (taken.format, taken.size) == ("WEBP", (SIDE, SIDE))
    assert (output["mime"], output["size"], output["kind"]) == ("image/webp", len(content), "image")
    downloads = [event.data for event in events if event.kind == "download"]
    assert downloads, [event.kind for event in events]
    assert all(one["name"].endswith("slow.png") and one["total"] == len(shop.picture) for one in downloads)
    [arrived] = [event.data["data"] for event in events if event.kind == "downloaded"]
    assert (arrived["bytes"], arrived["cached"]) == (len(shop.picture), False)


async def test_the_command_line_reads_secrets_from_files(server: Program, shop: Shop, tmp_path: Path) -> None:
    shell = Shell(tmp_path, {"COMFYSERVE_URL": server.url, "COMFYSERVE_KEY": server.key})
    wish = shop.wish("quick.png")
    options = [f"--{name}={shell.file(f'{name}.json', wish[name])}" for name in ("credentials", "target")]
    done = await shell("run", shell.file("graph.json", wish["graph"]), *options, "--convert", "avif")
    assert done.code == Exit.OK, done.err
    url = done.out.strip()
    assert url.startswith(f"{shop.url}/in/") and url.endswith(".avif")
    assert url.removeprefix(f"{shop.url}/in/") in shop.taken
    assert {path.suffix for path in shell.folder.iterdir() if path.is_file()} == {".json"}
    assert WORD not in done.out + done.err


async def test_a_target_that_refuses_fails_the_run_and_loses_nothing(
    server: Program, shop: Shop, tmp_path: Path
) -> None:
    wish = shop.wish("quick.png")
    wish["target"]["auth"]["header_value"] = "wrong-word"
    async with server.client() as client:
        _, run = await followed(client, (await submitted(client, wish))["id"])
        assert (run["status"], run["error"]["code"]) == ("failed", "target_failed"), run
        assert "wrong-word" not in json.dumps(run)
        [output] = run["outputs"]
        assert "target_url" not in output
        await client.download(output["url"], tmp_path / "kept.webp")
    with Image.open(tmp_path / "kept.webp") as kept:
        assert kept.format == "WEBP"


async def test_a_private_picture_stays_closed_without_the_word(server: Program, shop: Shop) -> None:
    wish = shop.wish("quick.png")
    wish["credentials"][0]["auth"]["token"] = "wrong-word"
    closed = {name: value for name, value in wish.items() if name != "credentials"}
    async with server.client() as client:
        for one, code in ((wish, "fetch_failed"), (closed, "fetch_refused")):
            _, run = await followed(client, (await submitted(client, one))["id"])
            assert (run["status"], run["error"]["code"]) == ("failed", code), run["error"]
            assert "wrong-word" not in json.dumps(run)


def held(folder: Path, words: list[bytes]) -> set[str]:
    """The files that hold one of the words."""
    return {str(path) for path in folder.rglob("*") for word in words if word in _content(path)}


def _content(path: Path) -> bytes:
    """What a file holds; nothing of one that the server has just removed."""
    try:
        return path.read_bytes() if path.is_file() else b""
    except FileNotFoundError:
        return b""


async def test_no_secret_is_left_in_answers_the_log_or_on_the_disk(server: Program, folder: Path) -> None:
    """Comes last: it looks at what the tests above have left."""
    async with server.client() as client:
        runs = (await client.get("/v1/runs", limit=200))["items"]
        told = [await client.get(f"/v1/runs/{run['id']}/events", limit=200) for run in runs]
        alone = [await client.run(run["id"]) for run in runs]
    text = json.dumps([runs, told, alone])
    assert len(runs) >= 4
    assert (folder / "up.log").stat().st_size > 0
    words = [word.encode() for word in (WORD, "wrong-word")]
    assert not any(word in text.encode() for word in words)
    assert held(folder, words) == set()
    assert KEY not in text
