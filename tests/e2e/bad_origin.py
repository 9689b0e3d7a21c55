"""A web server as the fault tests need it: it breaks off, lies, redirects, never ends, wants a word, or waits."""

import asyncio
import io
import json
import re
from base64 import b64encode
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from PIL import Image

WORD = "open-sesame"
OPENED_BY = {"private": f"Bearer {WORD}", "login": f"Basic {b64encode(f'ann:{WORD}'.encode()).decode()}"}
SIDE = 64
MODEL_BYTES = 4_000_000


def picture(colour: str) -> bytes:
    """A picture of noise in one colour, so that a half of it is not a small one."""
    paper = io.BytesIO()
    noise = Image.effect_noise((SIDE, SIDE), 80)
    black = Image.new("L", (SIDE, SIDE))
    bands = [noise if one == colour else black for one in ("red", "green", "blue")]
    Image.merge("RGB", bands).save(paper, "PNG")
    return paper.getvalue()


def model() -> bytes:
    """A file of weights, as far as its form goes."""
    head = json.dumps({"w": {"dtype": "U8", "shape": [MODEL_BYTES], "data_offsets": [0, MODEL_BYTES]}}).encode()
    return len(head).to_bytes(8, "little") + head + bytes(range(250)) * (MODEL_BYTES // 250)


class BadOrigin:
    """The first part of a path says what goes wrong, its ending whether it is a picture or a model. `asked` counts GETs
    of more than a byte, by path, `starts` has the first byte that each asked for. What is `gated` stops at its half
    until `gate` is set, for requests from the first byte on."""

    def __init__(self) -> None:
        self.pictures = {colour: picture(colour) for colour in ("red", "green", "blue")}
        self.model = model()
        self.asked: Counter[str] = Counter()
        self.starts: dict[str, list[int]] = {}
        self.gate = asyncio.Event()
        self.url = ""

    @asynccontextmanager
    async def open(self) -> AsyncIterator["BadOrigin"]:
        """Listen on a free port."""
        app = web.Application()
        app.router.add_get("/{kind}/{path:.*}", self._answer)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield self
        finally:
            self.gate.set()
            await runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        kind = request.match_info["kind"]
        if kind == "redirect":
            return web.Response(status=302, headers={"Location": request.query["to"]})
        if kind in OPENED_BY and request.headers.get("Authorization") != OPENED_BY[kind]:
            return web.Response(status=401)
        body = self.model if request.path.endswith(".safetensors") else self.pictures.get(kind, self.pictures["red"])
        if request.headers.get("If-None-Match") == f'"{len(body)}"':
            return web.Response(status=304, headers={"ETag": f'"{len(body)}"'})
        if request.headers.get("Range") == "bytes=0-0":
            facts = {"ETag": f'"{len(body)}"', "Content-Range": f"bytes 0-0/{len(body)}"}
            return web.Response(status=206, headers=facts, body=body[:1])
        start = int(found[1]) if (found := re.fullmatch(r"bytes=(\d+)-", request.headers.get("Range", ""))) else 0
        if request.method == "GET":
            self.asked[request.path] += 1
            self.starts.setdefault(request.path, []).append(start)
        answer = web.StreamResponse(status=206 if start else 200, headers=_headers(kind, body, start))
        await answer.prepare(request)
        if request.method == "GET":
            await self._send(answer, request, kind, body[start:])
        return answer

    async def _send(self, answer: web.StreamResponse, request: web.Request, kind: str, body: bytes) -> None:
        half = len(body) // 2
        await answer.write(body[:half])
        if kind == "closes" or (kind == "closes-once" and self.asked[request.path] == 1):
            assert request.transport is not None
            request.transport.abort()
            return
        while kind in ("drips", "floods"):
            await answer.write(b"x" * (1 if kind == "drips" else 65_536))
            await asyncio.sleep(0.05 if kind == "drips" else 0)
        if kind == "gated" and len(self.starts[request.path]) == 1:
            await self.gate.wait()
        await answer.write(body[half:])


def _headers(kind: str, body: bytes, start: int) -> Mapping[str, str]:
    headers = {"ETag": f'"{len(body)}"', "Accept-Ranges": "bytes"}
    if start:
        headers["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
    lies = {"says-more": 1000, "says-less": -1000}
    if kind not in ("drips", "floods"):
        headers["Content-Length"] = str(len(body) - start + lies.get(kind, 0))
    return headers


def shown(url: str) -> dict[str, Any]:
    """A graph that loads a picture and saves it."""
    return {
        "1": {"class_type": "LoadImage", "inputs": {"image": url}},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "seen"}},
    }


def with_lora(url: str, colour: int = 0) -> dict[str, Any]:
    """A graph that loads a model by its address, and saves a colour."""
    return {
        "base": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "simulated-sd15.safetensors"}},
        "lora": {
            "class_type": "LoraLoader",
            "inputs": {
                "model": ["base", 0],
                "clip": ["base", 1],
                "lora_name": url,
                "strength_model": 1.0,
                "strength_clip": 1.0,
            },
        },
        "text": {"class_type": "CLIPTextEncode", "inputs": {"text": f"cap {colour}", "clip": ["lora", 1]}},
        "empty": {"class_type": "EmptyLatentImage", "inputs": {"width": 64, "height": 64, "batch_size": 1}},
        "sample": {
            "class_type": "KSampler",
            "inputs": {
                "model": ["lora", 0],
                "positive": ["text", 0],
                "negative": ["text", 0],
                "latent_image": ["empty", 0],
                "seed": colour,
                "steps": 1,
                "cfg": 1.0,
                "sampler_name": "euler",
                "scheduler": "normal",
                "denoise": 1.0,
            },
        },
        "decode": {"class_type": "VAEDecode", "inputs": {"samples": ["sample", 0], "vae": ["base", 2]}},
        "save": {"class_type": "SaveImage", "inputs": {"images": ["decode", 0], "filename_prefix": "lora"}},
    }
