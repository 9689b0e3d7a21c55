"""From comfyui-api's request to one wish of ours: prefixes, media, webhooks, targets, and what is echoed later."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from comfyserve.apis.stateless.bodies import misshapen
from comfyserve.apis.stateless.media import PREFIX, with_media
from comfyserve.apis.stateless.options import UploadKey
from comfyserve.apis.stateless.shapes import Part, PromptBody, Wish, strangers
from comfyserve.core.addresses import added_schemes
from comfyserve.core.conversion import Conversion, read_conversion, write_conversion
from comfyserve.core.credentials import Credential, read_credentials
from comfyserve.core.errors import InvalidInput, Place
from comfyserve.core.file_names import check_name
from comfyserve.core.limits import MAX_NAME
from comfyserve.core.logins import bare_address
from comfyserve.core.options import RunOptions
from comfyserve.core.targets import TargetWish, read_target
from comfyserve.services.records import SubmitRequest, WebhookWish

DIALECT = "stateless"
SIGNED, LEGACY = "stateless", "stateless-legacy"
"""The formats of `webhook_v2` and `webhook`."""

UPLOADS: tuple[UploadKey, ...] = ("s3", "hf_upload", "azure_blob_upload", "http_upload", "storage_upload")
"""The keys of the storages, in the order in which the first one counts."""

TARGET_TYPES: Mapping[UploadKey, str] = {
    "s3": "s3",
    "hf_upload": "hf",
    "azure_blob_upload": "azure",
    "http_upload": "http",
    "storage_upload": "storage",
}

LONGER_PATHS = ("/result", "/events", "/cancel")
"""What follows an id in the paths that ask about it."""

MAX_PREFIX = 220
"""Bytes of each part of a name; file systems take 255, and the engine puts a number and an ending behind it."""

ADDRESSES: Mapping[str, str] = {"http_upload": "url_prefix", "storage_upload": "url"}
"""The fields that may hold a login."""

JPEG: Mapping[str, Any] = {
    "quality": 80,
    "progressive": False,
    "chromaSubsampling": "4:2:0",
    "optimizeCoding": True,
    "mozjpeg": False,
    "trellisQuantisation": False,
    "overshootDeringing": False,
    "optimizeScans": False,
    "quantisationTable": 0,
}
WEBP: Mapping[str, Any] = {
    "quality": 80,
    "alphaQuality": 100,
    "lossless": False,
    "nearLossless": False,
    "smartSubsample": False,
    "preset": "default",
    "effort": 4,
}
ECHOED: Mapping[str, Mapping[str, Any]] = {"jpeg": JPEG, "jpg": JPEG, "webp": WEBP}
"""The defaults of the options, as they are echoed beside those that were given (section 8)."""


@dataclass(frozen=True)
class Policy:
    """What the operator has decided of requests. `uploads` are the storages that are configured."""

    uploads: frozenset[str]
    strict: bool = False
    prepend_filenames: bool = True


@dataclass(frozen=True)
class Asked:
    """A request, translated. `saves`: whether a node of it counts as an output by its prefix (section 2.3)."""

    request: SubmitRequest
    saves: bool
    is_async: bool


def translate(graph: Mapping[str, Any], wish: Wish, fresh_id: str, policy: Policy) -> Asked:
    """A graph in API form and what goes with it. Raises InvalidInput, InvalidRequest."""
    request_id = wish.id or fresh_id
    _check_id(request_id)
    saved, saves = with_prefixes(graph, request_id, prepend=policy.prepend_filenames)
    first = first_upload(wish, policy)
    upload = None if wish.webhook else first
    convert = _conversion(wish, policy)
    fields = {"id": request_id, **_echoed(wish, convert, policy)}
    request = SubmitRequest(
        graph=with_media(saved),
        dialect=DIALECT,
        idempotency_key=request_id,
        reuse="after_failure",
        webhooks=_webhooks(wish),
        options=RunOptions(_credentials(wish), convert, None if upload is None else _target(wish, upload, request_id)),
        memo={"request": fields},
    )
    return Asked(request, saves, bool(request.webhooks) or (first is not None and getattr(wish, first).is_async))


def with_prefixes(graph: Mapping[str, Any], request_id: str, *, prepend: bool) -> tuple[dict[str, Any], bool]:
    """The graph with the request's id in every `filename_prefix` that is no link, and whether one of these nodes counts
    as an output (section 2.3). Raises InvalidInput for a prefix of which no file name can be made."""
    changed, saves = dict(graph), False
    for node_id, node in graph.items():
        inputs = node["inputs"] if isinstance(node["inputs"], Mapping) else {}
        prefix = inputs.get(PREFIX, ())
        if isinstance(prefix, list | tuple | Mapping):
            continue
        name = f"{request_id}_{prefix}" if prepend and prefix not in ("", None) else request_id
        _check_prefix(name, node_id)
        changed[node_id] = {**node, "inputs": {**inputs, PREFIX: name}}
        saves = saves or (bool(prefix) and isinstance(prefix, str) and bool(inputs.get("save_output", True)))
    return changed, saves


def graph_of(body: PromptBody) -> dict[str, Any]:
    """The graph as it is queued: of a node only what ComfyUI reads."""
    return {
        node_id: {"class_type": node.class_type, "inputs": node.inputs}
        | ({} if node.meta is None else {"_meta": node.meta})
        for node_id, node in body.prompt.items()
    }


def without_unconfigured(value: Any, policy: Policy) -> Any:
    """A body without the keys of storages that are not configured: they are unknown keys, as in the original."""
    if not isinstance(value, Mapping) or policy.strict:
        return value
    absent = frozenset(UPLOADS) - policy.uploads
    return {key: item for key, item in value.items() if key not in absent}


def check_strict(wish: Wish, policy: Policy) -> None:
    """Raise InvalidRequest for what would be dropped without a word; only a strict server looks."""
    if not policy.strict:
        return
    given = [key for key in UPLOADS if getattr(wish, key) is not None]
    faults: list[tuple[list[str], str]] = [(path.split("/")[1:], "Unknown key") for path in strangers(wish)]
    faults += [([key], "This storage is not configured here") for key in given if key not in policy.uploads]
    faults += [([key], f"Give one upload; {given[0]} is given, too") for key in given[1:]]
    if wish.webhook and given:
        faults.append(([given[0]], "An upload is left out with webhook; use webhook_v2"))
    if faults:
        raise misshapen(faults)


def first_upload(wish: Wish, policy: Policy) -> UploadKey | None:
    """The storage that counts: the first one that is given and configured."""
    return next((key for key in UPLOADS if key in policy.uploads and getattr(wish, key) is not None), None)


def _check_id(request_id: str) -> None:
    place = Place(field="id")
    check_name(request_id, place)
    if len(request_id) > MAX_NAME:
        raise InvalidInput(f"id has {len(request_id)} characters; at most {MAX_NAME} are allowed.", place=place)
    if request_id == "." or request_id.endswith(LONGER_PATHS):
        raise InvalidInput(f"id is or ends in a name of a route, and could not be asked: {request_id!r}.", place=place)
    if not request_id.strip():
        raise InvalidInput("id has only blanks. Leave it out, or give it a name.", place=place)


def _check_prefix(name: str, node_id: str) -> None:
    if max(len(part.encode(errors="replace")) for part in name.split("/")) > MAX_PREFIX:
        sentence = f"filename_prefix, with the id before it, has a name of more than {MAX_PREFIX} bytes; give less."
        raise InvalidInput(sentence, place=Place(node_id=node_id, field=PREFIX))


def _webhooks(wish: Wish) -> tuple[WebhookWish, ...]:
    signed = (WebhookWish(wish.webhook_v2, SIGNED, "end"),) if wish.webhook_v2 else ()
    legacy = (WebhookWish(wish.webhook, LEGACY, "outputs"),) if wish.webhook else ()
    return (*signed, *legacy)


def _conversion(wish: Wish, policy: Policy) -> Conversion | None:
    if wish.convert_output is None:
        return None
    return read_conversion(wish.convert_output.model_dump(exclude_none=True), lenient=not policy.strict)


def _credentials(wish: Wish) -> tuple[Credential, ...]:
    given = [one.model_dump(exclude_none=True) for one in wish.credentials or ()]
    return read_credentials(given)


def _target(wish: Wish, key: UploadKey, request_id: str) -> TargetWish:
    """Files keep the names of the outputs: `<prefix><name>`; those whose prefix no id could be put before get it here,
    so that no other request writes over them. An address of a storage that the operator added may stand
    in `http_upload`, too."""
    fields = _known(getattr(wish, key), exclude={"is_async"})
    kind, prefix = TARGET_TYPES[key], str(fields.get("url_prefix", ""))
    if prefix.partition("://")[0].lower() in added_schemes():
        kind, fields = "storage", {"url": prefix}
    return read_target({"type": kind, **fields, "names": "plain", "first": request_id}, key)


def _echoed(wish: Wish, convert: Conversion | None, policy: Policy) -> dict[str, Any]:
    """The fields of the request as they are answered: in the original's order, with defaults, without secrets."""
    shown: dict[str, Any] = {}
    for key in ("webhook", "webhook_v2"):
        if (url := getattr(wish, key)) is not None:
            shown[key] = bare_address(url)
    if convert is not None and wish.convert_output is not None:
        shown["convert_output"] = _shown_conversion(convert, with_options=wish.convert_output.options is not None)
    if wish.credentials is not None:
        shown["credentials"] = [
            {"url_pattern": one.url_pattern, "auth": {"type": one.auth.type}} for one in wish.credentials
        ]
    for key in UPLOADS:
        if key in policy.uploads and (upload := getattr(wish, key)) is not None:
            shown[key] = _known(upload)
            if (name := ADDRESSES.get(key)) is not None:
                shown[key][name] = bare_address(shown[key][name])
    return shown


def _shown_conversion(convert: Conversion, *, with_options: bool) -> dict[str, Any]:
    """mozjpeg moves the defaults of the other options, so that they are left out then."""
    shown = write_conversion(convert)
    defaults = {} if convert.options.get("mozjpeg") else ECHOED.get(convert.format, {})
    options = {**defaults, **shown["options"]}
    return {"format": convert.format} | ({"options": options} if with_options else {})


def _known(part: Part, **excluded: Any) -> dict[str, Any]:
    """The fields that a shape has, under their names on the wire."""
    own = {field.alias or name: getattr(part, name) for name, field in type(part).model_fields.items()}
    left_out = {type(part).model_fields[name].alias or name for name in excluded.get("exclude", ())}
    return {name: value for name, value in own.items() if name not in left_out}
