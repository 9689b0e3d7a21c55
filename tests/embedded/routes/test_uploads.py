"""Uploads under one name, many at once: none is lost, and equal ones are kept once."""

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from comfyserve.embedded.routes.uploads import Upload, store

AT_ONCE = 16


@pytest.fixture(autouse=True)
def restless() -> Iterator[None]:
    """Threads that change as often as Python can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def stored_at_once(folder: Path, contents: list[bytes]) -> list[Path]:
    """The paths that these contents get when all are stored as x.bin at the same moment."""
    ready = Barrier(len(contents))

    def one(number: int) -> Path:
        upload = folder / f"upload-{number}"
        upload.write_bytes(contents[number])
        ready.wait(30)
        return store(Upload(upload, "x.bin"), folder / "input" / "x.bin", overwrite=False)

    with ThreadPoolExecutor(len(contents)) as threads:
        return list(threads.map(one, range(len(contents))))


@pytest.mark.parametrize("time", range(20))
def test_different_uploads_get_different_names(time: int, tmp_path: Path) -> None:
    contents = [bytes([number]) * 100 for number in range(AT_ONCE)]
    paths = stored_at_once(tmp_path, contents)
    assert len(set(paths)) == AT_ONCE
    assert [path.read_bytes() for path in paths] == contents


def test_equal_uploads_are_kept_once(tmp_path: Path) -> None:
    assert set(stored_at_once(tmp_path, [b"same"] * AT_ONCE)) == {tmp_path / "input" / "x.bin"}
    assert sorted(path.name for path in (tmp_path / "input").iterdir()) == ["x.bin"]
