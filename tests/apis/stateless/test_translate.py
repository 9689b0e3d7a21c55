"""Requests of comfyui-api as wishes of ours: tables without a server."""

import base64
from typing import Any

import pytest

from comfyserve.apis.http.errors import InvalidRequest
from comfyserve.apis.stateless.bodies import in_shape
from comfyserve.apis.stateless.media import is_base64_file, with_media
from comfyserve.apis.stateless.shapes import PromptBody
from comfyserve.apis.stateless.translate import (
    Asked,
    Policy,
    check_strict,
    graph_of,
    translate,
    with_prefixes,
    without_unconfigured,
)
from comfyserve.core.conversion import Conversion
from comfyserve.core.errors import InvalidInput, Place
from comfyserve.core.graph import parse_graph
from comfyserve.core.media import media_places
from comfyserve.core.targets import AzureTarget, HfTarget, HttpTarget, S3Target, StorageTarget
from comfyserve.services.records import WebhookWish

ALL = Policy(frozenset({"s3", "hf_upload", "azure_blob_upload", "http_upload", "storage_upload"}))
STRICT = Policy(ALL.uploads, strict=True)
SAVE = {"9": {"class_type": "SaveImage", "inputs": {"filename_prefix": "ComfyUI"}}}
PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(40)).decode()
JPEG = base64.b64encode(b"\xff\xd8\xff\xe0" + bytes(40)).decode()
MP4 = base64.b64encode(b"\x00\x00\x00\x18ftypisom" + bytes(40)).decode()

S3 = {"bucket": "b", "prefix": "p/"}
HF = {"repo": "owner/name"}
AZURE = {"container": "c"}
HTTP = {"url_prefix": "https://files.example.com/in"}


def body_of(graph: Any = None, policy: Policy = ALL, **fields: Any) -> PromptBody:
    raw = {"prompt": SAVE if graph is None else graph, **fields}
    return in_shape(without_unconfigured(raw, policy), PromptBody)


def asked(graph: Any = None, policy: Policy = ALL, **fields: Any) -> Asked:
    body = body_of(graph, policy, **fields)
    return translate(graph_of(body), body, "fresh", policy)


def echoed(**fields: Any) -> dict[str, Any]:
    shown: dict[str, Any] = asked(**fields).request.memo["request"]
    return shown


@pytest.mark.parametrize(
    ("inputs", "prepend", "prefix", "counts"),
    [
        ({"filename_prefix": "ComfyUI"}, True, "my_ComfyUI", True),
        ({"filename_prefix": "ComfyUI"}, False, "my", True),
        ({"filename_prefix": "video/ComfyUI"}, True, "my_video/ComfyUI", True),
        ({"filename_prefix": "x", "save_output": True}, True, "my_x", True),
        ({"filename_prefix": "x", "save_output": False}, True, "my_x", False),
        ({"filename_prefix": ""}, True, "my", False),
        ({"filename_prefix": None}, True, "my", False),
        ({"filename_prefix": 5}, True, "my_5", False),
        ({"filename_prefix": ["4", 0]}, True, ["4", 0], False),
    ],
)
def test_prefixes(inputs: dict[str, Any], prepend: bool, prefix: Any, counts: bool) -> None:
    graph = {"9": {"class_type": "SaveImage", "inputs": inputs}}
    changed, saves = with_prefixes(graph, "my", prepend=prepend)
    assert (changed["9"]["inputs"]["filename_prefix"], saves) == (prefix, counts)


def test_a_node_without_a_prefix_stays_as_it_is() -> None:
    graph = {"1": {"class_type": "PreviewAny", "inputs": {"source": "x"}}, "2": {"class_type": "Odd", "inputs": 5}}
    assert with_prefixes(graph, "my", prepend=True) == (graph, False)


@pytest.mark.parametrize(
    ("fields", "is_async"),
    [
        ({}, False),
        ({"webhook": ""}, False),
        ({"webhook_v2": ""}, False),
        ({"webhook": "https://example.com/hook"}, True),
        ({"webhook_v2": "https://example.com/hook"}, True),
        ({"s3": S3}, False),
        ({"s3": S3 | {"async": True}}, True),
        ({"http_upload": HTTP | {"async": True}}, True),
        ({"s3": S3, "http_upload": HTTP | {"async": True}}, False),
        ({"http_upload": HTTP, "azure_blob_upload": AZURE | {"async": True}}, True),
        ({"hf_upload": HF | {"async": True}, "azure_blob_upload": AZURE}, True),
    ],
)
def test_what_is_answered_202(fields: dict[str, Any], is_async: bool) -> None:
    assert asked(**fields).is_async is is_async


