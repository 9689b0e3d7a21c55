"""Media types: what the endings of names and the first bytes of files say, on any machine."""

import mimetypes
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from comfyserve.apis.comfydeploy.files import allowed_mime
from comfyserve.core.errors import InvalidInput, Place
from comfyserve.core.graph import parse_graph
from comfyserve.core.media import (
    TYPES,
    MediaKind,
    MediaPlace,
    check_media_names,
    extension_of,
    fits,
    media_places,
    renamed,
    sniff_mime,
    type_of,
)
from comfyserve.core.models import check_model_names
from comfyserve.services.files import clean_mime


@pytest.fixture
def slim_machine() -> Iterator[None]:
    """Python's own table alone, as on an image without /etc/mime.types."""
    mimetypes.init(files=[])
    yield
    mimetypes.init()


@pytest.mark.usefixtures("slim_machine")
@pytest.mark.parametrize(
    ("name", "mime"),
    [
        ("a.webp", "image/webp"),
        ("A.AVIF", "image/avif"),
        ("a.flac", "audio/flac"),
        ("a.ogg", "audio/ogg"),
        ("a.m4a", "audio/mp4"),
        ("a.webm", "video/webm"),
        ("a.glb", "model/gltf-binary"),
        ("a.html", "text/html"),
        ("a.safetensors", None),
        ("a", None),
    ],
)
def test_names_say_the_same_on_every_machine(name: str, mime: str | None) -> None:
    assert type_of(name) == mime
    assert clean_mime(None, name) == mime or "application/octet-stream"


@pytest.mark.usefixtures("slim_machine")
@pytest.mark.parametrize("name", ["a.webp", "a.flac", "a.ogg", "a.m4a"])
def test_an_upload_of_their_own_outputs_is_taken(name: str) -> None:
    assert allowed_mime(name) == TYPES[name[1:]]


def test_a_type_is_given_its_first_ending() -> None:
    assert [extension_of(mime) for mime in ("image/jpeg", "image/tiff", "audio/ogg", "x/y", None)] == [
        ".jpg",
        ".tiff",
        ".ogg",
        ".bin",
        ".bin",
    ]


@pytest.mark.parametrize(
    ("head", "mime"),
    [
        (b"\0\0\0\x20ftypM4A ", "audio/mp4"),
        (b"\0\0\0\x20ftypqt  ", "video/quicktime"),
        (b"\0\0\0\x20ftypisom", "video/mp4"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "image/webp"),
        (b"plain words", None),
    ],
)
def test_first_bytes_say_what_a_file_is(head: bytes, mime: str | None) -> None:
    assert sniff_mime(head) == mime


def test_files_get_new_names_also_inside_a_list() -> None:
    names = {"https://a": "asset:1", "[": "x"}
    assert renamed("https://a", names) == "asset:1"
    assert renamed('["https://a", "b", "https://a"]', names) == '["asset:1", "b", "asset:1"]'
    for kept in ("b", '["b"]', '["https://a", 1]', '{"https://a": 1}', "[https://a", 5, ["1", 0], "[" * 100_000):
        assert renamed(kept, names) == kept


def test_a_list_of_pictures_takes_pictures_and_zip_files() -> None:
    assert [fits(MediaKind.IMAGES, mime) for mime in ("image/png", "application/zip", "video/mp4", None)] == [
        True,
        True,
        False,
        False,
    ]


PICTURE = "https://pictures.example/a.png"


def found(class_type: str, catalogue: Mapping[str, Any] | None = None, **inputs: Any) -> list[MediaPlace]:
    return list(media_places(parse_graph({"1": {"class_type": class_type, "inputs": inputs}}), catalogue))


@pytest.mark.parametrize(
    ("class_type", "field", "kind"),
    [
        ("LoadImageMask", "image", MediaKind.IMAGE),
        ("LoadVideo", "file", MediaKind.VIDEO),
        ("VHS_LoadVideoFFmpegPath", "video", MediaKind.VIDEO),
        ("VHS_LoadAudio", "audio_file", MediaKind.AUDIO),
        ("Load3D", "model_file", MediaKind.FILE),
        ("ComfyUIDeployExternalFile", "file_url", MediaKind.FILE),
    ],
)
def test_the_table_knows_the_fields_of_files(class_type: str, field: str, kind: MediaKind) -> None:
    assert [(place.field, place.kind) for place in found(class_type, None, **{field: PICTURE})] == [(field, kind)]


