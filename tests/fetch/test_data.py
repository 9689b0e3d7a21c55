"""data: URIs are files like any other."""

import base64
import hashlib
from pathlib import Path

import pytest

from comfyserve.core.errors import InvalidInput, StorageFailed, TooLarge
from comfyserve.fetch.data import DataSource
from comfyserve.fetch.source import Arrived, Order
from tests.fetch.downloads import content_of
from tests.fetch.origin import PNG

URI = "data:image/png;base64," + base64.b64encode(PNG).decode()


async def test_a_data_uri_is_decoded_to_the_file(tmp_path: Path) -> None:
    source, sha256 = DataSource(), hashlib.sha256(PNG).hexdigest()
    result = await source.download(Order(URI, len(PNG), sha256=sha256.upper()), tmp_path / "f")
    assert content_of(tmp_path / "f") == PNG
    assert isinstance(result, Arrived)
    assert (result.size, result.sha256, result.mime, result.head) == (len(PNG), sha256, "image/png", PNG[:64])
    await source.check(URI, None)
    await source.close()


@pytest.mark.parametrize(
    ("uri", "limit", "error"),
    [
        ("data:image/png;base64,!!!", 10, InvalidInput),
        ("data:no comma", 10, InvalidInput),
        (URI, len(PNG) - 1, TooLarge),
        ("data:image/png;base64," + "A" * 4_000_000, 2_000_000, TooLarge),
    ],
)
async def test_what_is_wrong_with_it_is_told(tmp_path: Path, uri: str, limit: int, error: type[Exception]) -> None:
    with pytest.raises(error):
        await DataSource().download(Order(uri, limit), tmp_path / "f")


async def test_a_disk_that_cannot_take_it_is_our_failure(tmp_path: Path) -> None:
    with pytest.raises(StorageFailed):
        await DataSource().download(Order("data:,x", 10), tmp_path / "no" / "f")
