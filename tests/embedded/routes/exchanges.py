"""What is asked of real ComfyUI and of the embedded engine alike; the answers of the real one are recorded.

`python -m tests.embedded.routes.exchanges http://127.0.0.1:8188` asks a real ComfyUI (0.3.64) and writes
real_answers.json beside this file. It keeps no content, only statuses, headers and the types of values.
"""

import asyncio
import io
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
from PIL import Image

RECORDED = Path(__file__).with_name("real_answers.json")
HEADERS = ("Cache-Control", "Content-Disposition", "Accept-Ranges", "Content-Range")
WAIT_SECONDS = 60
CLIENT = "probe"

Answer = dict[str, Any]


def picture(mode: str = "RGBA", color: tuple[int, ...] = (10, 20, 30, 128), size: tuple[int, int] = (8, 6)) -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, size, color).save(buffer, "PNG")
    return buffer.getvalue()


def graph(prefix: str = "probe") -> dict[str, Any]:
    """With one output only: ComfyUI executes several in no certain order."""
    return {
        "1": {"class_type": "LoadImage", "inputs": {"image": "probe.png"}},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": prefix}},
    }


def preview_graph() -> dict[str, Any]:
    return graph() | {"2": {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}}}


def form(content: bytes, name: str = "probe.png", **fields: str) -> aiohttp.FormData:
    data = aiohttp.FormData(quote_fields=False)
    for key, value in fields.items():
        data.add_field(key, value)
    data.add_field("image", content, filename=name, content_type="image/png")
    return data


def masked(**original: str) -> aiohttp.FormData:
    return form(picture(color=(0, 0, 0, 77)), "masked.png", original_ref=json.dumps(original), overwrite="true")


