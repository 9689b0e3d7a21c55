"""Every kind of secret is really used once, and stands in nothing that anybody is told or that is logged."""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

from aiohttp import web
from PIL import Image

from tests.e2e.program import colour_graph
from tests.e2e.solo_program import SECONDS, receiver, solo

LOGIN, SIGNED, BASIC, QUERY, BEARER, HEADER = (
    f"hush-{name}-1" for name in ["login", "signed", "basic", "query", "bearer", "head"]
)
FAILED, UPLOAD, S3, SYSTEM, HOOK = (f"hush-{name}-2" for name in ["failed", "upload", "s3", "system", "hook"])
TOKEN, OWN, KEY, SIGNING = "hush-hf-3", "hush-own-3", "hush-api-key-3", "whsec_aHVzaGh1c2hodXNoaHVzaGh1c2g="
ARRIVE = (LOGIN, SIGNED, BASIC, QUERY, BEARER, HEADER, FAILED, UPLOAD, SYSTEM, HOOK, OWN)
"""Those that an address is to be called with."""

BROKEN = """
from pydantic import BaseModel


class Input(BaseModel):
    url: str


def generate(input):
    raise RuntimeError("It broke.")
"""


@dataclass
class Shop:
    """A server of pictures that takes no upload; `asked` is what it was called with, logins decoded."""

    address: str
    asked: list[str] = field(default_factory=list)

    def with_login(self, secret: str, path: str) -> str:
        return f"http://user:{secret}@{self.address}/{path}"

    def note(self, request: web.Request) -> None:
        login = decoded(request.headers.get("Authorization", ""))
        self.asked.append(f"{request.method} {request.raw_path} {login} {request.headers.get('X-Key')}")


def decoded(authorization: str) -> str:
    """The login or the token of this header."""
    scheme, _, value = authorization.partition(" ")
    return base64.b64decode(value).decode() if scheme == "Basic" else value


@asynccontextmanager
async def selling() -> AsyncIterator[Shop]:
    content = BytesIO()
    Image.new("RGB", (8, 8)).save(content, "png")

    async def answer(request: web.Request) -> web.Response:
        shop.note(request)
        if request.method != "GET":
            await request.read()
            return web.Response(status=200 if "hook" in request.path else 403)
        return web.Response(body=content.getvalue(), status=404 if "missing" in request.path else 200)

    app = web.Application(client_max_size=2**30)
    app.router.add_route("*", "/{tail:.*}", answer)
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    shop = Shop(f"127.0.0.1:{runner.addresses[0][1]}")
    try:
        yield shop
    finally:
        await runner.cleanup()


def loading(*images: str) -> dict[str, Any]:
    """A graph that loads these and saves them."""
    graph: dict[str, Any] = {}
    for number, image in enumerate(images):
        graph[f"l{number}"] = {"class_type": "LoadImage", "inputs": {"image": image}}
        saved = {"images": [f"l{number}", 0], "filename_prefix": f"p{number}"}
        graph[f"s{number}"] = {"class_type": "SaveImage", "inputs": saved}
    return graph


def opened_by(shop: Shop) -> list[dict[str, Any]]:
    """A credential of each type."""
    auths: dict[str, dict[str, Any]] = {
        "basic": {"type": "basic", "username": "user", "password": BASIC},
        "query": {"type": "query", "query_param": "key", "query_value": QUERY},
        "bearer": {"type": "bearer", "token": BEARER},
        "header": {"type": "header", "header_name": "X-Key", "header_value": HEADER},
    }
    s3 = {"type": "s3", "access_key_id": "id", "secret_access_key": S3, "endpoint": f"http://{shop.address}"}
    found = [{"url_pattern": f"http://{shop.address}/{name}/**", "auth": auth} for name, auth in auths.items()]
    return [*found, {"url_pattern": "s3://**", "auth": s3}]


