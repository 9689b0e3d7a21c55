"""Long texts of a request that are in files: files of nodes become assets, the rest becomes text again."""

import base64
import hashlib
import tracemalloc
from pathlib import Path
from random import Random
from typing import Any

import pytest

from comfyserve.core.data_uri import SPOOLED, bare_to_data_uri, decode_base64, decode_data_uri
from comfyserve.core.errors import InvalidInput, TooLarge
from comfyserve.core.graph import parse_graph
from comfyserve.core.media import media_places
from comfyserve.ports import ByteStream, StoredBlob
from comfyserve.services.files import Files
from comfyserve.services.media import MediaStore, SettledMedia
from comfyserve.services.spooled import LongTexts, fingerprinted
from comfyserve.testing import MemoryBlobs
from tests.services.bundle import PNG, Bundle, new_id

BIG = PNG + Random(7).randbytes(300_000)
TEXT = base64.b64encode(BIG).decode()
TOKEN = f"{SPOOLED}1"


@pytest.fixture
def spooled(tmp_path: Path) -> Any:
    def put(text: str, token: str = TOKEN) -> dict[str, Path]:
        path = tmp_path / token.removeprefix(SPOOLED)
        path.write_text(text, newline="")
        return {token: path}

    return put


def graph_with(image: Any, text: Any = "", field: str = "image") -> Any:
    return parse_graph(
        {
            "1": {"class_type": "LoadImage", "inputs": {field: image}},
            "2": {"class_type": "ShowText", "inputs": {"text": text, "more": {"list": [text]}}},
        }
    )


async def settle(bundle: Bundle, graph: Any, spooled: dict[str, Path], limit: int = 10**6) -> SettledMedia:
    files = Files(
        bundle.db,
        bundle.blobs,
        clock=bundle.clock,
        ids=new_id,
        secret=b"x" * 32,
        public_url="http://x",
        url_seconds=60,
        upload_limit=10**9,
    )
    media = MediaStore(files, data_limit=limit)
    return await media.settle(bundle.caller, graph, list(media_places(graph)), spooled)


@pytest.mark.parametrize(
    "text",
    [
        TEXT,
        TEXT.rstrip("="),
        TEXT.replace("+", "-").replace("/", "_"),
        base64.encodebytes(BIG).decode(),
        TEXT[:1000] + "!\u20ac" + TEXT[1000:],
        TEXT + "=junk",
        f"data:image/png;base64,{TEXT}",
        f"DATA:;base64,{TEXT.replace('+', '%2B')}",
    ],
)
async def test_the_file_of_a_node_becomes_an_asset(bundle: Bundle, spooled: Any, text: str) -> None:
    settled = await settle(bundle, graph_with(TOKEN), spooled(text))
    asset = await bundle.files.get(bundle.caller, settled.asset_ids[0])
    assert settled.graph.nodes["1"].inputs["image"] == f"asset:{asset.id}"
    assert (asset.mime, asset.filename, asset.size) == ("image/png", "image.png", len(BIG))
    assert asset.sha256 == hashlib.sha256(BIG).hexdigest()
    assert settled.made == [asset.id]
    assert settled.shown({"a": TOKEN, "b": {"c": TOKEN}}) == {"a": f"asset:{asset.id}", "b": {"c": f"asset:{asset.id}"}}


@pytest.mark.parametrize("text", ["A" * 100_000, f"data:image/png;base64,{TEXT}!", "data:image/png;base64", "x" * 5])
async def test_what_is_no_such_file_is_refused(bundle: Bundle, spooled: Any, text: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        await settle(bundle, graph_with(TOKEN), spooled(text))
    assert raised.value.place.as_dict() == {"node_id": "1", "field": "image"}
    assert not bundle.blobs.files


async def test_more_than_a_file_may_hold_is_refused(bundle: Bundle, spooled: Any) -> None:
    with pytest.raises(TooLarge):
        await settle(bundle, graph_with(TOKEN), spooled(TEXT), 100_000)
    assert not bundle.blobs.files


async def test_elsewhere_a_token_is_its_text_again(bundle: Bundle, spooled: Any) -> None:
    settled = await settle(bundle, graph_with("a.png", TOKEN), spooled(TEXT))
    assert settled.graph.nodes["2"].inputs == {"text": TEXT, "more": {"list": [TEXT]}}
    assert settled.shown({"text": TOKEN}) == {"text": TEXT}
    assert not settled.made


async def test_a_foreign_token_is_only_a_text(bundle: Bundle, spooled: Any) -> None:
    with pytest.raises(InvalidInput):
        await settle(bundle, graph_with(f"{SPOOLED}2"), spooled(TEXT))


def test_texts_are_put_back_within_a_limit(spooled: Any) -> None:
    with pytest.raises(TooLarge):
        LongTexts(spooled(TEXT), 1000).put_back([TOKEN])


def test_equal_texts_have_equal_fingerprints(spooled: Any) -> None:
    one, other = spooled(TEXT), spooled(TEXT, f"{SPOOLED}2")
    assert fingerprinted({"a": [TOKEN]}, one) == fingerprinted({"a": [f"{SPOOLED}2"]}, other)
    assert fingerprinted({"a": [TOKEN]}, one) != fingerprinted({"a": [TOKEN]}, spooled(f"{TEXT}A"))


class Counting(MemoryBlobs):
    """A store that keeps nothing of what streams into it but its size."""

    async def put(
        self, key: str, content: ByteStream, *, limit: int | None = None, mime: str = "", filename: str = ""
    ) -> StoredBlob:
        size = 0
        async for piece in content:
            size += len(piece)
        return StoredBlob(key, size, "0" * 64)


async def test_a_large_file_is_never_in_memory(bundle: Bundle, tmp_path: Path) -> None:
    path = tmp_path / "large"
    with path.open("w") as file:
        for _ in range(100):
            file.write(TEXT[:-4])
    bundle.blobs = Counting()
    tracemalloc.start()
    try:
        settled = await settle(bundle, graph_with(TOKEN), {TOKEN: path}, 10**9)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    asset = await bundle.files.get(bundle.caller, settled.asset_ids[0])
    assert asset.size > 25_000_000
    assert peak < 5_000_000


@pytest.mark.parametrize(
    "text", ["aGVsbG8=", "aGVsbG8", "aGVs bG8=\n", "aGVs!bG8=AAAA", "aGVsbG8=", "_-8", "aGVsb", "", "="]
)
def test_bare_base64_as_node_reads_it(text: str) -> None:
    wanted = {"_-8": b"\xff\xef", "aGVsb": b"hel", "": b"", "=": b""}.get(text, b"hello")
    assert b"".join(decode_base64(iter([text.encode()]), 100)) == wanted
    assert b"".join(decode_base64((letter.encode() for letter in text), 100)) == wanted
    assert b"".join(decode_data_uri(bare_to_data_uri(text), 100)[1]) == wanted
