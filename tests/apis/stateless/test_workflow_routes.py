"""POST /workflow/<path>: real workflow files, a real worker and a real engine."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from comfyserve.apis.stateless.long_inputs import LongInputs
from comfyserve.workflows import WorkflowContext, WorkflowLimits, load_workflows
from tests.apis.stateless.working import Solo, solo

HOOK = "https://receiver.example/hook"
COLOUR = """
from pydantic import BaseModel, Field

summary = "One colour"
description = "Makes a picture of one colour."


class Input(BaseModel):
    color: int = Field(ge=0, le=255, description="The colour")
    size: int = Field(16, ge=8, le=64, description="Width and height")


def generate(input: Input) -> dict:
    if input.color == 13:
        raise ValueError("13 is no colour")
    if input.color == 14:
        return {"1": {"inputs": {}}}
    empty = {"width": input.size, "height": input.size, "batch_size": 1, "color": input.color}
    return {
        "1": {"class_type": "EmptyImage", "inputs": empty},
        "9": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "colour"}},
    }
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Solo]:
    folder = tmp_path_factory.mktemp("solo")
    files = folder / "workflows"
    _write(files / "sd1.5" / "one-colour.py", COLOUR)
    _write(files / "broken.py", "def generate(:")
    loaded = await load_workflows(files, WorkflowContext(), WorkflowLimits())
    async with solo(folder, workflows=loaded.endpoints, unreadable=loaded.unreadable) as made:
        yield made
    await loaded.close()


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


pytestmark = pytest.mark.asyncio(loop_scope="module")


async def call(solo: Solo, given: Any, path: str = "sd1.5/one-colour", **fields: Any) -> tuple[int, dict[str, Any]]:
    answer = await solo.client.post(f"/workflow/{path}", json={"input": given, **fields})
    body: dict[str, Any] = answer.json()
    return answer.status_code, body


async def test_a_workflow_is_answered_as_prompt_is_with_its_input(shared: Solo) -> None:
    status, body = await call(shared, {"color": 5, "unknown": 1}, id="w")
    assert status == 200, body
    assert [*body] == ["prompt", "id", "images", "filenames", "stats", "outputs", "input"]
    assert body["input"] == {"color": 5, "size": 16}
    assert body["filenames"] == ["w_colour_00001_.png"]
    assert body["prompt"]["1"]["inputs"]["color"] == 5


async def test_a_workflow_with_a_webhook_is_answered_202(shared: Solo) -> None:
    status, body = await call(shared, {"color": 6}, webhook_v2=HOOK)
    assert (status, body["status"], body["input"]) == (202, "ok", {"color": 6, "size": 16})


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({}, "body/input/color Required"),
        ({"color": "red"}, "body/input/color Expected number, received string"),
        ({"color": 256}, "body/input/color Number must be less than or equal to 255"),
        ({"color": 256, "size": 1},
         "body/input/color Number must be less than or equal to 255, "
         "body/input/size Number must be greater than or equal to 8"),
        (5, "body/input Expected object, received number"),
    ],
)  # fmt: skip
async def test_inputs_that_do_not_fit(shared: Solo, given: Any, sentence: str) -> None:
    status, body = await call(shared, given)
    assert (status, body) == (
        400,
        {"statusCode": 400, "code": "FST_ERR_VALIDATION", "error": "Bad Request", "message": sentence},
    )


async def test_a_body_without_input(shared: Solo) -> None:
    answer = await shared.client.post("/workflow/sd1.5/one-colour", json={"prompt": {}})
    assert (answer.status_code, answer.json()["message"]) == (400, "body/input Required")


async def test_a_workflow_that_raises(shared: Solo) -> None:
    status, body = await call(shared, {"color": 13})
    assert status == 400
    assert body == {"error": "Failed to generate workflow prompt: 13 is no colour", "location": "input"}


async def test_a_workflow_that_makes_no_graph(shared: Solo) -> None:
    status, body = await call(shared, {"color": 14})
    assert status == 400
    assert "class_type" in str(body)


async def test_what_the_engine_says_of_the_graph_is_passed_on(shared: Solo) -> None:
    status, body = await call(shared, {"color": 5}, id="../x")
    assert (status, body["location"]) == (400, "id")


async def test_a_file_that_could_not_be_loaded_says_why(shared: Solo) -> None:
    status, body = await call(shared, {}, "broken")
    assert status == 500
    assert body["message"].startswith("The workflow broken could not be loaded: ")
    assert "invalid syntax" in body["message"]


@pytest.mark.parametrize("path", ["nope", "sd1.5", "sd1.5/one-colour/more", "", "sd1.5/one-colour.py"])
async def test_paths_that_no_workflow_has(shared: Solo, path: str) -> None:
    status, body = await call(shared, {}, path)
    assert status == 404
    assert body["message"] == f"Route POST:/workflow/{path} not found"


async def test_each_workflow_is_described(shared: Solo) -> None:
    paths = (await shared.client.get("/docs/json")).json()["paths"]
    operation = paths["/workflow/sd1.5/one-colour"]["post"]
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    assert operation["summary"] == "One colour"
    assert "| color |" in operation["description"]
    assert schema["required"] == ["input"]
    assert schema["properties"]["input"]["properties"]["color"]["maximum"] == 255
    assert "webhook_v2" in schema["properties"]
    assert "/workflow/{path}" not in paths


async def test_over_the_limit_a_function_gets_the_mark_of_a_text(tmp_path: Path) -> None:
    marks = {f"data:spooled,{number}": tmp_path / str(number) for number in range(2)}
    for path in marks.values():
        with path.open("wb") as file:
            file.truncate(9 * 1024 * 1024)
    first, second = marks
    texts = LongInputs(marks)
    given = {"picture": first, "notes": [second]}
    assert await texts.opened(given) == given
    graph = {"1": {"inputs": {"image": first}}}
    assert texts.closed(graph) == graph
    assert texts.shown(given, graph) == {"picture": first, "notes": ["(9437184 bytes)"]}


async def test_the_error_of_a_workflow_logs_nothing_secret(shared: Solo) -> None:
    auth = {"type": "basic", "username": "me", "password": "hunter2"}
    with capture_logs() as lines:
        status, body = await call(
            shared,
            {"color": 13},
            credentials=[{"url_pattern": "https://a/**", "auth": auth}],
            webhook_v2="https://me:hunter2@receiver.example/hook",
        )
    assert status == 400
    assert lines
    assert "hunter2" not in f"{lines}{body}"
