"""A small server that speaks ComfyUI's protocol and misbehaves on request: the class type of a node says how."""

import asyncio
import json
from collections import Counter, defaultdict
from contextlib import suppress
from pathlib import Path
from typing import Any

from aiohttp import WSMsgType, web

from comfyserve.protocol import routes
from comfyserve.protocol.messages import PreviewFormat, preview_frame, preview_metadata_frame

RECORDED = json.loads(Path(__file__).with_name("recorded.json").read_text())["exchanges"]
"""What a ComfyUI (the file tells its version) said to a prompt with the id PROMPT: see record.py."""

PICTURE = b"\x89PNG\r\n\x1a\n" + b"pixels" * 1000
JUNK = (
    "not json",
    "[1, 2]",
    '{"type": "executing", "data": null}',
    '{"type": null, "data": {}}',
    '{"type": "progress", "data": {"value": "x", "max": null, "node": "1", "prompt_id": [1]}}',
    '{"type": "executed", "data": {"node": "1", "output": [1], "prompt_id": "%s"}}',
    '{"type": "progress", "data": {"value": NaN, "max": "x", "node": "1", "prompt_id": "%s"}}',
    '{"type": "progress", "data": {"value": 1' + "0" * 400 + ', "max": 1, "node": "1", "prompt_id": "%s"}}',
    '{"type": "progress", "data": {"value": 1, "max": Infinity, "node": "1", "prompt_id": "%s"}}',
)
JUNK_FRAMES = (b"", b"\x00\x00", b"\x00\x00\x00\x01\x00\x00\x00\x09abc", b"\x00\x00\x00\x04\xff\xff\xff\xff{}")


def graph(*class_types: str) -> dict[str, Any]:
    """Nodes 1, 2, ... of these class types."""
    return {str(number): {"class_type": name, "inputs": {}} for number, name in enumerate(class_types, 1)}


