"""Record what a real ComfyUI says into recorded.json; by hand, for it is not part of the tests:

    cp tests/ports/suite_nodes.py COMFYUI/custom_nodes/     (and start it)
    COMFY=http://127.0.0.1:8188 python -m tests.engines.record

Ids, times and the texts and paths of the machine are replaced, long runs of progress are cut.
"""

import asyncio
import json
import os
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp

FILE = Path(__file__).with_name("recorded.json")
TIME = 1760000000000
TIMED = ("timestamp", "create_time")
PROGRESSES = 2
"""How many messages of a kind about the progress of one node are kept."""

PREVIEW_HEAD = 8


def node(class_type: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": class_type, "inputs": inputs}


EMPTY = node("EmptyImage", width=16, height=16, batch_size=1, color=4711)
SHOW = node("PreviewImage", images=["1", 0])
SLOW = node("SuiteSlow", image=["1", 0], steps=1000)
BLEND = node("ImageBlend", image1=["1", 0], image2=["1", 0], blend_factor=0.5, blend_mode="none of them")
SAVE = node("SaveImage", images=["1", 0], filename_prefix="suite/sub/saved")
GRAPHS = {
    "success": {"1": EMPTY, "2": SHOW},
    "cached": {"1": EMPTY, "2": SHOW},
    "kinds": {"1": EMPTY, "2": SAVE, "3": SHOW, "4": node("PreviewAny", source="seven")},
    "half": {"1": EMPTY, "2": SHOW, "3": node("SaveImage", filename_prefix="x")},
    "refused": {"1": EMPTY, "2": node("SaveImage", filename_prefix="x")},
    "raised": {"1": EMPTY, "2": BLEND, "3": node("PreviewImage", images=["2", 0])},
    "interrupted": {"1": EMPTY, "2": SLOW, "3": node("PreviewImage", images=["2", 0])},
}


class Recorder:
    """A client that writes down all it is told."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self.session, self.url = session, url

    async def ask(self, path: str, body: Mapping[str, Any] | None = None) -> tuple[int, Any]:
        call = self.session.get(self.url + path) if body is None else self.session.post(self.url + path, json=body)
        async with call as answer:
            text = await answer.text()
            return answer.status, json.loads(text) if text else None

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[tuple[str, aiohttp.ClientWebSocketResponse]]:
        client = uuid4().hex
        async with self.session.ws_connect(f"{self.url}/ws?clientId={client}") as socket:
            await socket.send_json({"type": "feature_flags", "data": {"supports_preview_metadata": True}})
            await socket.receive()
            yield client, socket

    async def exchange(self, name: str, graph: Mapping[str, Any]) -> dict[str, Any]:
        """Submit, listen to the end, and read the record."""
        prompt_id = str(uuid4())
        async with self.listening() as (client, socket):
            body = {"prompt": graph, "prompt_id": prompt_id, "client_id": client}
            status, answer = await self.ask("/prompt", body)
            frames = await self._hear(socket, prompt_id) if status == 200 else []
        record = (await self.ask(f"/history/{prompt_id}"))[1].get(prompt_id)
        if record:
            del record["prompt"]
        found = {"status": status, "answer": answer, "frames": frames, "record": record}
        return dict(cleaned(found, {prompt_id: "PROMPT", client: "CLIENT"}))

    async def _hear(self, socket: aiohttp.ClientWebSocketResponse, prompt_id: str) -> list[Any]:
        frames: list[Any] = []
        async for frame in socket:
            told = json.loads(frame.data) if frame.type is aiohttp.WSMsgType.TEXT else {"binary": frame.data}
            frames.append(told)
            if told.get("type") == "progress" and told["data"]["value"] == 2 * PROGRESSES:
                await self.ask("/interrupt", {"prompt_id": prompt_id})
            if told.get("type") == "executing" and told["data"]["node"] is None:
                break
        return fewer(frames)

    async def deleted(self) -> dict[str, Any]:
        """One that waits behind another is taken out of the queue."""
        other, prompt_id = str(uuid4()), str(uuid4())
        async with self.listening() as (client, socket):
            for one in (other, prompt_id):
                body = {"prompt": GRAPHS["interrupted"], "prompt_id": one, "client_id": client}
                status, answer = await self.ask("/prompt", body)
            async for frame in socket:
                if frame.type is aiohttp.WSMsgType.TEXT and json.loads(frame.data)["type"] == "progress":
                    break
            queue = (await self.ask("/queue"))[1]
            await self.ask("/queue", {"delete": [prompt_id]})
            after = (await self.ask("/queue"))[1]
            await self.ask("/interrupt", {"prompt_id": other})
            await self._hear(socket, other)
        _, record = await self.ask(f"/history/{prompt_id}")
        found = {
            "status": status,
            "answer": answer,
            "frames": [],
            "queue": queue,
            "after": after,
            "record": record or None,
        }
        return dict(cleaned(found, {prompt_id: "PROMPT", other: "OTHER", client: "CLIENT"}))


def fewer(frames: list[Any]) -> list[Any]:
    """Without most of what is said about progress."""
    kept, said = [], 0
    for frame in frames:
        said += frame.get("type") == "progress"
        about = frame.get("type") in ("progress", "progress_state") or "binary" in frame
        if not about or said <= PROGRESSES:
            kept.append(frame)
    return kept


def cleaned(value: Any, names: Mapping[str, str], key: str = "") -> Any:
    """The same without what is of this machine and this moment."""
    if isinstance(value, dict):
        return {name: cleaned(item, names, name) for name, item in value.items()}
    if isinstance(value, list):
        return (
            ['  File "nodes.py", line 1, in run\n'] if key == "traceback" else [cleaned(item, names) for item in value]
        )
    if isinstance(value, bytes):
        return shorter(value, names)
    if key in TIMED:
        return TIME
    if key == "exception_message":
        return "no such mode\n"
    if not isinstance(value, str):
        return value
    for found, name in names.items():
        value = value.replace(found, name)
    return re.sub(r"tensor\(.*", "tensor", value, flags=re.DOTALL)


def shorter(frame: bytes, names: Mapping[str, str]) -> str:
    """A preview with metadata (spec comfyui-protocol section 8), `jpeg` in place of its picture."""
    size = int.from_bytes(frame[4:PREVIEW_HEAD])
    told = json.dumps(cleaned(json.loads(frame[PREVIEW_HEAD : PREVIEW_HEAD + size]), names)).encode()
    return (frame[:4] + len(told).to_bytes(4) + told + b"jpeg").hex()


async def main() -> None:
    async with aiohttp.ClientSession() as session:
        recorder = Recorder(session, os.environ["COMFY"])
        await recorder.ask("/free", {"free_memory": True, "unload_models": True})
        version = (await recorder.ask("/system_stats"))[1]["system"]["comfyui_version"]
        found = {name: await recorder.exchange(name, graph) for name, graph in GRAPHS.items()}
        found["deleted"] = await recorder.deleted()
    FILE.write_text(written({"comfyui": version, "exchanges": found}))


def written(value: Any, depth: int = 0) -> str:
    """JSON with a line for each frame and answer."""
    if depth == 4 or not isinstance(value, dict | list) or not value:
        return json.dumps(value)
    pad = "\n" + " " * (depth + 1)
    parts = (
        [f"{json.dumps(key)}: {written(item, depth + 1)}" for key, item in value.items()]
        if isinstance(value, dict)
        else [written(item, depth + 1) for item in value]
    )
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    return opening + pad + ("," + pad).join(parts) + "\n" + " " * depth + closing


if __name__ == "__main__":
    asyncio.run(main())
