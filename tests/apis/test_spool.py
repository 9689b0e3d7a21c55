"""Bodies whose long strings go to disk while they come in."""

import asyncio
import base64
import json
import tracemalloc
from collections.abc import AsyncIterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.requests import ClientDisconnect

from comfyserve.apis.http.errors import Busy, InvalidRequest, MalformedJson
from comfyserve.apis.http.sieve import LONG, Sieve
from comfyserve.apis.http.spool import BATCH, Spool, Spooled, SpoolLimits
from comfyserve.core.data_uri import SPOOLED
from comfyserve.core.errors import StorageFailed, TooLarge
from comfyserve.services.spooled import LongTexts
from tests.apis.world import World

DATA = base64.b64encode(Random(5).randbytes(LONG)).decode()
LIMIT = 10**9


class Kept:
    """The files of one sieve, in memory."""

    def __init__(self) -> None:
        self.texts: dict[str, bytearray] = {}

    def new(self) -> tuple[str, Any]:
        token = f"{SPOOLED}{len(self.texts)}"
        text = self.texts[token] = bytearray()
        return token, text.extend

    def value(self, rest: bytes) -> Any:
        return self._back(msgspec.json.decode(rest))

    def _back(self, value: Any) -> Any:
        match value:
            case str(token) if token in self.texts:
                return self.texts[token].decode()
            case dict(fields):
                return {name: self._back(item) for name, item in fields.items()}
            case list(items):
                return [self._back(item) for item in items]
        return value


def sieved(body: bytes, cuts: list[int] | None = None) -> tuple[bytes, Kept]:
    kept = Kept()
    sieve = Sieve(kept.new, LIMIT)
    edges = [0, *sorted(cut % (len(body) + 1) for cut in cuts or []), len(body)]
    for start, end in pairwise(edges):
        sieve.feed(body[start:end])
    return sieve.end(), kept


async def chunks(body: bytes, size: int = 65_536) -> AsyncIterator[bytes]:
    for start in range(0, len(body), size):
        yield body[start : start + size]


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    made = Spool(tmp_path / "spool")
    made.open()
    return made


plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
ends = st.text(st.sampled_from('aZ/+=\\"\n\r\u20ac\U0001f600\x00{}[]:,'), max_size=12)


@st.composite
def long_texts(draw: st.DrawFn) -> str:
    """Base64, a data URI or prose of about the length from which strings go to files, with anything in it."""
    head = draw(st.sampled_from(["", "data:image/png;base64,", " DATA:,", "once upon "]))
    middle = draw(st.sampled_from([DATA[:LONG], DATA[: LONG - 30], DATA[: LONG + 5], "\n".join([DATA[:76]] * 900)]))
    return head + draw(ends) + middle + draw(ends)


@settings(max_examples=150, deadline=None)
@given(
    plain,
    st.lists(long_texts(), min_size=1, max_size=2),
    st.booleans(),
    st.booleans(),
    st.lists(st.integers(0, 10**6), max_size=30),
)
def test_every_value_comes_back(value: Any, long: list[str], ascii_only: bool, php: bool, cuts: list[int]) -> None:
    wanted = {"a": value, "b": {str(number): text for number, text in enumerate(long)}, "c": [long[0], value]}
    text = json.dumps(wanted, ensure_ascii=ascii_only)
    body = (text.replace("/", "\\/") if php else text).encode()
    rest, kept = sieved(body, cuts)
    assert kept.value(rest) == wanted


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=30), st.integers(0, 10**6), st.lists(st.integers(0, 10**6), max_size=6))
def test_broken_ones_stay_broken_and_whole_ones_whole(junk: bytes, at: int, cuts: list[int]) -> None:
    """With junk put anywhere, the sieve and a reader of the whole text agree."""
    body = json.dumps({"x": DATA, "y": ["\u20ac", 1]}).encode()
    at %= len(body) + 1
    body = body[:at] + junk + body[at:]
    assert _read(lambda: _by_sieve(body, cuts)) == _read(lambda: msgspec.json.decode(body))


