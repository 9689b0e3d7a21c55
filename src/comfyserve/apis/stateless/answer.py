"""The answer of a run that has ended (stateless-comfyui-api.md section 1.4): base64 is written while files are read, so
that no file is in memory."""

import base64
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response, StreamingResponse

from comfyserve.apis.stateless.bodies import JsonAnswer
from comfyserve.apis.stateless.errors import run_failure
from comfyserve.apis.stateless.links import linked
from comfyserve.apis.stateless.stats import stats_of
from comfyserve.core.addresses import asset_of, is_url
from comfyserve.core.javascript import json_text
from comfyserve.core.logins import without_values
from comfyserve.core.media import MEDIA_META, listed, renamed
from comfyserve.core.runs import Status
from comfyserve.services.files import Files
from comfyserve.services.postings import Snapshot
from comfyserve.services.records import OutputView

REQUEST = "request"
"""The key of the memo for the fields of the request, as they are echoed."""

INPUT = "input"
"""The key of the memo for the parsed input of a workflow."""

NODE_KEYS = ("inputs", "class_type", "_meta")
"""The keys of a node, in the original's order."""

SMALL_BYTES = 256 * 1024
"""An answer up to this size is sent in one piece, which is quicker than a stream."""

Pairs = Sequence[tuple[str, Any]]


@dataclass(frozen=True)
class _Parts:
    """What stands before the images, the images, and what stands after them."""

    head: bytes
    images: Sequence[OutputView]
    tail: bytes

    @property
    def size(self) -> int:
        """The bytes of all of it."""
        commas = max(0, len(self.images) - 1)
        return len(self.head) + sum(map(image_size, self.images)) + commas + len(self.tail)


async def result_answer(told: Snapshot, files: Files, origin: str) -> Response:
    """The answer for a run that has ended, be it well or not; `origin` is where its links lead, empty for the server's
    public URL. Raises NotFound when a file of it is gone."""
    if told.run.status is not Status.SUCCESS:
        status, body = run_failure(told)
        return JsonAnswer(body, status)
    parts = _parts(told, (), origin)
    if parts.size <= SMALL_BYTES:
        whole = b"".join([piece async for piece in _written(told, files, parts)])
        return Response(whole, 200, media_type=JsonAnswer.media_type)
    await _check_kept(told, files)
    headers = {"content-length": str(parts.size)}
    return StreamingResponse(_written(told, files, parts), 200, headers, JsonAnswer.media_type)


def echo(told: Snapshot) -> dict[str, Any]:
    """The fields of the request as they were read, with defaults, without secrets; the graph as it was queued."""
    return {"prompt": shown_graph(told.graph), **told.memo.get(REQUEST, {})}


def shown_graph(graph: Mapping[str, Any]) -> dict[str, Any]:
    """A queued graph with the names of our files in the place of their data."""
    return {node_id: _shown_node(node) for node_id, node in graph.items()}


def accepted(told: Snapshot) -> bytes:
    """The body of a 202."""
    return json_text({**echo(told), "status": "ok", **_input(told)})


async def answer_body(told: Snapshot, files: Files, first: Pairs = ()) -> AsyncIterator[bytes]:
    """The body of a 200 in pieces; `first` are pairs that stand before all others. Raises NotFound for a file that is
    gone."""
    async for piece in _written(told, files, _parts(told, first)):
        yield piece


def answer_size(told: Snapshot, first: Pairs = ()) -> int:
    """The bytes of `answer_body`."""
    return _parts(told, first).size


async def image_text(told: Snapshot, output: OutputView, files: Files) -> AsyncIterator[bytes]:
    """One JSON string: the address of a file in the caller's own target, else its content in base64."""
    if output.target_url is not None:
        yield json_text(output.target_url)
        return
    asset = await files.stored(output.asset_id or "")
    yield b'"'
    rest = b""
    async with files.open(asset) as content:
        async for chunk in content:
            piece = rest + chunk if rest else chunk
            whole = len(piece) // 3 * 3
            rest = piece[whole:]
            yield base64.b64encode(memoryview(piece)[:whole])
    yield base64.b64encode(rest) + b'"'


def images_of(told: Snapshot) -> list[OutputView]:
    """The files that were saved, whatever their kind, in the order of the nodes; previews where nothing else is."""
    found = [output for output in told.run.outputs if output.asset_id is not None or output.target_url is not None]
    saved = [output for output in found if output.type == "output"]
    return saved or found


def typed_outputs(told: Snapshot, origin: str = "") -> list[dict[str, Any]]:
    """Everything that the run gave: files with their address, at `origin` if there is one, and values."""
    return [_typed(output, origin) for output in told.run.outputs]


async def _check_kept(told: Snapshot, files: Files) -> None:
    for output in images_of(told):
        if output.asset_id is not None:
            await files.stored(output.asset_id)


async def _written(told: Snapshot, files: Files, parts: _Parts) -> AsyncIterator[bytes]:
    yield parts.head
    for index, output in enumerate(parts.images):
        if index:
            yield b","
        async for piece in image_text(told, output, files):
            yield piece
    yield parts.tail


def _parts(told: Snapshot, first: Pairs, origin: str = "") -> _Parts:
    images = images_of(told)
    head = json_text({**dict(first), **echo(told)})[:-1] + b',"images":['
    after = {
        "filenames": [output.filename for output in images],
        "stats": stats_of(told),
        "outputs": typed_outputs(told, origin),
        **_input(told),
    }
    return _Parts(head, images, b"]," + json_text(after)[1:])


def _input(told: Snapshot) -> dict[str, Any]:
    return {INPUT: _named(told.memo[INPUT])} if INPUT in told.memo else {}


def image_size(output: OutputView) -> int:
    """The bytes of `image_text`."""
    if output.target_url is not None:
        return len(json_text(output.target_url))
    return (output.size + 2) // 3 * 4 + 2


def _typed(output: OutputView, origin: str) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "node_id": output.node_id,
        "class_type": output.class_type,
        "key": output.key,
        "kind": output.kind,
    }
    if output.asset_id is None and output.target_url is None:
        return shown | {"value": output.value}
    for name in ("filename", "subfolder", "type", "mime", "size", "sha256"):
        shown[name] = getattr(output, name)
    return shown | {"url": output.target_url or linked(output.url, origin)}


def _shown_node(node: Any) -> Any:
    if not isinstance(node, Mapping):
        return node
    shown = {key: node[key] for key in NODE_KEYS if key in node}
    if isinstance(meta := shown.pop("_meta", None), Mapping) and (own := _without_mark(meta)):
        shown["_meta"] = own
    inputs = shown.get("inputs")
    if isinstance(inputs, Mapping):
        shown["inputs"] = _named(inputs)
    return shown


def _without_mark(meta: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in meta.items() if key != MEDIA_META}


def _named(value: Any) -> Any:
    """A JSON value with the names of our files in the place of the references to them, and with addresses without what
    opens them."""
    if isinstance(value, str):
        return _named_text(value)
    if isinstance(value, Mapping):
        return {key: _named(item) for key, item in value.items()}
    return [_named(item) for item in value] if isinstance(value, list) else value


def _named_text(text: str) -> str:
    items = listed(text)
    if items is None:
        return _name_of(text)
    shown: str = renamed(text, {item: name for item in items if (name := _name_of(item)) != item})
    return shown


def _name_of(text: str) -> str:
    """What stands for one file, as it is shown."""
    name = asset_of(text)
    return (without_values(text) if is_url(text) else text) if name is None else name
