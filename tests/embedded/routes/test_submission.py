"""What is queued can be told again in JSON, whatever packs make of a prompt (spec section 2)."""

from collections.abc import Callable
from typing import Any

import pytest

from comfyserve.embedded.routes.submission import MAX_DEPTH
from tests.embedded.conftest import Seat

SHOW = {"1": {"class_type": "Show", "inputs": {"value": "x"}}}


def adds(value: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """What a pack does that puts something into every prompt."""
    return lambda wish: wish | {"extra_data": {"added": value}}


def deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value, value]
    return value


def endless() -> Any:
    value: list[Any] = []
    value += [value, value]
    return value


@pytest.mark.parametrize(
    "value",
    [float("nan"), [1, {"a": float("inf")}], (float("nan"),), deep(MAX_DEPTH), endless()],
    ids=["NaN", "infinity", "tuple", "deep", "endless"],
)
async def test_what_a_pack_adds_is_checked_too(seat: Seat, value: Any) -> None:
    seat.engine.packs.prompt_seen.append(adds(value))
    status, answer = await seat.submit(SHOW)
    assert (status, answer["error"]["type"]) == (400, "invalid_request")
    assert (await seat.call("GET", "/prompt"))[1] == {"exec_info": {"queue_remaining": 0}}


async def test_what_json_can_say_is_taken(seat: Seat) -> None:
    seat.engine.packs.prompt_seen.append(adds(deep(5)))
    seat.engine.packs.prompt_seen.append(adds((1, 2.5)))
    _, record = await seat.run(SHOW)
    assert record["prompt"][3]["added"] == [1, 2.5]
