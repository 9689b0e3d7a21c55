"""One solo, and files that reach and leave it in every way: long base64 that is spooled, custom workflows that decode
it, a storage that the operator added, the server's own Azure by its web address, and storages that refuse."""

import asyncio
import base64
import io
import json
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import obstore
import pytest
import pytest_asyncio
from aiohttp import web
from PIL import Image

from tests.e2e.program import colour_graph
from tests.e2e.solo_program import Receiver, SoloProgram, receiver, solo
from tests.emulators.servers import AZURE_ACCOUNT, AZURE_KEY, Bucket, new_bucket
from tests.emulators.test_servers import store_of

SAMPLE = Path(__file__).parents[1] / "fetch" / "sample_storage"
LOOK = """
import base64
from pydantic import BaseModel


class Input(BaseModel):
    picture: str
    notes: list[str] = []


def generate(input: Input) -> dict:
    if not base64.b64decode(input.picture.rpartition(",")[2], validate=True).startswith(b"\\x89PNG"):
        raise ValueError("no picture")
    return {
        "1": {"class_type": "LoadImage", "inputs": {"image": input.picture}},
        "9": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": f"n{len(input.notes)}"}},
    }
"""
NODE_LOOK = """
const { z } = require("zod");
const RequestSchema = z.object({ picture: z.string(), notes: z.array(z.string()).default([]) });
function generateWorkflow(input) {
  const bytes = Buffer.from(input.picture.split(",").pop(), "base64");
  if (bytes.subarray(1, 4).toString() !== "PNG") throw new Error("no picture");
  return {
    1: { class_type: "LoadImage", inputs: { image: input.picture } },
    9: { class_type: "SaveImage", inputs: { images: ["1", 0], filename_prefix: `n${input.notes.length}` } },
  };
}
exports.default = { RequestSchema, generateWorkflow };
"""

pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass
class Place:
    """A running solo: `shelf` is the folder of the sample storage, `azure` a container of the server's own account,
    `refusing` a server that answers 403 to everything, where all other storages of the server are."""

    running: SoloProgram
    shelf: Path
    refusing: str
    hook: Receiver
    azure: Bucket


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(tmp_path_factory: pytest.TempPathFactory, azurite_url: str) -> AsyncIterator[Place]:
    folder = tmp_path_factory.mktemp("solo")
    azure = new_bucket("azure", azurite_url)
    workflows = folder / "workflows"
    workflows.mkdir()
    (workflows / "look.py").write_text(LOOK)
    (workflows / "look-node.js").write_text(NODE_LOOK)
    refusing, url = await _refusing()
    account = f"AccountName={AZURE_ACCOUNT};AccountKey={AZURE_KEY};BlobEndpoint={azure.url};"
    variables = {
        "PYTHONPATH": os.pathsep.join(filter(None, [str(SAMPLE), os.environ.get("PYTHONPATH")])),
        "SHELF_FOLDER": str(folder / "shelf"),
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AZURE_STORAGE_CONNECTION_STRING": account,
        "HF_ENDPOINT": url,
        "HF_TOKEN": "hf_token",
        "COMFYSERVE_ALLOW_PRIVATE_NETWORK": "127.0.0.1",
    }
    async with receiver() as hook, solo(folder, **variables) as running:
        yield Place(running, folder / "shelf", url, hook, azure)
    await refusing.cleanup()


async def _refusing() -> tuple[web.AppRunner, str]:
    """A server that lets nobody write."""

    async def refuse(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(status=403, text="no")

    app = web.Application(client_max_size=2**30)
    app.router.add_route("*", "/{tail:.*}", refuse)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return runner, f"http://127.0.0.1:{runner.addresses[0][1]}"


def picture(size: int, seed: int = 1) -> bytes:
    """A PNG of about this size."""
    pixels = np.random.default_rng(seed).integers(0, 255, (size // 192, 64, 3), dtype=np.uint8)
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "png", compress_level=0)
    return content.getvalue()


def text_of(content: bytes) -> str:
    return base64.b64encode(content).decode()


def same(image: str, content: bytes) -> bool:
    """Whether an answered picture has the pixels of one that was sent."""
    came, sent = (np.asarray(Image.open(io.BytesIO(one)).convert("RGB")) for one in (base64.b64decode(image), content))
    return np.array_equal(came, sent)


def loads(image: str) -> dict[str, Any]:
    """A graph that saves the picture that it loads."""
    return {
        "1": {"class_type": "LoadImage", "inputs": {"image": image}},
        "9": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "same"}},
    }


