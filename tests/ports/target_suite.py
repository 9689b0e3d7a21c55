"""What every Target must do. A test class inherits this and brings an `at` fixture."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import pytest

from comfyserve.core.errors import InvalidInput, TargetFailed
from comfyserve.core.targets import TargetWish
from comfyserve.ports import Targets
from tests.ports.blobs_suite import stream

SMALL = b"\x89PNG\r\n\x1a\n" + b"x" * 1000
BIG = bytes(range(256)) * 4096 * 12


@dataclass
class At:
    """A target under test: how it is opened, the address of a name, and what lies there: bytes and media type."""

    targets: Targets
    wish: TargetWish
    address: Callable[[str], str]
    look: Callable[[str], Awaitable[tuple[bytes, str] | None]]
    secrets: tuple[str, ...]


async def put(at: At, name: str, data: bytes, mime: str = "image/png") -> str:
    async with at.targets.open(at.wish) as target:
        pieces = [data[start : start + 250_000] for start in range(0, len(data), 250_000)]
        return await target.put(name, stream(*pieces), size=len(data), mime=mime)


class TargetSuite:
    """The promises of the port."""

    @pytest.mark.parametrize("data", [SMALL, BIG], ids=["small", "big"])
    async def test_a_file_arrives_whole_at_the_address_that_is_told(self, at: At, data: bytes) -> None:
        address = await put(at, "run/a b.png", data)
        assert address == at.address("run/a b.png")
        assert not any(secret in address for secret in at.secrets)
        found = await at.look("run/a b.png")
        assert found is not None
        assert found[0] == data
        assert found[1] in ("image/png", "")

    async def test_several_files_go_through_one_opening(self, at: At) -> None:
        async with at.targets.open(at.wish) as target:
            for name in ("1.png", "2.png"):
                await target.put(name, stream(SMALL), size=len(SMALL), mime="image/png")
        assert [await at.look(name) for name in ("1.png", "2.png", "3.png")].count(None) == 1

    async def test_it_takes_as_many_files_at_once_as_it_says(self, at: At) -> None:
        async with at.targets.open(at.wish) as target:
            names = [f"{number}.png" for number in range(target.at_once)]
            await asyncio.gather(
                *(target.put(name, stream(SMALL), size=len(SMALL), mime="image/png") for name in names)
            )
        assert None not in [await at.look(name) for name in names]

    async def test_a_stream_that_breaks_leaves_nothing(self, at: At) -> None:
        async def broken() -> AsyncIterator[bytes]:
            yield BIG[:7_000_000]
            raise RuntimeError("the disk is gone")

        async with at.targets.open(at.wish) as target:
            with pytest.raises(RuntimeError, match="the disk is gone"):
                await target.put("broken.png", broken(), size=len(BIG), mime="image/png")
        assert await at.look("broken.png") is None

    async def test_a_stream_that_is_too_short_leaves_nothing(self, at: At) -> None:
        async with at.targets.open(at.wish) as target:
            with pytest.raises(TargetFailed):
                await target.put("short.png", stream(SMALL), size=len(SMALL) + 1, mime="image/png")
        assert await at.look("short.png") is None

    @pytest.mark.parametrize("name", ["", "../a.png", "a/../../b.png", "a//b.png", "/a.png/..", "a\\..\\b.png", "a\nb"])
    async def test_no_name_leads_out_of_the_target(self, at: At, name: str) -> None:
        with pytest.raises(InvalidInput):
            await put(at, name, SMALL)
