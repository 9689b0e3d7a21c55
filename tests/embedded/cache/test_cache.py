"""What is kept from prompt to prompt, and how much memory it may take (spec 9, caching)."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import pytest
from PIL import Image

from comfyserve.embedded.cache.policy import CacheKind, CachePolicy
from comfyserve.embedded.cache.result_size import size_of
from comfyserve.embedded.cache.results import Result, ResultCache, Scope
from comfyserve.embedded.files.folders import Folders
from comfyserve.embedded.settings import ServerSettings
from tests.embedded.conftest import Event, serve
from tests.embedded.execute.test_execute import SUM, node

MEGABYTE = 1_000_000


def result(size: int = 1) -> Result:
    return Result(([np.zeros(size, np.uint8)],))


def begin(cache: ResultCache, signatures: Iterable[str], owners: Iterable[tuple[str, str]] = ()) -> None:
    cache.begin({name: name.encode() for name in signatures}, set(owners))


def kept(cache: ResultCache, names: str, scope: Scope | None = None) -> str:
    return "".join(name for name in names if cache.get(scope or cache.root, name.encode()) is not None)


def fill(cache: ResultCache, names: str, size: int = 1) -> None:
    begin(cache, names)
    for name in names:
        cache.put(cache.root, name.encode(), result(size))


class TestClassic:
    def test_the_next_prompt_drops_what_it_does_not_use(self) -> None:
        cache = ResultCache()
        fill(cache, "abc")
        begin(cache, "bcd")
        assert kept(cache, "abcd") == "bc"

    def test_past_its_bytes_the_least_recently_used_goes(self) -> None:
        cache = ResultCache(CachePolicy(size=3 * MEGABYTE + 3000))
        fill(cache, "abc", MEGABYTE)
        assert kept(cache, "a") == "a"
        cache.put(cache.root, b"d", result(MEGABYTE))
        assert kept(cache, "abcd") == "acd"
        assert cache.size <= 3 * MEGABYTE + 3000

    def test_what_is_too_large_for_it_is_not_kept(self) -> None:
        cache = ResultCache(CachePolicy(size=MEGABYTE))
        fill(cache, "a", 2 * MEGABYTE)
        assert (len(cache), cache.size) == (0, 0)

    def test_an_expansion_has_a_scope_of_its_own_while_its_node_is_there(self) -> None:
        cache = ResultCache()
        owner = ("1", "Grow")
        begin(cache, "p", [owner])
        inner = cache.enter(cache.root, owner, {"x": b"x"}, set())
        cache.put(inner, b"x", result())
        assert (kept(cache, "x"), kept(cache, "x", inner)) == ("", "x")
        begin(cache, "q", [owner])
        assert kept(cache, "x", inner) == "x"
        begin(cache, "q")
        assert (kept(cache, "x", inner), len(cache), cache.size) == ("", 0, 0)


class TestLru:
    def test_whole_prompts_are_forgotten_oldest_first(self) -> None:
        cache = ResultCache(CachePolicy(CacheKind.LRU, entries=4))
        fill(cache, "ab")
        fill(cache, "cd")
        begin(cache, "b")
        fill(cache, "ef")
        begin(cache, "g")
        assert kept(cache, "abcdef") == "bef"

    def test_the_prompt_that_starts_loses_nothing(self) -> None:
        cache = ResultCache(CachePolicy(CacheKind.LRU, entries=1))
        fill(cache, "abc")
        begin(cache, "abc")
        assert kept(cache, "abc") == "abc"

    def test_expansions_share_one_scope(self) -> None:
        cache = ResultCache(CachePolicy(CacheKind.LRU, entries=9))
        assert cache.enter(cache.root, ("1", "Grow"), {}, set()) is cache.root


def test_none_keeps_nothing() -> None:
    cache = ResultCache(CachePolicy(CacheKind.NONE))
    fill(cache, "abc")
    assert len(cache) == 0


class Held:
    def __init__(self) -> None:
        self.pixels = np.zeros(MEGABYTE, np.uint8)


@pytest.mark.parametrize(
    "value",
    [
        np.zeros(MEGABYTE, np.uint8),
        np.zeros(MEGABYTE, np.uint8)[:1],
        b"x" * MEGABYTE,
        "x" * MEGABYTE,
        {"samples": [np.zeros(MEGABYTE, np.uint8)]},
        Held(),
        Image.new("L", (1000, 1000)),
        (same := np.zeros(MEGABYTE, np.uint8), same[5:], same),
    ],
)
def test_the_size_of_what_nodes_give(value: Any) -> None:
    assert MEGABYTE <= size_of(value, 10 * MEGABYTE) < MEGABYTE + 1500


class UnreadMap(Mapping[str, Any]):
    """What a node gives that reads its file when somebody asks, and has none."""

    def __init__(self) -> None:
        self.kept = np.zeros(MEGABYTE, np.uint8)

    def __getitem__(self, key: str) -> Any:
        raise ValueError("There is no sound.")

    def __iter__(self) -> Iterator[str]:
        raise ValueError("There is no sound.")

    def __len__(self) -> int:
        raise ValueError("There is no sound.")


def test_what_is_read_when_it_is_used_is_not_read_to_be_counted() -> None:
    assert MEGABYTE <= size_of((UnreadMap(),), 10 * MEGABYTE) < MEGABYTE + 1500


def test_a_circle_has_a_size() -> None:
    circle: list[Any] = []
    circle.append(circle)
    assert size_of(circle, MEGABYTE) > 0


class Remembers:
    """Counts its calls on itself."""

    RETURN_TYPES = ()
    FUNCTION = "run"
    OUTPUT_NODE = True
    calls = 0

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802 - a name of ComfyUI's contract
        return {"required": {}}

    @classmethod
    def IS_CHANGED(cls) -> float:  # noqa: N802 - a name of ComfyUI's contract
        return float("nan")

    def run(self) -> dict[str, Any]:
        self.calls += 1
        return {"ui": {"calls": [self.calls]}}


async def test_a_node_keeps_its_object_while_prompts_have_it(folders: Folders) -> None:
    one, other = {"1": node("Remembers")}, {"2": node("Remembers")}
    async with serve(folders, nodes={"Remembers": Remembers}) as seat:

        async def calls(graph: dict[str, Any]) -> Any:
            _, record = await seat.run(graph)
            return [ui["calls"] for ui in record["outputs"].values()]

        assert [await calls(graph) for graph in (one, one, other, one)] == [[[1]], [[2]], [[1]], [[1]]]
        assert await calls(one | other) == [[2], [1]]
        await seat.call("POST", "/free", json={"free_memory": True})
        assert await calls(one) == [[1]]


def cached(events: list[Event]) -> list[str]:
    nodes: list[str] = dict(events)["execution_cached"]["nodes"]
    return nodes


async def test_lru_remembers_more_than_the_latest_prompt(folders: Folders) -> None:
    async with serve(folders, ServerSettings(cache=CachePolicy(CacheKind.LRU, entries=10))) as seat:
        await seat.run(SUM)
        await seat.run({"1": node("Show", value="else")})
        assert cached((await seat.run(SUM))[0]) == ["1", "2", "3"]


@pytest.mark.parametrize("policy", [CachePolicy(CacheKind.NONE), CachePolicy(size=0)])
async def test_a_prompt_runs_without_any_cache(folders: Folders, policy: CachePolicy) -> None:
    async with serve(folders, ServerSettings(cache=policy)) as seat:
        for _ in range(2):
            events, record = await seat.run(SUM)
            assert cached(events) == []
            assert record["outputs"] == {"3": {"text": ["5"]}}
