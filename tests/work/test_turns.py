"""Turns go round between keys, whoever asked more often."""

import asyncio

from comfyserve.work.collect.turns import Turns
from tests.work.shop import SECONDS


async def test_a_key_that_asks_late_is_next_and_who_leaves_the_line_costs_no_turn() -> None:
    turns, had, go = Turns(2), list[str](), asyncio.Event()

    async def work(key: str) -> None:
        async with turns.take(key):
            had.append(key)
            await go.wait()

    mine = [asyncio.create_task(work("mine")) for _ in range(6)]
    theirs = [asyncio.create_task(work("theirs")) for _ in range(2)]
    await asyncio.sleep(0)
    assert had == ["mine", "mine"]
    for left in (mine.pop(), theirs.pop()):
        left.cancel()
        await asyncio.wait({left})
    mine[0].cancel()
    await asyncio.wait({mine[0]})
    await asyncio.sleep(0)
    assert had[2] == "theirs"
    go.set()
    await asyncio.wait_for(asyncio.gather(*mine[1:], *theirs), SECONDS)
    assert had.count("mine") == 5
