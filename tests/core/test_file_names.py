"""A name that passes never leads out of its folder."""

import os
from pathlib import PurePosixPath, PureWindowsPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comfyserve.core.errors import InvalidInput, Place
from comfyserve.core.file_names import check_name, fault_of

PARTS = st.sampled_from(["..", ".", "a", "b.png", " ..", ".. ", "...", "C:", "\\", "/", "//", "\\..", "\0", "é", ""])
NAMES = st.one_of(st.text(max_size=40), st.lists(PARTS, max_size=6).map("/".join), st.lists(PARTS).map("".join))


@given(NAMES, st.sampled_from(["", " [output]", "[temp]"]))
def test_what_passes_stays_in_its_folder(name: str, kind: str) -> None:
    if fault_of(name + kind) is None:
        path = os.path.normpath("/base/folder/" + name)
        assert path == "/base/folder" or path.startswith("/base/folder/")
        assert not PurePosixPath(name).is_absolute() and not PureWindowsPath(name).drive


@given(NAMES)
def test_what_passes_stays_in_its_folder_on_windows(name: str) -> None:
    if fault_of(name, windows=True) is None:
        parts = PureWindowsPath(name).parts
        assert ".." not in parts and not PureWindowsPath(name).anchor


@pytest.mark.parametrize("name", ["example.png", "sub/x.png [output]", "a..b.png", "%date:yyyy-MM-dd%/x", ""])
def test_plain_names_pass(name: str) -> None:
    check_name(name, Place())


def test_the_error_says_where_and_what() -> None:
    with pytest.raises(InvalidInput, match=r"image leaves its folder with \.\.; .*: '\.\./x\.png'") as caught:
        check_name("../x.png", Place("3", "image"))
    assert caught.value.place == Place("3", "image")
