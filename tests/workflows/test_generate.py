"""Workflow files made of graphs, by the program and by a language model behind a real HTTP server."""

import asyncio
import json
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from comfyserve.core.errors import InvalidInput
from comfyserve.core.graph import Graph, parse_graph
from comfyserve.embedded.files.folders import Folders
from comfyserve.embedded.packs.built_in import load_catalogue
from comfyserve.workflows.check import try_file
from comfyserve.workflows.generate import as_mapping, as_python
from comfyserve.workflows.language_model import (
    LanguageModel,
    LanguageModelFailed,
    choose_model,
    first_message,
    without_fences,
)
from comfyserve.workflows.names import WorkflowContext
from comfyserve.workflows.plan import Wish, plan_inputs, snake
from comfyserve.workflows.write import give_back, graph_in, write_workflow

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("**/workflow_api.json"))
KEY = "sk-s3cret"


@cache
def catalogue() -> Any:
    """The nodes of the embedded engine."""
    with tempfile.TemporaryDirectory() as folder:
        return load_catalogue(Folders(Path(folder))).all_info()


def small(**sampler: Any) -> Graph:
    """A graph with two texts, of which one leads to `negative` over another node."""
    inputs = {"seed": 7, "steps": 20, "cfg": 8, "sampler_name": "euler", "scheduler": "normal", "denoise": 1.0}
    links = {"model": ["4", 0], "positive": ["6", 0], "negative": ["8", 0], "latent_image": ["5", 0]}
    nodes = {
        "3": {"class_type": "KSampler", "inputs": inputs | links | sampler},
        "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "a.safetensors"}},
        "5": {"class_type": "EmptyLatentImage", "inputs": {"width": 512, "height": 768, "batch_size": 1}},
        "6": {"class_type": "CLIPTextEncode", "inputs": {"text": 'a "red" cat\n\\', "clip": ["4", 1]}},
        "7": {"class_type": "CLIPTextEncode", "inputs": {"text": "blurry", "clip": ["4", 1]}},
        "8": {"class_type": "ConditioningZeroOut", "inputs": {"conditioning": ["7", 0]}},
        "9": {"class_type": "SaveImage", "inputs": {"filename_prefix": "out", "images": ["3", 0]}},
    }
    return parse_graph(nodes)


def named(wishes: list[Wish]) -> dict[str, Wish]:
    return {wish.name: wish for wish in wishes}


async def graph_of(text: str, given: dict[str, Any], folder: Path, ending: str = ".py") -> Any:
    """The graph that a file makes."""
    file = folder / f"workflow{ending}"
    file.write_text(text)
    return (await try_file(file, given, WorkflowContext(), catalogue=catalogue())).graph


# ---------------------------------------------------------------------------------------- from the graph alone


def test_names_types_bounds_and_defaults() -> None:
    wishes = named(plan_inputs(small(), catalogue()))
    assert list(wishes)[:2] == ["prompt", "negative_prompt"]
    assert {"width", "height", "seed", "steps", "cfg_scale", "sampler_name", "scheduler", "checkpoint"} < set(wishes)
    assert "filename_prefix" not in wishes
    assert (wishes["prompt"].places, wishes["negative_prompt"].places) == ((("6", "text"),), (("7", "text"),))
    steps, cfg = wishes["steps"], wishes["cfg_scale"]
    assert (steps.type, steps.default, steps.low, steps.high) == ("integer", 20, 1, 10000)
    assert (cfg.type, cfg.default, cfg.low, cfg.high) == ("number", 8, 0.0, 100.0)
    assert (wishes["checkpoint"].type, wishes["checkpoint"].folder) == ("model", "checkpoints")


def test_without_a_catalogue_the_values_tell_the_types() -> None:
    wishes = named(plan_inputs(small(), None))
    assert (wishes["steps"].type, wishes["denoise"].type, wishes["steps"].high) == ("integer", "number", None)


def test_equal_names_are_told_apart_by_titles_then_by_numbers() -> None:
    raw = small().as_json()
    raw["10"] = raw["5"] | {"_meta": {"title": "Print sheet, large"}}
    raw["11"] = raw["5"]
    raw["12"] = {"class_type": "PrimitiveInt", "inputs": {"value": 3}, "_meta": {"title": "class"}}
    raw["13"] = {"class_type": "PrimitiveInt", "inputs": {"value": 3}, "_meta": {"title": "copy"}}
    names = set(named(plan_inputs(parse_graph(raw), catalogue())))
    assert {"width", "print_sheet_width", "width_2", "class_", "copy_"} < names


