"""Pictures, folders of pictures and models by URL go the whole way, and nothing of them stays among the inputs."""

import io
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from PIL import Image

from comfyserve.client import ApiError, Client
from tests.e2e.program import finished, program, ready, until

pytestmark = pytest.mark.asyncio(loop_scope="module")

SAFETENSORS = (64).to_bytes(8, "little") + b"{}".ljust(64)


def picture(shade: int) -> bytes:
    """A small picture of one shade."""
    stream = io.BytesIO()
    Image.new("RGB", (16, 16), (shade, shade, shade)).save(stream, "png")
    return stream.getvalue()


FILES = {"/dark.png": picture(10), "/light.png": picture(200), "/style": SAFETENSORS, "/mine": SAFETENSORS}
PRIVATE, WORD = "/mine", "open-sesame"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def host() -> AsyncIterator[str]:
    """A server of these files."""

    async def answer(request: web.Request) -> web.Response:
        if request.path == PRIVATE and request.headers.get("Authorization") != f"Bearer {WORD}":
            return web.Response(status=401)
        body = FILES.get(request.path)
        return web.Response(status=404) if body is None else web.Response(body=body)

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The server's folder."""
    return tmp_path_factory.mktemp("addresses") / "data"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(data: Path) -> AsyncIterator[Client]:
    """A client of a server that may call this machine."""
    settings = {"allow_private_network": "127.0.0.1", "simulated_step_ms": "1", "example": "none"}
    async with program(data, **settings) as running, running.client() as connected:
        await ready(connected)
        yield connected


def graph(**nodes: tuple[str, Mapping[str, Any]]) -> dict[str, Any]:
    return {name: {"class_type": kind, "inputs": dict(inputs)} for name, (kind, inputs) in nodes.items()}


async def ended(client: Client, wish: Mapping[str, Any], inputs: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
    run = await client.create_run(None, dict(inputs or {}), graph=dict(wish))
    return await finished(client, run["id"])


async def test_a_folder_of_pictures_keeps_its_order_and_goes_again(
    client: Client, host: str, data: Path, tmp_path: Path
) -> None:
    shades = [f"{host}/light.png?key=secret", f"{host}/dark.png", f"{host}/light.png?key=secret"]
    run = await ended(
        client,
        graph(
            load=("VHS_LoadImages", {"directory": shades}),
            save=("SaveImage", {"images": ["load", 0], "filename_prefix": "x"}),
        ),
    )
    assert run["status"] == "success", run["error"]
    seen = []
    for output in run["outputs"]:
        await client.download(output["url"], tmp_path / "seen.png")
        seen.append(Image.open(tmp_path / "seen.png").convert("L").getpixel((0, 0)))
    assert seen == [200, 10, 200]

    async def left() -> list[str]:
        return [path.name for path in (data / "engine" / "input").rglob("*") if path.name != "comfyserve"]

    assert await until(left, lambda names: not names) == []


MODELS = graph(
    base=("CheckpointLoaderSimple", {"ckpt_name": "simulated-sd15.safetensors"}),
    wish=("ComfyUIDeployExternalLora", {"input_id": "style", "lora_url": "", "bearer_token": ""}),
    lora=(
        "LoraLoader",
        {
            "model": ["base", 0],
            "clip": ["base", 1],
            "lora_name": ["wish", 0],
            "strength_model": 1.0,
            "strength_clip": 1.0,
        },
    ),
    text=("CLIPTextEncode", {"text": "a cap", "clip": ["lora", 1]}),
    empty=("EmptyLatentImage", {"width": 64, "height": 64, "batch_size": 1}),
    sample=(
        "KSampler",
        {
            "model": ["lora", 0],
            "positive": ["text", 0],
            "negative": ["text", 0],
            "latent_image": ["empty", 0],
            "seed": 1,
            "steps": 1,
            "cfg": 1.0,
            "sampler_name": "euler",
            "scheduler": "normal",
            "denoise": 1.0,
        },
    ),
    decode=("VAEDecode", {"samples": ["sample", 0], "vae": ["base", 2]}),
    save=("SaveImage", {"images": ["decode", 0], "filename_prefix": "x"}),
)


async def test_a_model_by_url_is_linked_once_and_told(client: Client, host: str, data: Path) -> None:
    direct = {name: node for name, node in MODELS.items() if name != "wish"}
    direct["lora"] = {**MODELS["lora"], "inputs": {**MODELS["lora"]["inputs"], "lora_name": f"{host}/style"}}
    told = []
    for wish, inputs in ((MODELS, {"style": f"{host}/style"}), (direct, {})):
        run = await ended(client, wish, inputs)
        assert run["status"] == "success", run["error"]
        events = (await client.get(f"/v1/runs/{run['id']}/events"))["items"]
        told += [(event["data"]["name"], event["data"]["cached"]) for event in events if event["kind"] == "downloaded"]
    name = f"{host.removeprefix('http://').partition(':')[0]}/style"
    assert told == [(name, False), (name, True)]
    [link] = (data / "engine" / "models" / "loras").iterdir()
    assert link.suffix == ".safetensors" and link.readlink().parent == data / "cache"


async def test_a_private_model_is_not_had_by_a_name(client: Client, host: str, data: Path) -> None:
    """Neither by the name that follows from its address, nor by the one that it has in the engine's folder."""

    def with_lora(name: str) -> dict[str, Any]:
        nodes = {**MODELS, "lora": {**MODELS["lora"], "inputs": {**MODELS["lora"]["inputs"], "lora_name": name}}}
        return {node_id: node for node_id, node in nodes.items() if node_id != "wish"}

    direct = with_lora(f"{host}{PRIVATE}")
    opens = [{"url_pattern": f"{host}/**", "auth": {"type": "bearer", "token": WORD}}]
    folder = data / "engine" / "models" / "loras"
    before = {link.name for link in folder.iterdir()}
    for _ in range(2):
        run = await client.create_run(None, {}, graph=direct, credentials=opens)
        assert (await finished(client, run["id"]))["status"] == "success"
    [link] = {link.name for link in folder.iterdir()} - before
    key = (folder / link).readlink().name
    assert link.partition(".")[0] != key.partition(".")[0]
    assert (await ended(client, direct))["error"]["code"] == "fetch_refused"
    for name in (link, key, key.partition(".")[0]):
        with pytest.raises(ApiError, match="give its URL"):
            await client.create_run(None, {}, graph=with_lora(name))


async def test_a_name_that_leaves_its_folder_is_refused_before_anything_runs(client: Client) -> None:
    wrong = graph(load=("LoadImage", {"image": "../../comfyserve.db"}), save=("SaveImage", {"images": ["load", 0]}))
    with pytest.raises(ApiError) as caught:
        await client.create_run(None, {}, graph=wrong)
    assert (caught.value.code, caught.value.place) == ("invalid_input", {"node_id": "load", "field": "image"})
