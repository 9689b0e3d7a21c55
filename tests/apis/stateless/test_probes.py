"""/health, /ready and /models."""

from collections.abc import Mapping, Sequence

import pytest

from comfyserve.apis.stateless.options import Condition
from comfyserve.core.errors import EngineLost
from tests.apis.stateless.desk import Desk

CASES = [
    (Condition(healthy=True, ready=True), (200, "healthy"), (200, "ready")),
    (Condition(healthy=True, ready=False, reason="3 prompts wait."), (200, "healthy"), (503, "not ready")),
    (Condition(healthy=False, ready=False, reason="It warms up."), (500, "not healthy"), (503, "not ready")),
]


@pytest.mark.parametrize(("condition", "health", "ready"), CASES)
async def test_probes(desk: Desk, condition: Condition, health: tuple[int, str], ready: tuple[int, str]) -> None:
    async def told() -> Condition:
        return condition

    desk.set(condition=told, version="9.8.7")
    for path, (status, word) in {"/health": health, "/ready": ready}.items():
        expected = {"version": "9.8.7", "status": word}
        if status != 200:
            expected["reason"] = condition.reason
        answer = await desk.client.get(path)
        assert (answer.status_code, answer.json()) == (status, expected)
        assert list(answer.json())[:2] == ["version", "status"]
        assert answer.headers["content-type"] == "application/json; charset=utf-8"
        assert (await desk.client.head(path)).status_code == status


async def test_models_are_what_the_engine_says(desk: Desk) -> None:
    async def models() -> Mapping[str, Sequence[str]]:
        return {"checkpoints": ("a.safetensors", "b/c.ckpt"), "clip": ()}

    desk.set(models=models)
    assert await desk.json("GET", "/models") == {"checkpoints": ["a.safetensors", "b/c.ckpt"], "clip": []}


async def test_models_of_an_engine_that_is_gone(desk: Desk) -> None:
    async def models() -> Mapping[str, Sequence[str]]:
        raise EngineLost("The engine does not answer.")

    desk.set(models=models)
    told = await desk.json("GET", "/models", 500)
    assert told == {"statusCode": 500, "error": "Internal Server Error", "message": "The engine does not answer."}
