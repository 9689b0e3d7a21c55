"""Workflows written in Python."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from comfyserve.core.errors import InvalidInput
from comfyserve.workflows import LoadedWorkflow, WorkflowFolder, WorkflowLimits, load_workflows
from comfyserve.workflows.python_file import PRIVATE
from tests.workflows.folders import Engine, files_in, fill, found, refused

TXT2IMG = '''
"""Words at the top."""
from typing import Literal
from pydantic import BaseModel, Field
from comfyserve.workflows import ctx, random_seed

summary = "Text to Image"

class Input(BaseModel):
    prompt: str = Field(description="What to | paint")
    width: int = Field(512, ge=256, le=2048)
    style: Literal["plain", "bold"] = "plain"
    seed: int = Field(default_factory=random_seed)
    tags: list[str] = Field(default_factory=list)
    sampler_name: ctx.Sampler = "euler"
    scheduler: ctx.Scheduler = "normal"
    checkpoint: ctx.Model("checkpoints") = Field(None, description="Model")

def generate(input: Input) -> dict:
    return {
        "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": input.checkpoint}},
        "5": {"class_type": "KSampler", "inputs": {"seed": input.seed, "model": ("4", 0), "width": input.width}},
    }
'''

SMALL = "from pydantic import BaseModel\nclass Input(BaseModel):\n    n: int = 1\n"


@asynccontextmanager
async def loaded(folder: Path, files: dict[str, str], **more: object) -> AsyncIterator[WorkflowFolder]:
    limits = more.pop("limits", None)
    engine = more.pop("engine", None) or Engine()
    assert isinstance(engine, Engine)
    assert limits is None or isinstance(limits, WorkflowLimits)
    workflows = await load_workflows(fill(folder, files), engine.context(**more), limits)  # type: ignore[arg-type]  # the test's own words
    try:
        yield workflows
    finally:
        await workflows.close()


async def graph_of(workflow: LoadedWorkflow, given: dict[str, object]) -> dict[str, object]:
    return dict(await workflow.graph(await workflow.read(given)))


async def test_an_input_is_filled_in_and_becomes_a_graph(tmp_path: Path) -> None:
    async with loaded(tmp_path, {"sd1.5/txt2img-with-refiner.py": TXT2IMG}) as workflows:
        workflow = found(workflows, "sd1.5/txt2img-with-refiner")
        parsed = await workflow.read({"prompt": "a cat", "unknown": 1, "width": 300})
        graph = await workflow.graph(parsed)
        assert "unknown" not in parsed
        assert (parsed["width"], parsed["style"], parsed["checkpoint"]) == (300, "plain", "a.safetensors")
        assert isinstance(parsed["seed"], int)
        assert graph["4"]["inputs"]["ckpt_name"] == "a.safetensors"
        assert graph["5"]["inputs"] == {"seed": parsed["seed"], "model": ["4", 0], "width": 300}
        assert workflow.summary == "Text to Image"


async def test_the_warm_up_checkpoint_goes_before_the_first(tmp_path: Path) -> None:
    async with loaded(tmp_path, {"a.py": TXT2IMG}, warmup_ckpt="b.safetensors") as workflows:
        assert (await found(workflows, "a").read({"prompt": ""}))["checkpoint"] == "b.safetensors"


async def test_what_is_wrong_is_told_with_its_place(tmp_path: Path) -> None:
    async with loaded(tmp_path, {"a.py": TXT2IMG}) as workflows:
        workflow = found(workflows, "a")
        told = await refused(
            workflow, {"width": 5000, "seed": "x", "style": "odd", "sampler_name": "no", "checkpoint": "c"}
        )
        assert told == {
            "input.prompt": "Required",
            "input.width": "Number must be less than or equal to 2048",
            "input.seed": "Expected number, received string",
            "input.style": "Invalid enum value. Expected 'plain' or 'bold', received 'odd'",
            "input.sampler_name": "Invalid enum value. Expected 'euler' | 'heun', received 'no'",
            "input.checkpoint": "Invalid enum value. Expected 'a.safetensors' | 'b.safetensors', received 'c'",
        }
        assert await refused(workflow, "text") == {"input": "Expected object, received string"}
        assert await refused(workflow, {"prompt": 1}) == {"input.prompt": "Expected string, received number"}


async def test_a_name_that_came_meanwhile_is_looked_up_again(tmp_path: Path) -> None:
    engine = Engine()
    async with loaded(tmp_path, {"a.py": TXT2IMG}, engine=engine) as workflows:
        workflow = found(workflows, "a")
        await workflow.read({"prompt": ""})
        engine.models = {"checkpoints": ["new.safetensors"]}
        assert (await workflow.read({"prompt": "", "checkpoint": "new.safetensors"}))["checkpoint"] == "new.safetensors"


async def test_names_are_unchecked_while_the_engine_is_away(tmp_path: Path) -> None:
    engine = Engine()
    engine.away = True
    async with loaded(tmp_path, {"a.py": TXT2IMG}, engine=engine) as workflows:
        parsed = await found(workflows, "a").read({"prompt": "", "sampler_name": "any", "checkpoint": "any"})
        assert (parsed["sampler_name"], parsed["checkpoint"]) == ("any", "any")


async def test_names_are_not_asked_for_at_every_call(tmp_path: Path) -> None:
    engine = Engine()
    async with loaded(tmp_path, {"a.py": TXT2IMG}, engine=engine) as workflows:
        before = engine.asked
        for _ in range(20):
            await found(workflows, "a").read({"prompt": ""})
        assert engine.asked - before <= 1


async def test_the_table_of_inputs(tmp_path: Path) -> None:
    async with loaded(tmp_path, {"a.py": TXT2IMG}) as workflows:
        table = found(workflows, "a").description
    assert table == (
        "Words at the top.\n\n"
        "| Field | Type | Description | Default |\n|-|-|-|-|\n"
        "| prompt | string | What to \\| paint | **Required** |\n"
        "| width | number |  | 512 |\n"
        '| style | enum (`plain`, `bold`) |  | "plain" |\n'
        "| seed | number |  | random |\n"
        "| tags | string[] |  | [] |\n"
        '| sampler_name | enum (`euler`, `heun`) |  | "euler" |\n'
        '| scheduler | enum (`normal`, `karras`) |  | "normal" |\n'
        "| checkpoint | enum (`a.safetensors`, `b.safetensors`) | Model | - |\n"
    )


async def test_without_the_table_the_description_stays(tmp_path: Path) -> None:
    async with loaded(tmp_path, {"a.py": TXT2IMG}, markdown=False) as workflows:
        assert found(workflows, "a").description == "Words at the top."


async def test_the_other_names_and_asynchronous_functions(tmp_path: Path) -> None:
    text = (
        "from pydantic import BaseModel\nimport asyncio\nfrom comfyserve.workflows import ctx\n"
        "class RequestSchema(BaseModel):\n    n: int = 1\n"
        "async def generate_workflow(input):\n    await asyncio.sleep(0)\n"
        "    return {1: {'class_type': 'A', 'inputs': {'n': input.n, 'ckpt': ctx.warmup_ckpt, 'all': ctx.samplers,\n"
        "            'x': ctx.settings['x'], 'models': ctx.models('checkpoints')[0]}}}\n"
    )
    async with loaded(tmp_path, {"a.py": text}, warmup_ckpt="w", settings={"x": 3}) as workflows:
        graph = await graph_of(found(workflows, "a"), {"n": 2.0})
    inputs = {"n": 2, "ckpt": "w", "all": ["euler", "heun"], "x": 3, "models": "a.safetensors"}
    assert graph == {"1": {"class_type": "A", "inputs": inputs}}


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("raise ValueError('no such style')", "no such style"),
        ("return {}['x']", "KeyError: 'x'"),
        ("return [1]", "it gave array and no graph; return an object that maps node ids to nodes"),
        ("return {'1': {1, 2}}", "a set cannot stand in a graph; give text, numbers, lists and objects"),
        ("raise SystemExit(3)", "SystemExit: 3"),
    ],
)
async def test_a_function_that_raises(tmp_path: Path, body: str, reason: str) -> None:
    async with loaded(tmp_path, {"a.py": f"{SMALL}def generate(input):\n    {body}\n"}) as workflows:
        with pytest.raises(InvalidInput) as caught:
            await graph_of(found(workflows, "a"), {})
    assert caught.value.message == f"Failed to generate workflow prompt: {reason}"
    assert caught.value.place.field == "input"


async def test_a_function_that_does_not_end_costs_its_call(tmp_path: Path) -> None:
    text = f"{SMALL}import threading\ngo = threading.Event()\ndef generate(input):\n    go.wait()\n    return {{}}\n"
    limits = WorkflowLimits(call_seconds=0.2, threads=1)
    async with loaded(tmp_path, {"a.py": text}, limits=limits) as workflows:
        workflow = found(workflows, "a")
        for reason in ("it took longer than 0.2 s", "earlier calls have taken all places for longer than 0.2 s"):
            with pytest.raises(InvalidInput, match=reason):
                await graph_of(workflow, {})
        module = next(
            module for name, module in sys.modules.items() if name.startswith(PRIVATE) and "go" in vars(module)
        )
        module.go.set()


async def test_an_asynchronous_function_that_does_not_end(tmp_path: Path) -> None:
    text = f"{SMALL}import asyncio\nasync def generate(input):\n    await asyncio.Event().wait()\n"
    async with loaded(tmp_path, {"a.py": text}, limits=WorkflowLimits(call_seconds=0.1)) as workflows:
        with pytest.raises(InvalidInput, match=r"it took longer than 0\.1 s"):
            await graph_of(found(workflows, "a"), {})


async def test_an_asynchronous_function_that_blocks_holds_up_nothing_of_ours(tmp_path: Path) -> None:
    text = (
        f"{SMALL}import threading\ngo = threading.Event()\n"
        "async def generate(input):\n    go.wait(30)\n    return {'1': {'class_type': 'A'}}\n"
    )
    async with loaded(tmp_path, {"a.py": text}, limits=WorkflowLimits(call_seconds=0.2)) as workflows:
        workflow = found(workflows, "a")
        with pytest.raises(InvalidInput, match=r"it took longer than 0\.2 s"):
            await graph_of(workflow, {})
        module = next(
            module for name, module in sys.modules.items() if name.startswith(PRIVATE) and "go" in vars(module)
        )
        module.go.set()
        assert await graph_of(workflow, {}) == {"1": {"class_type": "A"}}


async def test_asynchronous_functions_share_one_loop_and_cannot_end_it(tmp_path: Path) -> None:
    text = (
        f"{SMALL}import asyncio\nlock, loops = asyncio.Lock(), set()\n"
        "async def generate(input):\n    async with lock:\n        await asyncio.sleep(0)\n"
        "        loops.add(asyncio.get_running_loop())\n    if input.n:\n        raise SystemExit(3)\n"
        "    return {'1': {'class_type': str(len(loops))}}\n"
    )
    async with loaded(tmp_path, {"a.py": text}) as workflows:
        workflow = found(workflows, "a")
        for _ in range(2):
            assert await graph_of(workflow, {"n": 0}) == {"1": {"class_type": "1"}}
            with pytest.raises(InvalidInput, match="SystemExit: 3"):
                await graph_of(workflow, {"n": 1})


async def test_calls_go_on_beside_each_other(tmp_path: Path) -> None:
    text = (
        f"{SMALL}import threading\nmeeting = threading.Barrier(2)\n"
        "def generate(input):\n    meeting.wait(20)\n    return {'1': {'class_type': str(input.n), 'inputs': {}}}\n"
    )
    async with loaded(tmp_path, {"a.py": text}) as workflows:
        workflow = found(workflows, "a")
        graphs = await asyncio.gather(graph_of(workflow, {"n": 1}), graph_of(workflow, {"n": 2}))
    assert [graph["1"]["class_type"] for graph in graphs] == ["1", "2"]  # type: ignore[index]  # a graph


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("def (", "SyntaxError: "),
        ("import no_such_module_here", "ModuleNotFoundError: No module named 'no_such_module_here' (line 1)"),
        ("x = 1\nraise RuntimeError('bad')", "RuntimeError: bad (line 2)"),
        ("import sys\nsys.exit(1)", "SystemExit: 1"),
        ("def generate(input): ...", "It has no Pydantic model named Input or RequestSchema."),
        (SMALL, "It has no function named generate."),
        ("\x00", "null bytes"),
    ],
)
async def test_a_file_that_cannot_be_loaded_is_listed(tmp_path: Path, text: str, reason: str) -> None:
    good = f"{SMALL}def generate(input):\n    return {{}}\n"
    async with loaded(tmp_path, {"bad.py": text, "good.py": good}) as workflows:
        assert [workflow.path for workflow in workflows.endpoints] == ["good"]
        assert reason in workflows.unreadable["bad"]


async def test_files_import_their_neighbours_and_nothing_is_written(tmp_path: Path) -> None:
    files = {
        "sd1.5/_shared.py": "PREFIX = 'mine'\n",
        "sd1.5/_more/deep.py": "WORD = 'deep'\n",
        "sd1.5/a.py": f"from ._shared import PREFIX\nfrom ._more.deep import WORD\n{SMALL}"
        "def generate(input):\n    return {'1': {'class_type': PREFIX, 'inputs': {'w': WORD}}}\n",
    }
    before = {name for name in sys.modules if name.startswith(PRIVATE)}
    async with loaded(tmp_path, files) as workflows:
        assert await graph_of(found(workflows, "sd1.5/a"), {}) == {"1": {"class_type": "mine", "inputs": {"w": "deep"}}}
    assert files_in(tmp_path) == set(files)
    assert {name for name in sys.modules if name.startswith(PRIVATE)} == before


async def test_a_file_cannot_touch_our_namespace(tmp_path: Path) -> None:
    text = f"ctx = None\nlogger = 1\n{SMALL}def generate(input):\n    return {{'1': {{'class_type': __name__}}}}\n"
    async with loaded(tmp_path, {"a.py": text}) as workflows:
        graph = await graph_of(found(workflows, "a"), {})
    assert str(graph["1"]["class_type"]).startswith(PRIVATE)  # type: ignore[index]  # a graph


async def test_validators_of_the_author_run_once(tmp_path: Path) -> None:
    text = (
        "from pydantic import BaseModel, field_validator\n"
        "class Input(BaseModel):\n    text: str\n"
        "    @field_validator('text')\n    @classmethod\n    def more(cls, value):\n"
        "        if value == 'bad':\n            raise ValueError('not this')\n        return value + '!'\n"
        "def generate(input):\n    return {'1': {'class_type': input.text}}\n"
    )
    async with loaded(tmp_path, {"a.py": text}) as workflows:
        workflow = found(workflows, "a")
        assert await graph_of(workflow, {"text": "x"}) == {"1": {"class_type": "x!"}}
        assert await refused(workflow, {"text": "bad"}) == {"input.text": "not this"}