def _by_sieve(body: bytes, cuts: list[int]) -> Any:
    rest, kept = sieved(body, cuts)
    return kept.value(rest)


def _read(read: Any) -> Any:
    try:
        return ("value", read())
    except (MalformedJson, msgspec.DecodeError, UnicodeDecodeError):
        return "broken"


@pytest.mark.parametrize("cut", range(1, 16))
@pytest.mark.parametrize("inside", ["\\ud83d\\ude00", "\\\\\\u00e9", "\\\\ud83d", "\u20ac\U0001f600", '\\"\\\\'])
def test_a_border_anywhere_in_an_escape(inside: str, cut: int) -> None:
    body = f'{{"x":"{DATA}{inside}{DATA}"}}'.encode()
    rest, kept = sieved(body, [6 + len(DATA) + cut, LONG - 1, LONG])
    assert kept.value(rest) == json.loads(body)
    assert len(kept.texts) == 1


@pytest.mark.parametrize(
    "inside",
    [b"\n", b"\x00", b"\xff", b"\xc3(", b"\xe2\x82", b"\\x", b"\\u12g4", b"\\ud83d", b"\\ud83d\\u0041", b"\\udc00"],
)
def test_what_no_string_may_hold(inside: bytes) -> None:
    for body in (b'"%b%b%b"' % (DATA.encode(), inside, DATA.encode()), b'"%b%b"' % (DATA.encode(), inside)):
        with pytest.raises((MalformedJson, msgspec.DecodeError, UnicodeDecodeError)):
            _by_sieve(body, [])


def test_what_is_spooled_and_what_stays() -> None:
    prose = "a cat, " * LONG
    rest, kept = sieved(json.dumps([DATA, prose, DATA[:LONG], f"data:text/plain,{prose}"]).encode())
    assert sorted(map(len, kept.texts.values())) == [len(DATA), len(prose) + 16]
    assert msgspec.json.decode(rest)[1:3] == [prose, DATA[:LONG]]


def test_the_name_of_a_field_is_never_a_file() -> None:
    with pytest.raises(TooLarge, match="name of a field"):
        sieved(f'{{"{DATA}" : 1}}'.encode())


def test_only_the_rest_counts_towards_its_limit() -> None:
    kept = Kept()
    Sieve(kept.new, 100).feed(json.dumps([DATA]).encode())
    with pytest.raises(TooLarge, match="not counted"):
        Sieve(kept.new, 100).feed(json.dumps(["a b " * LONG]).encode())


async def test_a_small_body_makes_no_file(spool: Spool, tmp_path: Path) -> None:
    async with spool.reading(chunks(b'{"a": 1}')) as body:
        assert body == Spooled(b'{"a": 1}')
        assert not list((tmp_path / "spool").iterdir())


async def test_files_live_as_long_as_the_request(spool: Spool, tmp_path: Path) -> None:
    wanted = {"x": [DATA, "a"], "y": DATA * 20}
    async with spool.reading(chunks(json.dumps(wanted).encode(), 1_000)) as body:
        assert len(body.rest) < 200
        assert {path.stat().st_mode & 0o777 for path in body.files.values()} == {0o600}
        assert LongTexts(body.files).put_back(msgspec.json.decode(body.rest)) == wanted
    assert not list((tmp_path / "spool").iterdir())


@pytest.mark.parametrize(
    ("ending", "error"),
    [(b"", MalformedJson), (ClientDisconnect(), InvalidRequest), (b"\xff" * BATCH, MalformedJson)],
)
async def test_files_go_when_the_body_is_no_good(
    spool: Spool, tmp_path: Path, ending: bytes | Exception, error: type[Exception]
) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b'{"x": "' + DATA.encode() * 4
        if isinstance(ending, Exception):
            raise ending
        yield ending

    with pytest.raises(error):
        async with spool.reading(broken()):
            pass
    assert not list((tmp_path / "spool").iterdir())