@pytest.mark.parametrize(
    ("fields", "target"),
    [
        ({"s3": S3}, S3Target("b", "p/", names="plain", first="fresh")),
        ({"hf_upload": HF}, HfTarget("owner/name", names="plain", first="fresh")),
        ({"hf_upload": HF | {"repo_type": "dataset", "revision": "r", "directory": "d"}},
         HfTarget("owner/name", "dataset", "r", "d", names="plain", first="fresh")),
        ({"azure_blob_upload": AZURE | {"blob_prefix": "x"}}, AzureTarget("c", "x", names="plain", first="fresh")),
        ({"http_upload": HTTP}, HttpTarget("https://files.example.com/in", names="plain", first="fresh")),
        ({"storage_upload": {"url": "shelf://a"}}, StorageTarget("shelf://a", names="plain", first="fresh")),
        ({"http_upload": HTTP, "s3": S3}, S3Target("b", "p/", names="plain", first="fresh")),
        ({"http_upload": HTTP, "webhook": "https://example.com/hook"}, None),
        ({"http_upload": HTTP, "webhook_v2": "https://example.com/h"},
         HttpTarget("https://files.example.com/in", names="plain", first="fresh")),
        ({}, None),
    ],
)  # fmt: skip
def test_where_outputs_go(fields: dict[str, Any], target: Any) -> None:
    assert asked(**fields).request.options.target == target


def test_a_storage_that_is_not_configured_is_an_unknown_key() -> None:
    policy = Policy(frozenset({"http_upload"}))
    found = asked(policy=policy, s3={"nonsense": 1}, http_upload=HTTP)
    assert found.request.options.target == HttpTarget("https://files.example.com/in", names="plain", first="fresh")
    assert "s3" not in found.request.memo["request"]


def test_both_webhooks() -> None:
    found = asked(webhook="https://example.com/old", webhook_v2="https://example.com/new").request.webhooks
    assert found == (
        WebhookWish("https://example.com/new", "stateless", "end"),
        WebhookWish("https://example.com/old", "stateless-legacy", "outputs"),
    )


def test_the_echo_has_defaults_the_originals_order_and_no_secret() -> None:
    auth = {"type": "basic", "username": "me", "password": "hunter2"}
    shown = echoed(
        s3=S3,
        http_upload=HTTP,
        webhook_v2="https://example.com/v2",
        webhook="",
        id="mine",
        credentials=[{"url_pattern": "https://a/**", "auth": auth, "more": 1}],
        convert_output={"format": "jpeg", "options": {"quality": 90}},
        unknown=5,
    )
    assert [*shown] == ["id", "webhook", "webhook_v2", "convert_output", "credentials", "s3", "http_upload"]
    assert shown["s3"] == {"bucket": "b", "prefix": "p/", "async": False}
    assert shown["credentials"] == [{"url_pattern": "https://a/**", "auth": {"type": "basic"}}]
    assert shown["convert_output"]["options"]["quality"] == 90
    assert shown["convert_output"]["options"]["chromaSubsampling"] == "4:2:0"
    assert "hunter2" not in str(shown)


@pytest.mark.parametrize(
    ("given", "read", "shown"),
    [
        ({"format": "jpg"}, Conversion("jpg"), {"format": "jpg"}),
        ({"format": "webp", "options": {"lossless": True}}, Conversion("webp", {"lossless": True}), None),
        ({"format": "webp", "options": {"effort": 99, "progressive": True}}, Conversion("webp"), None),
        ({"format": "jpeg", "options": {"quality": 0}}, Conversion("jpeg"), None),
        ({"format": "jpeg", "options": {"mozjpeg": True}}, Conversion("jpeg", {"mozjpeg": True}),
         {"format": "jpeg", "options": {"mozjpeg": True}}),
        ({"format": "png", "options": {"palette": True}}, Conversion("png", {"palette": True}), None),
    ],
)  # fmt: skip
def test_conversions_are_read_by_their_format(given: Any, read: Conversion, shown: Any) -> None:
    found = asked(convert_output=given).request
    assert found.options.convert == read
    if shown is not None:
        assert found.memo["request"]["convert_output"] == shown