# fmt: off
UPLOADS: list[tuple[str, str, Any]] = [
    ("POST", "/upload/image", lambda: form(picture(), overwrite="true")),
    ("POST", "/upload/image", lambda: form(picture())),
    ("POST", "/api/upload/image", lambda: form(picture(color=(1, 2, 3, 4)), "probe.png", type="temp", subfolder="a/b")),
    ("POST", "/upload/image", lambda: form(picture(), "probe.png", subfolder="../..")),
    ("POST", "/upload/image", lambda: b"junk"),
    ("POST", "/upload/mask", lambda: masked(filename="probe.png", type="input")),
    ("POST", "/upload/mask", lambda: masked(filename="probe.png [input]")),
    ("POST", "/upload/mask", lambda: masked(filename="absent.png", type="input")),
]
PLAIN: list[tuple[str, str, Any]] = [
    ("GET", "/view?filename=probe.png&type=input", None),
    ("GET", "/view?filename=probe.png%20[input]&type=output", None),
    ("GET", "/view?filename=elsewhere/probe.png&type=input&rand=0.5", None),
    ("GET", "/view?filename=probe.png&type=input&preview=webp;50", None),
    ("GET", "/view?filename=probe.png&type=input&preview=jpeg", None),
    ("GET", "/view?filename=probe.png&type=input&preview=jpeg&channel=rgba", None),
    ("GET", "/view?filename=probe.png&type=input&preview=other", None),
    ("GET", "/view?filename=probe.png&type=input&channel=rgb", None),
    ("GET", "/view?filename=probe.png&type=input&channel=a", None),
    ("GET", "/view?filename=probe.png&type=input&channel=rgba", None),
    ("GET", "/view", None), ("GET", "/view?filename=", None), ("GET", "/view?filename=absent.png", None),
    ("GET", "/view?filename=/etc/passwd", None), ("GET", "/view?filename=../x.png", None),
    ("GET", "/view?filename=probe.png&type=other", None), ("GET", "/view?filename=x&subfolder=../..", None),
    ("GET", "/prompt", None), ("HEAD", "/prompt", None), ("DELETE", "/prompt", None), ("OPTIONS", "/anything", None),
    ("GET", "/queue", None), ("POST", "/queue", b"{}"), ("POST", "/queue", b'{"delete": ["absent"]}'),
    ("POST", "/history", b'{"delete": ["absent"]}'), ("GET", "/history/absent", None),
    ("POST", "/interrupt", b""), ("POST", "/interrupt", b"junk"), ("POST", "/interrupt", b'{"prompt_id": "absent"}'),
    ("POST", "/free", b'{"unload_models": true, "free_memory": true}'), ("POST", "/free", b""),
    ("GET", "/history?max_items=x", None), ("POST", "/prompt", b"["), ("POST", "/prompt", b"{}"),
    ("POST", "/prompt", b'{"prompt": {}}'), ("POST", "/prompt", b'{"prompt": {"1": {"inputs": {}}}}'),
    ("POST", "/prompt", b'{"prompt": {"1": {"class_type": "Absent", "inputs": {}}}}'),
    ("POST", "/prompt", b'{"prompt": {"1": {"class_type": "SaveImage", "inputs": {}}}}'),
    ("GET", "/system_stats", None), ("GET", "/features", None), ("GET", "/object_info/Absent", None),
    ("GET", "/object_info/LoadImage", None), ("GET", "/models", None), ("GET", "/models/absent", None),
    ("GET", "/models/loras", None), ("GET", "/experiment/models", None), ("GET", "/experiment/models/absent", None),
    ("GET", "/experiment/models/loras", None), ("GET", "/experiment/models/preview/loras/0/x.safetensors", None),
    ("GET", "/view_metadata/loras", None), ("GET", "/view_metadata/loras?filename=absent.safetensors", None),
    ("GET", "/i18n", None), ("GET", "/workflow_templates", None), ("GET", "/extensions/absent/x.js", None),
    ("GET", "/internal/logs", None), ("GET", "/internal/logs/raw", None), ("GET", "/internal/folder_paths", None),
    ("GET", "/internal/files/input", None), ("GET", "/internal/files/other", None), ("GET", "/api/internal/logs", None),
    ("PATCH", "/internal/logs/subscribe", b'{"clientId": "absent", "enabled": true}'),
    ("GET", "/users", None), ("POST", "/settings/probe.one", b"[true]"), ("GET", "/settings/probe.one", None),
    ("POST", "/settings", b'{"probe.two": 2}'), ("GET", "/settings/absent", None),
    ("GET", "/userdata", None), ("GET", "/userdata?dir=absent", None), ("GET", "/userdata?dir=..", None),
    ("GET", "/v2/userdata?path=../x", None), ("GET", "/v2/userdata?path=absent", None),
    ("POST", "/userdata/probe%2Fa.json", b"{}"), ("POST", "/userdata/probe%2Fa.json?overwrite=false", b"{}"),
    ("POST", "/userdata/probe%2Fdeep%2Fb.json?full_info=true", b"{}"), ("POST", "/userdata/probe/c.json", b"{}"),
    ("GET", "/userdata/probe%2Fa.json", None), ("GET", "/userdata/absent", None), ("GET", "/userdata/..%2Fx", None),
    ("GET", "/userdata?dir=probe", None), ("GET", "/userdata?dir=probe&recurse=true&full_info=true", None),
    ("GET", "/userdata?dir=probe&split=true", None), ("GET", "/v2/userdata?path=probe", None),
    ("POST", "/userdata/probe%2Fa.json/move/probe%2Fdeep%2Fb.json?overwrite=false", b""),
    ("POST", "/userdata/probe%2Fa.json/move/probe%2Fd.json?full_info=true", b""),
    ("POST", "/userdata/absent/move/probe%2Fe.json", b""), ("DELETE", "/userdata/probe%2Fd.json", None),
    ("DELETE", "/userdata/probe%2Fdeep%2Fb.json", None), ("DELETE", "/userdata/absent", None),
    ("GET", "/absent", None), ("GET", "/absent.js", None),
]
# fmt: on
RUNS: list[tuple[str, dict[str, Any]]] = [
    ("runs", {"prompt": graph(), "client_id": CLIENT}),
    ("runs again from the cache", {"prompt": graph(), "client_id": CLIENT, "extra_data": {"api_key_comfy_org": "x"}}),
    ("previews", {"prompt": preview_graph(), "client_id": CLIENT, "number": "3.5"}),
    ("fails", {"prompt": graph("../../outside"), "client_id": CLIENT}),
    ("runs for nobody", {"prompt": graph("nobody")}),
]