async def test_files_go_when_the_request_is_dropped(spool: Spool, tmp_path: Path) -> None:
    begun = asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield b'{"x": "' + DATA.encode() * 4
        begun.set()
        await asyncio.Event().wait()

    async def serve() -> None:
        async with spool.reading(slow()):
            pass

    serving = asyncio.create_task(serve())
    async with asyncio.timeout(10):
        await begun.wait()
        serving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await serving
    assert not list((tmp_path / "spool").iterdir())


def test_files_of_a_killed_process_go_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "left").write_text("x")
    Spool(tmp_path).open()
    assert not list(tmp_path.iterdir())


async def test_bounds(tmp_path: Path) -> None:
    spool = Spool(tmp_path, SpoolLimits(files=2, disk=3 * len(DATA)))
    body = json.dumps([DATA, DATA]).encode()
    with pytest.raises(TooLarge, match="more than 2 files"):
        async with spool.reading(chunks(json.dumps([DATA] * 3).encode())):
            pass
    async with spool.reading(chunks(body)):
        with pytest.raises(Busy):
            async with spool.reading(chunks(body)):
                pass
    async with spool.reading(chunks(body)) as read:
        assert len(read.files) == 2


async def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(StorageFailed, match="No such file"):
        async with Spool(tmp_path / "gone").reading(chunks(json.dumps([DATA]).encode())):
            pass


async def test_eight_large_bodies_at_once_are_not_in_memory(spool: Spool) -> None:
    async def sent() -> AsyncIterator[bytes]:
        yield b'{"image": "'
        for _ in range(20 * 1024**2 // len(DATA)):
            yield DATA.encode()
            await asyncio.sleep(0)
        yield b'"}'

    async def serve(all_here: asyncio.Barrier) -> int:
        async with spool.reading(sent()) as body:
            await all_here.wait()
            return sum(path.stat().st_size for path in body.files.values())

    tracemalloc.start()
    try:
        barrier = asyncio.Barrier(8)
        async with asyncio.timeout(60):
            sizes = await asyncio.gather(*(serve(barrier) for _ in range(8)))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert min(sizes) > 19 * 1024**2
    assert peak < 40 * 1024**2


def test_deep_nesting_is_read_through() -> None:
    body = b"[" * 5_000 + b'"' + DATA.encode() + b'"' + b"]" * 5_000
    rest, kept = sieved(body)
    assert len(kept.texts) == 1
    with pytest.raises(RecursionError):
        msgspec.json.decode(rest)


async def test_runs_take_bodies_from_the_spool(world: World, spool: Spool) -> None:
    """The text of a node comes back whole; the same request is the same run, although its tokens are new."""
    world.app.state.context = replace(
        world.app.state.context, options=replace(world.app.state.context.options, spool=spool)
    )
    graph = {"1": {"class_type": "ShowText", "inputs": {"text": DATA}}}
    headers = {"idempotency-key": "one"}
    first = await world.client.post("/v1/runs", json={"graph": graph}, headers=headers)
    again = await world.client.post("/v1/runs", json={"graph": graph}, headers=headers)
    other = await world.client.post(
        "/v1/runs", json={"graph": {"1": {**graph["1"], "inputs": {"text": DATA + "AAAA"}}}}, headers=headers
    )
    assert (first.status_code, again.status_code, other.status_code) == (201, 200, 409)
    assert again.json()["id"] == first.json()["id"]
    claim = await world.next_claim()
    assert claim.graph.as_json()["1"]["inputs"] == graph["1"]["inputs"]


async def test_a_body_that_breaks_on_the_way_is_told_as_any_other(world: World, spool: Spool) -> None:
    world.app.state.context = replace(
        world.app.state.context, options=replace(world.app.state.context.options, spool=spool)
    )
    for path in ("/v1/runs", "/api/run"):
        whole = await world.client.post(path, content=b'{"a": 1')
        cut = await world.client.post(path, content=b'{"a": "' + DATA.encode() * 2)
        assert (cut.status_code, cut.json().keys()) == (whole.status_code, whole.json().keys())
