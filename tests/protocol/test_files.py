"""Names of files (spec sections 4 and 11)."""

import pytest

from comfyserve.protocol.files import output_file_name, split_annotation


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("x.png", ("x.png", "input")),
        ("x.png [output]", ("x.png", "output")),
        ("a/b c.png [temp]", ("a/b c.png", "temp")),
        ("x [other]", ("x [other]", "input")),
        ("[input]", ("", "input")),
    ],
)
def test_split_annotation(name: str, expected: tuple[str, str]) -> None:
    assert split_annotation(name) == expected


def test_output_file_name() -> None:
    assert output_file_name("ComfyUI", 7, "png") == output_file_name("ComfyUI", 7, ".png") == "ComfyUI_00007_.png"
    assert output_file_name("x", 123456, "webp") == "x_123456_.webp"