def test_a_value_outside_of_the_bounds_keeps_its_default() -> None:
    steps = named(plan_inputs(small(steps=20_000), catalogue()))["steps"]
    assert (steps.default, steps.low, steps.high) == (20_000, 1, None)


def test_snake_case() -> None:
    words = ("Positive Prompt", "cfgScale", "  Größe (px) ", "1. Step")
    assert [snake(text) for text in words] == ["positive_prompt", "cfg_scale", "gr_e_px", "1_step"]


@pytest.mark.parametrize("ending", [".py", ".json"])
@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.parent.name)
async def test_an_example_gives_back_its_graph(file: Path, ending: str, tmp_path: Path) -> None:
    graph = graph_in(file)
    wishes = plan_inputs(graph, catalogue())
    text = (as_python if ending == ".py" else as_mapping)(graph, wishes, file.parent.name)
    seeds = {wish.name: wish.default for wish in wishes if wish.type == "seed"}
    assert wishes and await graph_of(text, seeds, tmp_path, ending) == graph.as_json()


def test_the_file_is_as_a_formatter_leaves_it(tmp_path: Path) -> None:
    file = tmp_path / "small.py"
    file.write_text(draft())
    ruff = str(Path(sys.executable).with_name("ruff"))
    for command in (
        ("check", "--isolated", "--select", "E,F,I", "--line-length", "120"),
        ("format", "--isolated", "--line-length", "120", "--check"),
    ):
        done = subprocess.run([ruff, *command, str(file)], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("write", [as_python, as_mapping])
async def test_inputs_reach_their_places_and_are_checked(write: Any, tmp_path: Path) -> None:
    text, ending = (
        write(small(), plan_inputs(small(), catalogue()), 'A "small" one'),
        ".py" if write is as_python else ".json",
    )
    made = await graph_of(text, {"prompt": "a dog", "seed": 5, "width": 64}, tmp_path, ending)
    assert (made["6"]["inputs"]["text"], made["3"]["inputs"]["seed"], made["5"]["inputs"]["width"]) == ("a dog", 5, 64)
    seeds = {(await graph_of(text, {}, tmp_path, ending))["3"]["inputs"]["seed"] for _ in range(2)}
    assert len(seeds) == 2
    with pytest.raises(InvalidInput):
        await graph_of(text, {"steps": 0}, tmp_path, ending)


# -------------------------------------------------------------------------------------------- language models


class Provider:
    """An HTTP server that stands for a provider: gives `answers` one after the other, keeps what it was asked."""

    def __init__(self) -> None:
        self.answers: list[str | int] = []
        self.asked: list[tuple[str, dict[str, str], Any]] = []
        self.url = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append((request.path, dict(request.headers), await request.json()))
        text = self.answers.pop(0)
        if text == "hang":
            await asyncio.sleep(60)
        if isinstance(text, int):
            return web.Response(status=text, text=f"no: {request.headers.get('x-api-key')}")
        if text == "endless":
            return web.Response(text="x" * 5_000_000)
        anthropic = {"content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": text}]}
        openai = {"choices": [{"message": {"role": "assistant", "content": text}}]}
        return web.json_response(anthropic if request.path == "/v1/messages" else openai)


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    made = Provider()
    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.router.add_post("/{path:.*}", made.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield made
    await runner.cleanup()


def model(provider: Provider, name: str = "anthropic", seconds: float = 20.0) -> LanguageModel:
    environment = {f"{name.upper()}_API_KEY": KEY, f"{name.upper()}_BASE_URL": provider.url}
    chosen = choose_model("auto", environment, seconds)
    assert chosen is not None and KEY not in repr(chosen)
    return chosen


def draft() -> str:
    return as_python(small(), plan_inputs(small(), catalogue()), "small")


def test_which_model_is_asked() -> None:
    both = {"ANTHROPIC_API_KEY": "a", "MINIMAX_API_KEY": "b"}
    chosen = choose_model("auto", both)
    assert chosen is not None and (chosen.provider, chosen.url) == (
        "anthropic",
        "https://api.anthropic.com/v1/messages",
    )
    other = choose_model("minimax", both)
    assert other is not None and (other.key, other.url) == ("b", "https://api.minimax.io/v1/chat/completions")
    assert choose_model("none", both) is None and choose_model("auto", {"ANTHROPIC_API_KEY": ""}) is None
    with pytest.raises(InvalidInput, match="--model minimax needs MINIMAX_API_KEY"):
        choose_model("minimax", {"ANTHROPIC_API_KEY": "a"})


@pytest.mark.parametrize("name", ["anthropic", "minimax"])
@pytest.mark.parametrize("fences", ["{}", "```python\n{}\n```", "Here it is:\n\n```py\n{}\n```\nDone."])
async def test_an_answer_becomes_the_file(name: str, fences: str, provider: Provider) -> None:
    better = draft().replace("cfg_scale", "guidance_scale")
    provider.answers = [fences.format(better)]
    written = await write_workflow(small(), catalogue(), "small", ".py", model(provider, name))
    assert (written.text, written.author) == (better, name) and "guidance_scale" in written.inputs
    path, headers, body = provider.asked[0]
    sent = headers.get("x-api-key") or headers["Authorization"].removeprefix("Bearer ")
    assert sent == KEY and KEY not in json.dumps(body) and KEY not in path
    asked = body["messages"][0]["content"]
    assert "def generate(input: Input)" in asked and '"KSampler"' in asked and "{graph}" not in asked


WRONG = [
    ("def generate(:", "SyntaxError"),
    (draft().replace("Input", "Wishes"), "no Pydantic model"),
    (draft().replace('"normal"', '"karras"'), "node 3 has another scheduler"),
    (draft().replace('"8": {', '"88": {'), "node"),
    (draft().replace("Field(20, ge=1", "Field(ge=1"), "input.steps: Required"),
]


@pytest.mark.parametrize(("wrong", "why"), WRONG)
async def test_a_wrong_answer_is_sent_back_once(wrong: str, why: str, provider: Provider) -> None:
    provider.answers = [wrong, draft()]
    assert (await write_workflow(small(), catalogue(), "small", ".py", model(provider))).text == draft()
    second = provider.asked[1][2]["messages"]
    assert [message["role"] for message in second] == ["user", "assistant", "user"] and why in second[2]["content"]
    provider.answers = [wrong, wrong]
    with pytest.raises(LanguageModelFailed, match="wrote no file that gives back the graph"):
        await write_workflow(small(), catalogue(), "small", ".py", model(provider))
    assert len(provider.asked) == 4


async def test_an_answer_that_would_do_more_is_never_run(provider: Provider, tmp_path: Path) -> None:
    proof = tmp_path / "ran"
    provider.answers = [f"{draft()}open({str(proof)!r}, 'w').close()\n"] * 2
    with pytest.raises(LanguageModelFailed, match="which such a file needs not"):
        await write_workflow(small(), catalogue(), "small", ".py", model(provider))
    assert not proof.exists() and len(provider.asked) == 2


@pytest.mark.parametrize(
    ("answer", "why"),
    [(401, r"anthropic answers 401: no: \*\*\*"), ("endless", "longer than"), ("hang", "longer than")],
)
async def test_a_provider_that_fails_is_a_sentence(answer: str | int, why: str, provider: Provider) -> None:
    provider.answers = [answer]
    with pytest.raises(LanguageModelFailed, match=why) as failed:
        await write_workflow(small(), catalogue(), "s", ".py", model(provider, seconds=0.5 if answer == "hang" else 20))
    assert KEY not in str(failed.value.as_dict())


async def test_nobody_there() -> None:
    gone = LanguageModel("minimax", "http://127.0.0.1:9/v1", "m", KEY)
    with pytest.raises(LanguageModelFailed, match="minimax does not answer"):
        await write_workflow(small(), None, "s", ".py", gone)


def test_fences_and_braces() -> None:
    assert without_fences("```\na\n```\n\n```python\nlonger\n```") == "longer\n"
    assert without_fences("```python\ncut off") == "cut off\n"
    raw = small().as_json()
    raw["6"]["inputs"]["text"] = "{draft}"
    assert first_message(parse_graph(raw), None, "THE DRAFT").count("THE DRAFT") == 1


async def test_a_random_seed_is_no_other_graph() -> None:
    assert "seed" in await give_back(draft(), small())