@pytest.mark.parametrize("value", [[PICTURE, "data:image/png;base64,AA"], f'["{PICTURE}", "data:image/png;base64,AA"]'])
def test_a_folder_of_pictures_is_a_list_in_order(value: Any) -> None:
    assert [place.label for place in found("VHS_LoadImages", directory=value)] == ["directory[0]", "directory[1]"]
    assert [place.value for place in found("VHS_LoadImages", directory=PICTURE)] == [PICTURE]
    assert found("VHS_LoadImages", directory="my pictures") == []


@pytest.mark.parametrize("scheme", ["http", "https", "s3", "az", "gs", "hf", "git+https", "HTTPS"])
def test_every_scheme_of_fetch_is_an_address(scheme: str) -> None:
    assert len(found("LoadImage", image=f"{scheme}://x/y.png")) == 1
    assert found("LoadImage", image=f"{scheme}.png") == []


def test_a_class_that_nobody_listed_is_told_by_the_engine() -> None:
    told = {
        "LoadImage": {"input": {"required": {"image": [["a.png", "b.png"], {"image_upload": True}]}}},
        "Mine": {
            "input": {
                "required": {
                    "clip": [[], {"video_upload": True}],
                    "base": [["a.png", "b.png"], {}],
                    "mode": [["a.png"], {}],
                },
                "optional": {"text": ["STRING", {}]},
            }
        },
    }
    places = found("Mine", told, clip=PICTURE, base=PICTURE, mode=PICTURE, text=PICTURE)
    assert [(place.field, place.kind, place.below) for place in places] == [
        ("clip", MediaKind.VIDEO, ""),
        ("base", MediaKind.IMAGE, ""),
    ]
    assert found("Mine", None, clip=PICTURE) == []


@pytest.mark.parametrize(
    ("class_type", "field"),
    [
        ("LoadImage", "image"),
        ("SaveImage", "filename_prefix"),
        ("VHS_LoadImages", "directory"),
        ("Own", "filename_prefix"),
    ],
)
@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a\\..\\x", "C:/x", "a/../../x [output]"])
def test_a_name_that_leaves_its_folder_is_refused(class_type: str, field: str, name: str) -> None:
    graph = parse_graph({"4": {"class_type": class_type, "inputs": {field: name}}})
    with pytest.raises(InvalidInput) as caught:
        check_media_names(graph)
    assert caught.value.place == Place("4", field)


@pytest.mark.parametrize(
    "value", ["git+ssh://h/r", "ftp://h/x.png", "file:///etc/passwd", "http:127.0.0.1/x", "HTTPS:/h"]
)
def test_an_address_that_nobody_fetches_is_told_from_a_name(value: str) -> None:
    for class_type, field, given in (("LoadImage", "image", value), ("VHS_LoadImages", "directory", value)):
        graph = parse_graph({"4": {"class_type": class_type, "inputs": {field: given}}})
        with pytest.raises(InvalidInput, match=f"{field} is no address that is fetched: those begin with http://"):
            check_media_names(graph)
    with pytest.raises(InvalidInput, match="lora_name is no address"):
        check_model_names(parse_graph({"1": {"class_type": "LoraLoader", "inputs": {"lora_name": value}}}))


def test_existing_names_are_let_through() -> None:
    inputs = {"1": ("LoadImage", "image", "sub/x.png [output]"), "2": ("VHS_LoadImages", "directory", "pictures")}
    graph = {key: {"class_type": kind, "inputs": {field: name}} for key, (kind, field, name) in inputs.items()}
    check_media_names(parse_graph(graph | {"3": {"class_type": "LoadImage", "inputs": {"image": ["1", 0]}}}))


@pytest.mark.parametrize("nothing", [[], "[]"])
def test_a_folder_of_no_files_is_refused(nothing: object) -> None:
    graph = parse_graph({"1": {"class_type": "VHS_LoadImages", "inputs": {"directory": nothing}}})
    with pytest.raises(InvalidInput, match="directory names no files") as caught:
        check_media_names(graph)
    assert caught.value.place == Place("1", "directory")


def test_all_of_a_folder_must_be_addresses() -> None:
    graph = parse_graph({"1": {"class_type": "VHS_LoadImages", "inputs": {"directory": [PICTURE, "b.png"]}}})
    with pytest.raises(InvalidInput, match=r"directory\[1\] must be an address"):
        check_media_names(graph)