class ScriptedComfy:
    """One prompt at a time; `released` lets a Wait node go on; `asked` counts requests by path."""

    def __init__(self) -> None:
        self.sockets: dict[str, web.WebSocketResponse] = {}
        self.flags: list[Any] = []
        self.pending: list[tuple[str, dict[str, Any], dict[str, Any]]] = []
        self.running: str | None = None
        self.history: dict[str, Any] = {}
        self.asked: Counter[str] = Counter()
        self.keys: defaultdict[str, set[tuple[str | None, str | None]]] = defaultdict(set)
        self.wanted_key = ""
        self.uploads: dict[str, bytes] = {}
        self.released = asyncio.Event()
        self.waiting = asyncio.Event()
        self.interrupted = asyncio.Event()
        self.queue_asked = asyncio.Event()
        self.recorded_queues: list[Any] = []
        self.deaf = False
        self.history_answer: bytes | None = None
        self.history_asked = asyncio.Event()
        self.history_open = asyncio.Event()
        self.history_open.set()
        self.refuse_sockets = False
        self.late_history = 0
        self.cut_answer = False
        self.url = ""
        self._work = asyncio.Event()

    async def start(self) -> None:
        app = web.Application(client_max_size=10_000)
        app.middlewares.append(self._count)
        app.add_routes(
            [
                web.get(routes.SYSTEM_STATS, self._stats),
                web.get(routes.WEBSOCKET, self._socket),
                web.post(routes.PROMPT, self._prompt),
                web.get(routes.QUEUE, self._queue),
                web.post(routes.QUEUE, self._change_queue),
                web.post(routes.INTERRUPT, self._interrupt),
                web.get(routes.HISTORY_ONE, self._record),
                web.post(routes.HISTORY, self._change_history),
                web.get(routes.VIEW, self._view),
                web.post(routes.UPLOAD_IMAGE, self._upload),
                web.get(routes.OBJECT_INFO, self._object_info),
            ]
        )
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        self._worker = asyncio.create_task(self._run_all())

    async def stop(self) -> None:
        self._worker.cancel()
        with suppress(asyncio.CancelledError):
            await self._worker
        await self.drop_sockets()
        await self._runner.cleanup()

    async def drop_sockets(self) -> None:
        for socket in list(self.sockets.values()):
            await socket.close()
        self.sockets.clear()

    @web.middleware
    async def _count(self, request: web.Request, handler: Any) -> web.StreamResponse:
        path = request.match_info.route.resource.canonical  # type: ignore[union-attr]  # always routed here
        self.asked[path] += 1
        key = request.headers.get("Authorization")
        self.keys[path].add((key, request.headers.get("X-Key")))
        if self.wanted_key and key != self.wanted_key:
            return web.Response(status=401)
        return await handler(request)  # type: ignore[no-any-return]  # aiohttp's handler type is opaque

    async def _stats(self, request: web.Request) -> web.Response:
        return web.json_response({"system": {}, "devices": []})

    async def _object_info(self, request: web.Request) -> web.Response:
        return web.json_response({"Say": {"input": {"required": {"x": ["FLOAT", {"default": float("nan")}]}}}})

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        if self.refuse_sockets:
            return web.Response(status=503)
        socket = web.WebSocketResponse(autoping=not self.deaf)
        await socket.prepare(request)
        client_id = request.query[routes.CLIENT_ID]
        self.sockets[client_id] = socket
        await socket.send_json({"type": "status", "data": {"status": {}, "sid": client_id}})
        async for frame in socket:
            if frame.type is WSMsgType.TEXT:
                self.flags.append(json.loads(frame.data))
        if self.sockets.get(client_id) is socket:
            del self.sockets[client_id]
        return socket

    async def _prompt(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        types = [node["class_type"] for node in body["prompt"].values()]
        if types == ["Recorded"]:
            return self._begin_replay(body)
        if "Unknown" in types:
            return web.json_response(refusal("1"), status=400)
        if "Crash" in types:
            return web.Response(status=500, text="500 Internal Server Error")
        if "Full" in types:
            return web.json_response({"error": "queue full"}, status=429)
        self.pending.append((body["prompt_id"], body["prompt"], body))
        self._work.set()
        if self.cut_answer:
            assert request.transport is not None
            request.transport.abort()
        node_errors = refusal("2")["node_errors"] if "Half" in types else {}
        return web.json_response({"prompt_id": body["prompt_id"], "number": 1, "node_errors": node_errors})

    def _begin_replay(self, body: dict[str, Any]) -> web.Response:
        """Answer as it was answered; a prompt that waited until it was deleted is told of by the queue alone."""
        told = RECORDED[body["prompt"]["1"]["inputs"]["name"]]
        if "queue" in told:
            self.recorded_queues = [told["queue"], told["after"]]
        elif told["status"] == 200:
            self.pending.append((body["prompt_id"], body["prompt"], body))
            self._work.set()
        return web.json_response(told["answer"], status=told["status"])

    async def _queue(self, request: web.Request) -> web.Response:
        if self.recorded_queues:
            return web.json_response(self.recorded_queues[0])
        running = [[1, self.running, {}, {}, []]] if self.running else []
        pending = [[2, prompt_id, {}, {}, []] for prompt_id, _, _ in self.pending]
        self.queue_asked.set()
        return web.json_response({"queue_running": running, "queue_pending": pending})

    async def _change_queue(self, request: web.Request) -> web.Response:
        unwanted = (await request.json()).get("delete", [])
        if unwanted == ["PROMPT"]:
            self.recorded_queues = self.recorded_queues[1:]
        self.pending = [item for item in self.pending if item[0] not in unwanted]
        return web.Response()

    async def _interrupt(self, request: web.Request) -> web.Response:
        if (await request.json()).get("prompt_id") == self.running:
            self.interrupted.set()
            self.released.set()
        return web.Response()

    async def _record(self, request: web.Request) -> web.Response:
        prompt_id = request.match_info["prompt_id"]
        self.history_asked.set()
        await self.history_open.wait()
        if self.history_answer is not None:
            return web.Response(body=self.history_answer)
        if prompt_id in self.history and self.late_history > 0:
            self.late_history -= 1
            return web.json_response({})
        return web.json_response({prompt_id: self.history[prompt_id]} if prompt_id in self.history else {})

    async def _change_history(self, request: web.Request) -> web.Response:
        for prompt_id in (await request.json())["delete"]:
            self.history.pop(prompt_id, None)
        return web.Response()

    async def _view(self, request: web.Request) -> web.Response:
        if request.query["filename"] != "picture.png":
            return web.Response(status=404)
        return web.Response(body=PICTURE, content_type="image/png")

    async def _upload(self, request: web.Request) -> web.Response:
        form = await request.post()
        image, subfolder = form["image"], str(form["subfolder"])
        assert isinstance(image, web.FileField)
        self.uploads[image.filename] = image.file.read()
        return web.json_response({"name": image.filename, "subfolder": subfolder, "type": "input"})

    async def say(self, body: dict[str, Any], kind: str, **data: Any) -> None:
        """A message to the client of a prompt."""
        await self._send(body, json.dumps({"type": kind, "data": {**data, "prompt_id": body["prompt_id"]}}))

    async def _send(self, body: dict[str, Any], frame: str | bytes) -> None:
        socket = self.sockets.get(body.get("client_id", ""))
        if socket is None or socket.closed:
            return
        with suppress(ConnectionError):
            await (socket.send_str(frame) if isinstance(frame, str) else socket.send_bytes(frame))

    async def _run_all(self) -> None:
        while True:
            await self._work.wait()
            self._work.clear()
            while self.pending:
                prompt_id, nodes, body = self.pending.pop(0)
                self.running = prompt_id
                await self._run(prompt_id, nodes, body)

    async def _run(self, prompt_id: str, nodes: dict[str, Any], body: dict[str, Any]) -> None:
        self.interrupted.clear()
        if nodes["1"]["class_type"] == "Recorded":
            await self._replay(prompt_id, nodes["1"]["inputs"]["name"], body)
            return
        outputs: dict[str, Any] = {}
        messages: list[Any] = []
        await self.say(body, "execution_start")
        for node_id, node in nodes.items():
            await self.say(body, "executing", node=node_id)
            failure = await self._node(node_id, node["class_type"], body, outputs)
            if failure is not None:
                messages.append(failure)
                await self.say(body, failure[0], **failure[1])
                break
        else:
            messages.append(["execution_success", {}])
            await self.say(body, "execution_success")
        if any(node["class_type"] == "Forget" for node in nodes.values()):
            self.running = None
            return
        failed = messages[-1][0] != "execution_success" and nodes["1"]["class_type"] != "Cycle"
        status = {"status_str": "error" if failed else "success", "messages": messages}
        self.history[prompt_id] = {"outputs": outputs, "status": status, "prompt": {"changed": float("nan")}}
        self.running = None
        await self.say(body, "executing", node=None)

    async def _replay(self, prompt_id: str, name: str, body: dict[str, Any]) -> None:
        """Send the frames of a recording; its record is there before the last one, as in ComfyUI."""
        *frames, last = RECORDED[name]["frames"]
        for frame in frames:
            await self._send(body, bytes.fromhex(frame["binary"]) if "binary" in frame else json.dumps(frame))
        self.history[prompt_id] = RECORDED[name]["record"]
        self.running = None
        await self._send(body, json.dumps(last))

    async def _flood(self, kind: str, body: dict[str, Any]) -> None:
        frame = FLOODS[kind].replace("%s", body["prompt_id"])
        for _ in range(FLOOD if len(frame) < LARGE else 1 if kind == "HugeFrame" else 3):
            await self._send(body, frame)

    async def _node(self, node_id: str, kind: str, body: dict[str, Any], outputs: dict[str, Any]) -> list[Any] | None:
        if kind in OUTPUTS:
            outputs[node_id] = OUTPUTS[kind]
            await self.say(body, "executed", node=node_id, output=OUTPUTS[kind])
        elif kind == "Preview":
            await self.say(body, "progress", node=node_id, value=3, max=20)
            await self._send(body, preview_frame(b"jpeg", PreviewFormat.JPEG))
            told = {"prompt_id": body["prompt_id"], "display_node_id": node_id, "image_type": "image/png"}
            await self._send(body, preview_metadata_frame(b"png", told))
        elif kind == "Junk":
            for frame in JUNK:
                await self._send(body, frame.replace("%s", body["prompt_id"]))
            for junk in JUNK_FRAMES:
                await self._send(body, junk)
        elif kind in FLOODS:
            await self._flood(kind, body)
        elif kind == "DropSocket":
            await self.drop_sockets()
        elif kind == "Wait":
            self.waiting.set()
            await self.released.wait()
            self.released.clear()
            if self.interrupted.is_set():
                return ["execution_interrupted", {"node_id": node_id}]
        elif kind in RAISED:
            return ["execution_error", {"node_id": node_id, "node_type": kind, **RAISED[kind]}]
        return None


FLOOD, LARGE, HUGE = 20_000, 1_000_000, 33 * 1024 * 1024
FLOODS = {
    "HugeFrame": "x" * HUGE,
    "FloodProgress": '{"type": "progress", "data": {"value": 1, "max": 2, "node": "1", "prompt_id": "%s"}}',
    "FloodNodes": '{"type": "executing", "data": {"node": "7", "prompt_id": "%s"}}',
    "FloodJunk": '{"type": "nonsense", "data": null}',
    "FloodOutputs": '{"type": "executed", "data": {"node": "7", "output": {"text": ["'
    + "x" * 25_000_000
    + '"]}, "prompt_id": "%s"}}',
}
OUTPUTS = {
    "Say": {"text": ["hello"]},
    "Picture": {"images": [{"filename": "picture.png", "subfolder": "", "type": "output"}]},
    "Odd": {"text": ["half \ud800", "\U0001f600", 10**400, float("inf"), 0.5]},
    "Simulate": {"images": [{"filename": "picture.png", "subfolder": "", "type": "temp"}], "simulated": [True]},
}
RAISED: dict[str, dict[str, Any]] = {
    "RaiseOdd": {"exception_type": "\udc00", "exception_message": "half \ud800", "traceback": ["\ud800"]},
    "Raise": {"exception_type": "ValueError", "exception_message": "no\n", "traceback": ["line\n"] * 500},
    "Cycle": {"exception_type": "graph.DependencyCycleError", "exception_message": "cycle"},
    "OutOfMemory": {"exception_type": "torch.OutOfMemoryError", "exception_message": "Tried to allocate 2 GiB"},
}


def refusal(node_id: str) -> dict[str, Any]:
    """The body of a 400, with one node at fault and far too many words."""
    error = {
        "type": "value_not_in_list",
        "message": "Value not in list",
        "details": "sampler: 'x' not in ['euler']",
        "extra_info": {
            "input_name": "sampler",
            "received_value": "x" * 100_000,
            "traceback": ["File /opt/comfy/nodes.py, line 7"],
        },
    }
    return {
        "error": {"type": "prompt_outputs_failed_validation", "message": "Prompt outputs failed validation"},
        "node_errors": {node_id: {"class_type": "KSampler", "dependent_outputs": ["9"], "errors": [error]}},
    }