def test_credentials_open_addresses() -> None:
    auth = {"type": "bearer", "token": "t"}
    (found,) = asked(credentials=[{"url_pattern": "https://a/**", "auth": auth}]).request.options.credentials
    assert found.matches("https://a/b/c")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, "fresh"),
        ({"id": ""}, "fresh"),
        ({"id": "a/b"}, "a/b"),
        ({"id": "x" * 200}, "x" * 200),
        ({"id": "mit Umlaut ä 語"}, "mit Umlaut ä 語"),
    ],
)
def test_ids(given: dict[str, Any], expected: str) -> None:
    found = asked(**given).request
    assert (found.idempotency_key, found.memo["request"]["id"]) == (expected, expected)


@pytest.mark.parametrize("wrong", ["../x", "/x", "a/../../b", "x" * 201, "a\x00b", "a\\b", "   "])
def test_ids_that_would_leave_their_folder_or_cannot_be_kept(wrong: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        asked(id=wrong)
    assert caught.value.place.field == "id"


@pytest.mark.parametrize(
    ("value", "is_file"),
    [
        (PNG, True),
        (JPEG, True),
        (MP4, True),
        (PNG.replace("+", "-").replace("/", "_"), True),
        ("example.png", False),
        ("folder/example.png", False),
        ("/etc/passwd", False),
        ("iVBORw0KGgo", False),
        ("some/folder/without/any/ending/at/all", False),
        ("", False),
    ],
)
def test_base64_is_told_from_names(value: str, is_file: bool) -> None:
    assert is_base64_file(value) is is_file


@pytest.mark.parametrize(
    ("class_type", "field", "value", "places"),
    [
        ("LoadImage", "image", PNG, ["data:application/octet-stream;base64," + PNG]),
        ("LoadImage", "image", f"data:image/png;base64,{PNG}", [f"data:image/png;base64,{PNG}"]),
        ("LoadImage", "image", "https://example.com/a.png", ["https://example.com/a.png"]),
        ("LoadImage", "image", "s3://bucket/a.png", ["s3://bucket/a.png"]),
        ("LoadImage", "image", "example.png", []),
        ("LoadImage", "image", ["4", 0], []),
        ("LoadImageMask", "image", JPEG, ["data:application/octet-stream;base64," + JPEG]),
        ("SomethingNobodyKnows", "image", "https://example.com/a.png", ["https://example.com/a.png"]),
        ("SomethingNobodyKnows", "image", JPEG, ["data:application/octet-stream;base64," + JPEG]),
        ("SomethingNobodyKnows", "picture", "https://example.com/a.png", []),
        ("LoadVideo", "video", MP4, ["data:application/octet-stream;base64," + MP4]),
        ("LoadVideo", "file", "https://example.com/a.mp4", ["https://example.com/a.mp4"]),
        ("LoadAudio", "audio", "https://example.com/a.mp3", ["https://example.com/a.mp3"]),
        ("VHS_LoadImagesPath", "directory", ["https://example.com/1.png", PNG],
         ["https://example.com/1.png", "data:application/octet-stream;base64," + PNG]),
        ("VHS_LoadImages", "directory", "folder", []),
    ],
)  # fmt: skip
def test_media(class_type: str, field: str, value: Any, places: list[str]) -> None:
    nodes: dict[str, Any] = {"1": {"class_type": class_type, "inputs": {field: value}}}
    if isinstance(value, list) and value[0] == "4":
        nodes["4"] = {"class_type": "EmptyImage", "inputs": {}}
    found = parse_graph(with_media(nodes))
    assert [place.value for place in media_places(found)] == places


def test_a_node_with_a_prefix_is_only_an_output() -> None:
    node = {"class_type": "SaveWithWatermark", "inputs": {"image": "https://example.com/a.png", "filename_prefix": "x"}}
    assert with_media({"1": node}) == {"1": node}


def test_text_that_is_no_file_and_no_name_is_refused() -> None:
    with pytest.raises(InvalidInput, match="Could not determine file type from base64 data") as caught:
        with_media({"7": {"class_type": "LoadImage", "inputs": {"image": "AAAA" * 1000}}})
    assert caught.value.place.as_dict() == {"node_id": "7", "field": "image"}


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"unknown": 1}, "body/unknown Unknown key"),
        ({"prompt": {"9": {**SAVE["9"], "is_changed": 1}}}, "body/prompt/9/is_changed Unknown key"),
        ({"s3": S3 | {"acl": "public"}}, "body/s3/acl Unknown key"),
        ({"credentials": [{"url_pattern": "a", "auth": {"type": "bearer", "token": "t", "x": 1}}]},
         "body/credentials/0/auth/x Unknown key"),
        ({"s3": S3, "http_upload": HTTP}, "body/http_upload Give one upload; s3 is given, too"),
        ({"s3": S3, "webhook": "https://example.com/h"}, "body/s3 An upload is left out with webhook; use webhook_v2"),
    ],
)  # fmt: skip
def test_a_strict_server_refuses_what_is_dropped_otherwise(fields: dict[str, Any], sentence: str) -> None:
    graph = fields.pop("prompt", SAVE)
    with pytest.raises(InvalidRequest) as caught:
        check_strict(body_of(graph, STRICT, **fields), STRICT)
    assert caught.value.message == sentence
    check_strict(body_of(graph, ALL, **fields), ALL)


