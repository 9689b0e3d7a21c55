"""Media types: what the endings of names and the first bytes of files say, on any machine."""

import mimetypes
from collections.abc import Iterator

import pytest

from comfyserve.apis.comfydeploy.files import allowed_mime
from comfyserve.core.media import TYPES, MediaKind, extension_of, fits, renamed, sniff_mime, type_of
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
