"""What fetched files are called and what they are."""

import pytest

from comfyserve.fetch.names import MAX_NAME, UNKNOWN_NAME, mime_of, safe_name, with_extension
from tests.fetch.origin import PNG


@pytest.mark.parametrize(
    ("head", "declared", "name", "mime"),
    [
        (PNG, "text/html", "a.txt", "image/png"),
        (b"<svg", "image/svg+xml; charset=utf-8", "a", "image/svg+xml"),
        (b"some text", "application/octet-stream", "a.mp4", "video/mp4"),
        (b"some text", "no type\n", "a.mp4", "video/mp4"),
        (b"some text", "text/plain", "a", "text/plain"),
        (b"some text", "", "a", "application/octet-stream"),
    ],
)
def test_the_type_comes_from_the_content_then_the_sender_then_the_name(
    head: bytes, declared: str, name: str, mime: str
) -> None:
    assert mime_of(head, declared, name) == mime


@pytest.mark.parametrize(
    ("candidates", "name"),
    [
        ((None, "", "cat.png"), "cat.png"),
        (("../../etc/passwd",), "passwd"),
        (("C:\\dir\\cat.png",), "cat.png"),
        (("..", "/", "next"), "next"),
        ((".hidden",), "hidden"),
        (("a\0b\nc?.png",), "a_b_c_.png"),
        (("kätzchen.png",), "kätzchen.png"),
        ((None, ".."), UNKNOWN_NAME),
        ((), UNKNOWN_NAME),
    ],
)
def test_a_name_is_one_plain_file_name(candidates: tuple[str | None, ...], name: str) -> None:
    assert safe_name(*candidates) == name


def test_a_long_name_keeps_its_ending() -> None:
    assert safe_name("x" * 500 + ".safetensors").endswith("x.safetensors")
    assert len(safe_name("x" * 500 + ".safetensors")) <= MAX_NAME
    assert len(safe_name("x." * 500)) <= MAX_NAME


def test_a_name_gets_the_ending_of_its_type() -> None:
    assert with_extension("cat", "image/png") == "cat.png"
    assert with_extension("cat.jpg", "image/png") == "cat.jpg"
    assert with_extension("cat", "x/unknown") == "cat"
