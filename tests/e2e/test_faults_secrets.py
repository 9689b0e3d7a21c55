"""Nothing of a secret in logs, events, answers, webhooks, command lines, the database or the download cache."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
from aiohttp import web

from comfyserve.client import Client
from tests.e2e.bad_origin import BadOrigin, shown, with_lora
from tests.e2e.program import colour_graph, program, ready
from tests.e2e.shop import WORD, Shop
from tests.emulators.servers import SECRET_KEY, Bucket
from tests.fetch.git_server import PASSWORD, GitServer, make_repository
from tests.fetch.hub import TOKEN, Hub

WRONG, QUERY_SECRET = "wrong-word-3a", "query-secret-9c"
GIT_LOGIN = "ann:s3cret"
SECRETS = (WORD, WRONG, QUERY_SECRET, TOKEN, SECRET_KEY, GIT_LOGIN, PASSWORD.rstrip("="))
PASSWORDS = {"password in the URL", "password in an input", "password in the URL of a model"}
OPENED = PASSWORDS | {"right", "bucket", "token of the server"}
"""The runs that end well: their secrets were used."""


@asynccontextmanager
async def receiver() -> AsyncIterator[tuple[str, list[str]]]:
    """A receiver of webhooks that keeps what it is sent."""
    heard: list[str] = []

    async def hear(request: web.Request) -> web.Response:
        heard.append(f"{request.headers!r} {(await request.read()).decode()}")
        return web.Response()

    app = web.Application()
    app.router.add_post("/{path:.*}", hear)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}", heard
    await runner.cleanup()


async def watch_command_lines(seen: set[str]) -> None:
    """Keep every command line of this machine that is ever seen."""
    while True:
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                seen.add(" ".join(process.cmdline()))
        await asyncio.sleep(0.05)


async def told(client: Client, wish: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """All that the API says about a run, as text, and the run at its end."""
    made = await client.post("/v1/runs", wish)
    events = []
    async with asyncio.timeout(90):
        async for event in client.events(made["id"]):
            events.append((event.kind, event.data))
    kept = await client.get(f"/v1/runs/{made['id']}/events", limit=200)
    return json.dumps([made, events, kept, await client.run(made["id"])]), events[-1][1]


def wishes(shop: Shop, origin: BadOrigin, git: GitServer, bucket: Bucket) -> dict[str, dict[str, Any]]:
    """A run for every kind of secret, and for its wrong use."""
    wrong = shop.wish("a.png")
    wrong["target"]["auth"]["header_value"] = WRONG
    login = origin.url.replace("http://", f"http://ann:{WORD}@")
    signed = f"{shop.url}/private/d.png?X-Amz-Signature={QUERY_SECRET}&token={QUERY_SECRET}"
    s3 = {"type": "s3", "access_key_id": "AKID", "secret_access_key": SECRET_KEY, "region": "us-east-1"}
    target = {"type": "s3", "bucket": bucket.name, "prefix": "mine/", "auth": s3 | {"endpoint": bucket.url}}
    repository = git.url.replace("http://", f"git+http://{GIT_LOGIN}@") + "/closed/r.git#folder=loras"
    return {
        "right": shop.wish("slow.png"),
        "wrong target": wrong,
        "wrong credentials": shop.wish("b.png", word=WRONG),
        "password in the URL": {"graph": shown(f"{login}/login/a.png")},
        "password in an input": {"deployment": "picture", "inputs": {"picture": f"{login}/login/b.png"}},
        "password in the URL of a model": {"graph": with_lora(f"{login}/login/a.safetensors")},
        "secret in the query": {"graph": shown(signed)},
        "bucket": {"graph": colour_graph(1), "target": target},
        "token of the server": {
            "graph": with_lora("https://huggingface.co/closed/r/resolve/main/unet/model.safetensors")
        },
        "git": {"graph": with_lora(repository)},
    }


async def deploy(client: Client) -> None:
    """A deployment that takes a picture."""
    nodes = shown("unused.png")
    nodes["1"] = {
        "class_type": "ComfyUIDeployExternalImage",
        "inputs": {"input_id": "picture", "display_name": "", "description": "", "default_value_url": ""},
    }
    workflow = await client.post("/v1/workflows", {"name": "picture", "graph": nodes})
    await client.post("/v1/deployments", {"name": "picture", "workflow_id": workflow["id"]})


async def test_no_secret_is_told_or_left(tmp_path: Path, s3_bucket: Bucket) -> None:
    repositories = tmp_path / "git"
    repositories.mkdir()
    make_repository(repositories, {"model.safetensors": "x" * 100})
    hub, git = Hub(), GitServer(repositories)
    await hub.start()
    await git.start()
    settings = {
        "allow_private_network": "on",
        "log_level": "debug",
        "log_format": "json",
        "example": "none",
        "hf_token": TOKEN,
        "hf_endpoint": hub.url,
        "simulated_step_ms": "1",
    }
    data = tmp_path / "server" / "data"
    data.parent.mkdir()
    lines: set[str] = set()
    watching = asyncio.create_task(watch_command_lines(lines))
    try:
        async with (
            Shop().open() as shop,
            BadOrigin().open() as origin,
            receiver() as (hook, heard),
            program(data, **settings) as running,
            running.client() as client,
        ):
            await ready(client)
            shop.go_on.set()
            await deploy(client)
            asked = wishes(shop, origin, git, s3_bucket)
            said = await asyncio.gather(*(told(client, wish | {"webhook": f"{hook}/x"}) for wish in asked.values()))
            listed = json.dumps(await client.get("/v1/runs", limit=200))
            output = "\n".join(running.lines)
    finally:
        watching.cancel()
        await hub.stop()
        await git.stop()
    ends = {name: run["error"] for name, (_, run) in zip(asked, said, strict=True)}
    assert {name for name, error in ends.items() if error is None} == OPENED, ends
    assert f"Basic {PASSWORD}" in git.seen and f"Bearer {TOKEN}" in hub.tokens
    places = {f"told of {name}": text for name, (text, _) in zip(asked, said, strict=True)}
    places |= {"webhooks": "\n".join(heard), "the list": listed, "stdout": output, "command lines": "\n".join(lines)}
    assert len(heard) >= len(asked) and len(lines) > 10
    leaks = [(place, secret) for place, text in places.items() for secret in SECRETS if secret in text]
    assert leaks == []
    assert left(data.parent, SECRETS) <= {("data/comfyserve.db", QUERY_SECRET)}, "a graph is kept as it was sent"


def left(folder: Path, secrets: Sequence[str]) -> set[tuple[str, str]]:
    """The files that hold a secret: the log, the database, the cache with its side-cars, what the engine wrote."""
    files = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return {(name, secret) for name, content in files.items() for secret in secrets if secret.encode() in content}
