"""The bodies of webhook calls: one per prompt (stateless-comfyui-api.md 4.2), or, as once, one per output (4.3).

Files are read while a body is sent, so that none is held in memory. Every try tells the same time, that of the
delivery; only the signed addresses of files are fresh ones after a while.
"""

from collections.abc import AsyncIterator, Mapping
from typing import Any

from comfyserve.apis.http.answers import iso
from comfyserve.apis.stateless.answer import answer_body, echo, image_size, image_text
from comfyserve.apis.stateless.errors import run_failure
from comfyserve.apis.stateless.stats import stats_of
from comfyserve.apis.stateless.translate import LEGACY, SIGNED
from comfyserve.core.javascript import json_text
from comfyserve.core.runs import Status
from comfyserve.services.deliver import Delivery
from comfyserve.services.files import Files
from comfyserve.services.postings import Posting, Render, Snapshot

LATER_TIMES = ("upload_time", "total_time")
"""The times that the calls for single outputs do not tell: they are made before these are over."""


def post_result(delivery: Delivery, told: Snapshot, files: Files) -> Posting:
    """`prompt.complete` with everything that a synchronous answer has, or `prompt.failed`."""
    moment = iso(delivery.created_at)
    request_id = _request_id(delivery, told)
    if told.run.status is not Status.SUCCESS:
        body = {"type": "prompt.failed", "timestamp": moment, **_failure(request_id, told)}
        return Posting(lambda: _whole(body), request_id, "always")
    first = (("type", "prompt.complete"), ("timestamp", moment))
    return Posting(lambda: answer_body(told, files, first), request_id, "always")


def post_output(delivery: Delivery, told: Snapshot, files: Files) -> Posting:
    """`output.complete` for the one file of this call, or `prompt.failed`; not signed."""
    request_id = _request_id(delivery, told)
    if told.run.status is not Status.SUCCESS:
        body = {"event": "prompt.failed", **_failure(request_id, told)}
        return Posting(lambda: _whole(body), request_id, "never")
    output = told.run.outputs[0]
    head, tail = _around(request_id, told)

    async def content() -> AsyncIterator[bytes]:
        yield head
        async for piece in image_text(told, output, files):
            yield piece
        yield tail

    return Posting(content, request_id, "never", length=len(head) + image_size(output) + len(tail))


RENDERERS: Mapping[str, Render] = {SIGNED: post_result, LEGACY: post_output}
"""Format -> how its bodies are written."""


def _around(request_id: str, told: Snapshot) -> tuple[bytes, bytes]:
    """What stands before and behind the file of a call for one output."""
    stats = stats_of(told) or {}
    rest = {
        "id": request_id,
        "filename": told.run.outputs[0].filename,
        "prompt": echo(told)["prompt"],
        "stats": {name: value for name, value in stats.items() if name not in LATER_TIMES},
    }
    return b'{"event":"output.complete","image":', b"," + json_text(rest)[1:]


async def _whole(body: Mapping[str, Any]) -> AsyncIterator[bytes]:
    yield json_text(body)


def _failure(request_id: str, told: Snapshot) -> dict[str, Any]:
    """What both forms of a failure tell, in their order."""
    _, answer = run_failure(told)
    return {"id": request_id, "prompt": echo(told)["prompt"], "error": answer.get("message") or answer["error"]}


def _request_id(delivery: Delivery, told: Snapshot) -> str:
    return str(echo(told).get("id") or delivery.run_id)