def left(place: Place) -> list[Path]:
    """Scratch files of requests."""
    return [path for path in place.running.log.parent.glob(".local/state/*/spool/*") if path.is_file()]


@pytest.mark.parametrize("head", ["", "data:image/png;base64,"])
async def test_a_long_picture_comes_back_whole_and_is_told_by_its_name(place: Place, head: str) -> None:
    content = picture(2_000_000)
    status, body = await place.running.post("/prompt", {"prompt": loads(head + text_of(content))})
    assert status == 200 and same(body["images"][0], content)
    assert body["prompt"]["1"]["inputs"]["image"].startswith("img_")
    assert left(place) == []


async def test_a_long_text_that_is_no_picture_is_refused_at_its_place(place: Place) -> None:
    status, body = await place.running.post("/prompt", {"prompt": loads("A" * 200_000)})
    assert (status, body["location"]) == (400, "prompt.1.inputs.image"), body
    assert left(place) == []


@pytest.mark.parametrize("path", ["look", "look-node"])
@pytest.mark.parametrize("head", ["", "data:image/png;base64,"])
async def test_a_long_picture_reaches_a_workflow_as_it_was_sent(place: Place, path: str, head: str) -> None:
    content, note = picture(200_000), text_of(picture(100_000, seed=2))
    order = {"input": {"picture": head + text_of(content), "notes": [note]}}
    status, body = await place.running.post(f"/workflow/{path}", order)
    assert status == 200, body
    assert same(body["images"][0], content) and "_n1_" in body["filenames"][0]
    name = body["prompt"]["1"]["inputs"]["image"]
    assert name.startswith("img_")
    assert body["input"] == {"picture": name, "notes": [f"({len(note)} bytes)"]}


async def test_a_web_address_of_the_servers_own_azure_is_an_input(place: Place) -> None:
    content = picture(20_000)
    await obstore.put_async(store_of(place.azure), "in/a.png", content)
    url = f"{place.azure.url}/{place.azure.name}/in/a.png"
    status, body = await place.running.post("/prompt", {"prompt": loads(url)})
    assert status == 200 and same(body["images"][0], content), body


async def test_files_go_to_a_storage_of_the_operators_and_come_from_it(place: Place) -> None:
    upload = {"url": "shelf://first/place"}
    order = {"prompt": colour_graph(7), "id": "shelved", "storage_upload": upload}
    status, body = await place.running.post("/prompt", order)
    assert status == 200, body
    (address,) = body["images"]
    assert address == "shelf://first/place/shelved_colour_00001_.png"
    kept = (place.shelf / "first" / "place" / "shelved_colour_00001_.png").read_bytes()
    assert body["storage_upload"] == {**upload, "async": False}
    status, body = await place.running.post("/prompt", {"prompt": loads(address)})
    assert status == 200 and same(body["images"][0], kept)


REFUSED = [
    ("s3", {"bucket": "closed", "prefix": "a/"}, "The bucket closed refuses the file (403)"),
    ("azure_blob_upload", {"container": "nosuchcontainer", "blob_prefix": "a/"}, "nosuchcontainer"),
    ("hf_upload", {"repo": "owner/closed"}, "owner/closed"),
    ("http_upload", {"url_prefix": "{refusing}/a"}, "403"),
]


@pytest.mark.parametrize(("key", "upload", "sentence"), REFUSED, ids=[key for key, *_ in REFUSED])
async def test_a_storage_that_refuses_is_told_in_the_answer_and_in_the_webhook(
    place: Place, key: str, upload: dict[str, str], sentence: str
) -> None:
    wanted = {name: value.format(refusing=place.refusing) for name, value in upload.items()}
    order = {"prompt": colour_graph(3), key: wanted}
    hooked = {**order, "id": f"hooked-{key}", "webhook_v2": place.hook.url}
    (status, body), (accepted, _) = await asyncio.gather(
        place.running.post("/prompt", order), place.running.post("/prompt", hooked)
    )
    assert (status, body["statusCode"], accepted) == (500, 500, 202)
    assert "images" not in body and sentence in body["message"]
    told = (await place.hook.ids({f"hooked-{key}"}))[f"hooked-{key}"]
    assert told["type"] == "prompt.failed" and told["error"] == body["message"]
    assert "hf_token" not in json.dumps([body, told])