def shape(value: Any) -> Any:
    """The types of a JSON value; of a list only those of its first element."""
    match value:
        case dict():
            return {key: shape(item) for key, item in value.items()}
        case list():
            return [shape(item) for item in value[:1]]
        case bool():
            return "bool"
        case int() | float():
            return "number"
        case str():
            return "text"
        case _:
            return value


async def exchange(session: aiohttp.ClientSession, url: str, method: str, path: str, body: Any) -> Answer:
    """Ask once; the answer without its content."""
    data = body() if callable(body) else body
    async with session.request(method, url + path, data=data) as response:
        content = await response.read()
        is_json = response.content_type == "application/json" and content
        return {
            "asked": f"{method} {path}" + (f" {body.decode()}" if isinstance(body, bytes) and body else ""),
            "status": response.status,
            "content_type": response.content_type if content else None,
            "headers": {name: response.headers[name] for name in HEADERS if name in response.headers},
            "body": shape(json.loads(content)) if is_json else ("content" if content else ""),
        }


async def run(session: aiohttp.ClientSession, url: str, name: str, wish: dict[str, Any]) -> Answer:
    """Queue a prompt: the frames its client hears up to the end, and the record of the history."""
    prompt_id = name.replace(" ", "-")
    async with session.ws_connect(f"{url}/ws?clientId={CLIENT}") as socket:
        await socket.receive_json(timeout=WAIT_SECONDS)
        async with session.post(f"{url}/prompt", json={**wish, "prompt_id": prompt_id}) as response:
            answer = await response.json()
        frames = [frame async for frame in _until_done(session, url, socket, prompt_id)]
        async with session.get(f"{url}/history/{prompt_id}") as response:
            record = (await response.json())[prompt_id]
    return {"asked": name, "answer": shape(answer), "frames": frames, "record": _record(record)}


async def everything(url: str) -> list[Answer]:
    """All answers of one server, in order."""
    async with aiohttp.ClientSession() as session:
        asked = [*UPLOADS, *PLAIN]
        answers = [await exchange(session, url, *one) for one in asked]
        return answers + [await run(session, url, *one) for one in RUNS]


async def _until_done(
    session: aiohttp.ClientSession, url: str, socket: aiohttp.ClientWebSocketResponse, prompt_id: str
) -> AsyncIterator[Any]:
    idle = 0
    while True:
        frame = await socket.receive(timeout=WAIT_SECONDS)
        message = json.loads(frame.data) if frame.type == aiohttp.WSMsgType.TEXT else None
        if message is None:
            yield "binary"
            continue
        kind, data = message["type"], message["data"]
        yield [kind, _frame(kind, data)]
        if kind == "executing" and data["node"] is None:
            return
        # A prompt of nobody has no end marker: the queue is empty for the last time.
        idle += kind == "status" and data["status"]["exec_info"]["queue_remaining"] == 0
        if idle and prompt_id.endswith("nobody"):
            return


def _frame(kind: str, data: dict[str, Any]) -> Any:
    return {"nodes": sorted(data["nodes"])} if kind == "progress_state" else shape(data)


def _record(record: dict[str, Any]) -> Any:
    status = record["status"]
    return {
        **shape({key: value for key, value in record.items() if key != "status"}),
        "status_str": status["status_str"],
        "completed": status["completed"],
        "messages": [[kind, shape(data)] for kind, data in status["messages"]],
    }


if __name__ == "__main__":
    RECORDED.write_text(json.dumps(asyncio.run(everything(sys.argv[1])), indent=1) + "\n")