def requests(shop: Shop, hook: str) -> dict[str, tuple[str, dict[str, Any], set[int]]]:
    """Id -> path, body, and the statuses that it may be answered with."""
    url = f"http://{shop.address}"
    private = [f"{url}/{name}/a.png" for name in ("basic", "query", "bearer", "header")]
    images = [shop.with_login(LOGIN, "in.png"), f"{url}/signed.png?X-Amz-Signature={SIGNED}", *private]
    opens = {"credentials": opened_by(shop)}
    upload = {"url_prefix": shop.with_login(UPLOAD, "put/")}
    return {
        "good": ("/prompt", {"prompt": loading(*images), **opens}, {200}),
        "told": ("/prompt", {"prompt": colour_graph(), "webhook_v2": hook, **opens}, {202}),
        "missing": ("/prompt", {"prompt": loading(shop.with_login(FAILED, "missing.png")), **opens}, {400}),
        "bucket": ("/prompt", {"prompt": loading("s3://bucket/a.png"), **opens}, {400}),
        "upload": ("/prompt", {"prompt": colour_graph(), "http_upload": upload, **opens}, {500}),
        "late": ("/prompt", {"prompt": colour_graph(), "http_upload": upload, "webhook_v2": hook}, {202}),
        "flow": ("/workflow/broken", {"input": {"url": images[0]}, **opens}, {400, 500}),
    }


async def test_nothing_secret_is_logged_or_told(tmp_path: Path) -> None:
    workflows = tmp_path / "s" / "workflows"
    workflows.mkdir(parents=True)
    (workflows / "broken.py").write_text(BROKEN)
    async with selling() as shop, receiver() as hook, receiver() as system:
        variables = {
            "LOG_LEVEL": "trace",
            "HF_TOKEN": TOKEN,
            "HTTP_AUTH_HEADER_NAME": "X-Key",
            "HTTP_AUTH_HEADER_VALUE": OWN,
            "COMFYSERVE_HTTP_AUTH_HOSTS": shop.address,
            "COMFYSERVE_API_KEYS": KEY,
            "COMFYSERVE_ALLOW_PRIVATE_NETWORK": "127.0.0.1",
            "WEBHOOK_SECRET": SIGNING,
            "SYSTEM_WEBHOOK_URL": f"{system.url}?token={SYSTEM}",
            "SYSTEM_WEBHOOK_EVENTS": "all",
        }
        told: list[str] = []
        bearer = {"Authorization": f"Bearer {KEY}"}
        async with solo(tmp_path / "s", **variables) as running:
            for name, (path, body, statuses) in requests(shop, hook.url.replace("//", f"//user:{HOOK}@")).items():
                status, answer = await running.post(path, {"id": name, **body}, **bearer)
                assert status in statuses, (name, status, answer)
                told.append(str(answer))
            calls = [await asyncio.wait_for(hook.calls.get(), SECONDS) for _ in range(2)]
            assert {body["type"] for _, body in calls} == {"prompt.complete", "prompt.failed"}
            for path in ("/prompt/good", "/prompt/good/result", "/prompt/upload", "/prompt/missing"):
                told.append(str(await running.get(path, **bearer)))
            async with running.http.get(f"{running.url}/prompt/good/events", headers=bearer) as stream:
                events = await stream.text()
            assert "event:" in events
            told += [events, str([body for _, body in calls]), "".join(running.lines)]
        events = str([system.calls.get_nowait()[1] for _ in range(system.calls.qsize())])
        assert "storage.file_downloaded" in events and "comfy.execution_success" in events
        log = running.log.read_text()
        assert "EmptyImage" in log and "webhook_failed" not in log, "the request and the graph are logged"
    told += [events, log]
    seen = "\n".join([*shop.asked, *(decoded(headers.get("Authorization", "")) for headers, _ in calls), *system.asked])
    assert [secret for secret in ARRIVE if secret not in seen] == [], "each was sent where it belongs"
    secrets = [*ARRIVE, S3, TOKEN, KEY, SIGNING, SIGNING.removeprefix("whsec_")]
    forms = [form for secret in secrets for form in (secret, base64.b64encode(f"user:{secret}".encode()).decode())]
    assert [
        (form, text[max(0, text.find(form) - 300) :][:400]) for text in told for form in forms if form in text
    ] == []
