"""Wrong answers to `POST /prompt`, after the prompt was queued."""

from __future__ import annotations

import uuid

from aiohttp import web

from comfyserve.embedded.faults.nodes import class_name
from comfyserve.embedded.faults.playing import Faults
from comfyserve.embedded.faults.table import ANSWERS, Kind
from comfyserve.embedded.prompts.queue import QueuedPrompt

NODE = class_name(Kind.WRONG_ANSWER)


def wrong_answer(request: web.Request, faults: Faults, prompt: QueuedPrompt) -> web.Response | None:
    """The answer that a start option or a node of the graph asks for; None when the right one is to be given."""
    match _wished(faults, prompt):
        case "error-500":
            return web.Response(status=500, text="500 Internal Server Error")
        case "not-json":
            return web.Response(text="<html>proxy error</html>", content_type="text/html")
        case "empty":
            return web.Response()
        case "other-id":
            return web.json_response({"prompt_id": str(uuid.uuid4()), "number": prompt.number, "node_errors": {}})
        case "cut":
            if request.transport is not None:
                request.transport.abort()
            return web.Response()
    return None


def _wished(faults: Faults, prompt: QueuedPrompt) -> str | None:
    # Other prompts may be running: what their nodes armed does not concern this one.
    for node in prompt.graph.values():
        if node["class_type"] == NODE and node["inputs"].get("answer") in ANSWERS:
            return str(node["inputs"]["answer"])
    found = faults.from_start(Kind.WRONG_ANSWER)
    return found["answer"] if found else None