def test_a_strict_server_names_storages_that_it_does_not_have() -> None:
    policy = Policy(frozenset({"http_upload"}), strict=True)
    with pytest.raises(InvalidRequest, match="body/s3 This storage is not configured here"):
        check_strict(body_of(policy=policy, s3=S3), policy)


def test_a_strict_server_refuses_options_that_do_not_fit() -> None:
    with pytest.raises(InvalidInput, match="effort"):
        asked(policy=STRICT, convert_output={"format": "webp", "options": {"effort": 99}})


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        ({}, "body/prompt Required"),
        ([], "body Expected object, received array"),
        ({"prompt": []}, "body/prompt Expected object, received array"),
        ({"prompt": {"1": {"inputs": {}}}}, "body/prompt/1/class_type Required"),
        ({"prompt": {"1": 5}}, "body/prompt/1 Expected object, received number"),
        ({"prompt": {}, "id": 5}, "body/id Expected string, received number"),
        ({"prompt": {}, "s3": {}}, "body/s3/bucket Required, body/s3/prefix Required"),
        ({"prompt": {}, "s3": S3 | {"async": "yes"}}, "body/s3/async Expected boolean, received string"),
        ({"prompt": {}, "convert_output": {"format": "gif"}},
         "body/convert_output/format Invalid enum value. Expected 'jpeg' | 'jpg' | 'webp' | 'avif' | 'png'"),
        ({"prompt": {}, "credentials": [{"url_pattern": "a", "auth": {"type": "magic"}}]},
         "body/credentials/0/auth Invalid discriminator value. "
         "Expected 'bearer' | 'basic' | 'header' | 'query' | 's3' | 'azure' | 'gcs'"),
    ],
)  # fmt: skip
def test_shapes_are_told_as_the_original_tells_them(raw: Any, sentence: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        in_shape(raw, PromptBody)
    assert caught.value.message == sentence


def test_no_error_of_a_shape_quotes_a_secret() -> None:
    auth = {"type": "bearer", "token": ["hunter2"]}
    with pytest.raises(InvalidRequest) as caught:
        in_shape({"prompt": {}, "credentials": [{"url_pattern": "a", "auth": auth}]}, PromptBody)
    assert "hunter2" not in caught.value.message


@pytest.mark.parametrize("prefix", ["x" * 300, "a/" + "\u00e4" * 120, "y" * 219])
def test_a_prefix_of_which_no_file_name_can_be_made(prefix: str) -> None:
    graph = {"9": {"class_type": "SaveImage", "inputs": {"filename_prefix": prefix}}}
    with pytest.raises(InvalidInput, match="220 bytes") as caught:
        asked(graph, id="mine")
    assert caught.value.place == Place(node_id="9", field="filename_prefix")


def test_the_echo_has_no_login_of_an_address() -> None:
    shown = echoed(
        webhook="https://me:hunter2@example.com/old",
        webhook_v2="https://me:hunter2@example.com/new?id=1",
        http_upload={"url_prefix": "https://me:hunter2@files.example.com/in"},
        storage_upload={"url": "shelf://me:hunter2@results"},
    )
    assert "hunter2" not in str(shown)
    assert shown["webhook_v2"] == "https://example.com/new?id=1"
    assert shown["http_upload"] == {"url_prefix": "https://files.example.com/in", "async": False}
