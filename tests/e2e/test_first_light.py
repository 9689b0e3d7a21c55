"""The whole way: the example runs on real input, its logo lies on the product, and every run is whole."""

import asyncio
import io
import os
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest
from PIL import Image

from comfyserve.client import Client
from tests.e2e.program import Program, colour_graph, finished, until

pytestmark = pytest.mark.asyncio(loop_scope="module")

GREEN = (0, 200, 80)


async def test_the_example_places_the_logo_at_every_size(client: Client, tmp_path: Path) -> None:
    logo = Image.new("RGBA", (300, 200), (0, 0, 0, 0))
    logo.paste((*GREEN, 255), (100, 50, 200, 150))
    logo.save(tmp_path / "logo.png")
    asset = await client.upload(tmp_path / "logo.png")
    for size in (512, 768, 1024):
        run = await client.create_run("pod", {"input_image": asset["url"], "input_number": size})
        ended = await finished(client, run["id"])
        assert ended["status"] == "success", ended["error"]
        picture = await _picture(client, ended)
        assert picture.size == (size, size)
        assert 0.002 < _share_of(picture, GREEN) < 0.2
        assert ended["simulated"] is True


async def test_without_input_the_defaults_run(client: Client) -> None:
    ended = await finished(client, (await client.create_run("pod", {}))["id"])
    assert ended["status"] == "success"
    assert (await _picture(client, ended)).size == (768, 768)


async def test_the_same_run_twice_gives_two_full_results(client: Client) -> None:
    results = [await finished(client, (await client.create_run("pod", {"input_number": 512}))["id"]) for _ in range(2)]
    assert [result["status"] for result in results] == ["success", "success"]
    names = [[(output["filename"], output["size"]) for output in result["outputs"]] for result in results]
    assert names[0] and [name for name, _ in names[0]] == [name for name, _ in names[1]]
    assert results[0]["outputs"][0]["asset_id"] != results[1]["outputs"][0]["asset_id"]
    for result in results:
        assert len(await _bytes(client, result)) > 1000


async def test_a_preview_that_was_tidied_away_is_made_again(shared: Program, client: Client) -> None:
    graph = colour_graph(0x204060)
    graph["2"] = {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}}
    command = shared.engines()[0].cmdline()
    temp = Path(command[command.index("--base-directory") + 1]) / "temp"
    for _ in range(2):
        ended = await finished(client, (await client.create_run(None, {}, graph=graph))["id"])
        assert ended["status"] == "success", ended["error"]
        assert (await _picture(client, ended)).getpixel((3, 3)) == (0x20, 0x40, 0x60)
        await until(lambda: _names(temp), lambda names: names == [])


async def test_a_graph_runs_without_being_deployed(client: Client) -> None:
    ended = await finished(client, (await client.create_run(None, {}, graph=colour_graph(0xFF0000)))["id"])
    assert ended["status"] == "success"
    assert (await _picture(client, ended)).getpixel((3, 3)) == (255, 0, 0)
    assert ended["simulated"] is False


async def test_an_idempotency_key_makes_one_run(client: Client) -> None:
    graph = colour_graph(3)
    first = await client.create_run(None, {}, graph=graph, idempotency_key="once")
    again = await client.create_run(None, {}, graph=graph, idempotency_key="once")
    assert first["id"] == again["id"]


async def test_events_tell_the_story_and_can_be_resumed(client: Client) -> None:
    run = await client.create_run("pod", {"input_number": 512})
    await finished(client, run["id"])
    page = await client.get(f"/v1/runs/{run['id']}/events", limit=200)
    kinds = [event["kind"] for event in page["items"]]
    assert kinds[:2] == ["submitted", "claimed"] and kinds[-1] == "succeeded"
    assert [event["seq"] for event in page["items"]] == list(range(1, len(kinds) + 1))
    resumed = [event async for event in client.events(run["id"], after=str(len(kinds) - 2))]
    assert [event.kind for event in resumed if event.id] == kinds[-2:]


async def test_pages_health_and_docs_answer(shared: Program) -> None:
    async with httpx2.AsyncClient(base_url=shared.url, trust_env=False) as web:
        assert (await web.get("/health")).json() == {"status": "ok"}
        assert (await web.get("/ready")).json()["engine"] == "ready"
        page = await web.get("/", headers={"Accept": "text/html"})
        assert page.status_code == 200 and "<div id=" in page.text
        docs = await web.get("/docs")
        assert docs.status_code == 200 and "https://" not in docs.text


async def _names(folder: Path) -> list[str]:
    return await asyncio.to_thread(os.listdir, folder)


async def _picture(client: Client, run: Any) -> Image.Image:
    return Image.open(io.BytesIO(await _bytes(client, run))).convert("RGB")


async def _bytes(client: Client, run: Any) -> bytes:
    async with httpx2.AsyncClient(trust_env=False) as web:
        answer = await web.get(run["outputs"][0]["url"])
    assert answer.status_code == 200
    return answer.content


def _share_of(picture: Image.Image, colour: tuple[int, int, int]) -> float:
    near = np.abs(np.asarray(picture, dtype=int) - np.array(colour)).max(axis=-1) < 60
    return float(near.mean())
