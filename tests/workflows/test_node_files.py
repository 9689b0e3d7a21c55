"""Workflows for the original, run by Node."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from comfyserve.core.errors import InvalidInput
from comfyserve.workflows import LoadedWorkflow, WorkflowFolder, WorkflowLimits, load_workflows
from comfyserve.workflows.limits import MIB
from comfyserve.workflows.node_process import find_node
from tests.workflows.folders import Engine, files_in, fill, found, refused

TYPED = """
import { z } from "zod";
import { ComfyPrompt, Workflow } from "../types";
import config from "../config";
import type { Nothing } from "./not-there";

interface Local { a: string; b?: Array<Map<string, number>> }
type Pair<T extends object = {}> = { [K in keyof T]?: T[K] } | null;
enumerate<string>("x");
function enumerate<T>(value: T, ...more: T[]): T[] { return [value, ...more] as T[]; }

let checkpoint: any = config.models.checkpoints.enum.optional();
if (config.warmupCkpt) {
  checkpoint = checkpoint.default(config.warmupCkpt);
}

const RequestSchema = z.object({
  prompt: z.string().describe("What to paint"),
  width: z.number().int().min(256).max(2048).optional().default(512).describe("Width"),
  cfg: z.number().positive().optional().default(8),
  seed: z.number().int().optional().default(() => Math.floor(Math.random() * 1e12)),
  sampler_name: config.samplers.optional().default("euler").describe("Sampler"),
  scheduler: config.schedulers.optional().default("normal"),
  style: z.enum(["plain", "bold"]).optional().default("plain"),
  mode: z.literal("fast").optional(),
  loud: z.boolean().nullable().default(null),
  tags: z.array(z.string().regex(/^[a-z]+$/)).max(2).default([]),
  weight: z.union([z.number(), z.string()]).optional(),
  link: z.string().url().optional(),
  extra: z.record(z.number()).optional(),
  free: z.any(),
  even: z.number().refine((value: number) => value % 2 === 0, { message: "Give an even number" }).optional(),
  shout: z.string().transform((text) => text.toUpperCase()).optional(),
  other: z.string().refine((name) => config.models.checkpoints.all.includes(name)).optional()
    .default(config.warmupCkpt || config.models.checkpoints.all[0]),
  checkpoint,
});

type InputType = z.infer<typeof RequestSchema>;

async function generateWorkflow(input: InputType): Promise<ComfyPrompt> {
  const local = { a: `x${input.width as number}` } satisfies Local;
  const wide = input.width! > 1000 ? "wide" : ("narrow" as string);
  return {
    "4": { inputs: { ckpt_name: input.checkpoint, other: input.other }, class_type: "Loader", _meta: { title: wide } },
    "5": { inputs: { text: input.prompt, clip: ["4", 1], name: local.a, seed: input.seed }, class_type: "Text" },
    ...(input.shout ? { "6": { inputs: { text: input.shout, m: input.mode }, class_type: "Shout" } } : {}),
  };
}

const workflow: Workflow = {
  RequestSchema,
  generateWorkflow,
  summary: "Typed",
  description: "All of it",
};

export default workflow;
"""

COMMON = """
"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
var zod_1 = require("zod");
var RequestSchema = zod_1.z.object({ n: zod_1.z.number().default(1) });
function generateWorkflow(input) { %s }
exports.default = { RequestSchema: RequestSchema, generateWorkflow: generateWorkflow };
"""
SMALL = COMMON % "return { '1': { class_type: 'A', inputs: { n: input.n } } };"


@asynccontextmanager
async def loaded(
    folder: Path, files: dict[str, str], limits: WorkflowLimits | None = None, engine: Engine | None = None, **more: Any
) -> AsyncIterator[WorkflowFolder]:
    context = (engine or Engine()).context(**({"node": find_node() or ""} | more))
    workflows = await load_workflows(fill(folder, files), context, limits)
    try:
        yield workflows
    finally:
        await workflows.close()


async def graph_of(workflow: LoadedWorkflow, given: dict[str, Any]) -> dict[str, Any]:
    return dict(await workflow.graph(await workflow.read(given)))


async def failed(workflow: LoadedWorkflow, given: dict[str, Any]) -> str:
    with pytest.raises(InvalidInput) as caught:
        await graph_of(workflow, given)
    assert caught.value.place.field == "input"
    return caught.value.message


def test_there_is_a_node_to_test_with() -> None:
    assert find_node(), "script/setup brings Node"


async def test_typescript_becomes_an_endpoint(tmp_path: Path) -> None:
    async with loaded(tmp_path, {"sd1.5/typed.ts": TYPED}, warmup_ckpt="b.safetensors") as workflows:
        workflow = found(workflows, "sd1.5/typed")
        parsed = await workflow.read({"prompt": "a cat", "width": 1024, "shout": "hey", "zz": 1, "extra": {"a": 1}})
        graph = await workflow.graph(parsed)
        assert (workflow.summary, workflow.description.splitlines()[0]) == ("Typed", "All of it")
    assert list(parsed)[:4] == ["prompt", "width", "cfg", "seed"]
    assert (parsed["cfg"], parsed["checkpoint"], parsed["style"], parsed["loud"]) == (8, "b.safetensors", "plain", None)
    assert parsed.keys().isdisjoint({"zz", "mode", "link"})
    assert graph["4"] == {
        "inputs": {"ckpt_name": "b.safetensors", "other": "b.safetensors"},
        "class_type": "Loader",
        "_meta": {"title": "wide"},
    }
    assert graph["5"]["inputs"] == {"text": "a cat", "clip": ["4", 1], "name": "x1024", "seed": parsed["seed"]}
    assert graph["6"]["inputs"] == {"text": "HEY"}
    assert files_in(tmp_path) == {"sd1.5/typed.ts"}


async def test_what_is_wrong_is_told_in_zods_words(tmp_path: Path) -> None:
    async with loaded(tmp_path, {"a.ts": TYPED}) as workflows:
        told = await refused(
            found(workflows, "a"),
            {
                "width": 5000.5,
                "cfg": 0,
                "seed": "1",
                "sampler_name": "odd",
                "style": 3,
                "mode": "slow",
                "loud": "yes",
                "tags": ["ok", "NO", "more"],
                "weight": False,
                "link": "nowhere",
                "extra": {"a": "b"},
                "even": 3,
                "checkpoint": "c",
            },
        )
    assert told == {
        "input.prompt": "Required",
        "input.width": "Number must be less than or equal to 2048",
        "input.cfg": "Number must be greater than 0",
        "input.seed": "Expected number, received string",
        "input.sampler_name": "Invalid enum value. Expected 'euler' | 'heun', received 'odd'",
        "input.style": "Expected 'plain' | 'bold', received number",
        "input.mode": 'Invalid literal value, expected "fast"',
        "input.loud": "Expected boolean, received string",
        "input.tags": "Array must contain at most 2 element(s)",
        "input.tags.1": "Invalid",
        "input.weight": "Invalid input",
        "input.link": "Invalid url",
        "input.extra.a": "Expected number, received string",
        "input.even": "Give an even number",
        "input.checkpoint": "Invalid enum value. Expected 'a.safetensors' | 'b.safetensors', received 'c'",
    }


async def test_the_table_and_the_schema(tmp_path: Path) -> None:
    async with loaded(tmp_path, {"a.ts": TYPED}) as workflows:
        workflow = found(workflows, "a")
        rows = workflow.description.splitlines()
        properties = workflow.input_schema["properties"]
        required = workflow.input_schema["required"]
    assert "| prompt | string | What to paint | **Required** |" in rows
    assert "| width | number | Width | 512 |" in rows
    assert "| seed | number |  | random |" in rows
    assert '| sampler_name | enum (`euler`, `heun`) | Sampler | "euler" |' in rows
    assert '| mode | literal ("fast") |  | - |' in rows
    assert "| tags | string[] |  | [] |" in rows
    assert "| weight | number, string |  | - |" in rows
    assert "| even | number |  | - |" in rows
    assert properties["width"] == {
        "type": "integer",
        "minimum": 256,
        "maximum": 2048,
        "default": 512,
        "description": "Width",
    }
    assert required == ["prompt"]


async def test_names_that_change_are_known_at_the_next_call(tmp_path: Path) -> None:
    engine = Engine()
    engine.away = True
    async with loaded(tmp_path, {"a.ts": TYPED}, engine=engine) as workflows:
        workflow = found(workflows, "a")
        assert (await workflow.read({"prompt": "", "sampler_name": "any", "checkpoint": "c"}))["checkpoint"] == "c"
        engine.away = False
        engine.models = {"checkpoints": ["late"]}
        told = await refused(workflow, {"prompt": 1, "checkpoint": "c"})
        assert told["input.checkpoint"] == "Invalid enum value. Expected 'late', received 'c'"
        assert (await workflow.read({"prompt": "", "checkpoint": "late"}))["other"] == "late"


async def test_compiled_files_and_the_last_expression(tmp_path: Path) -> None:
    files = {
        "common.js": SMALL,
        "last.js": 'const { z } = require("zod");\n({ RequestSchema: z.object({}), generateWorkflow: () => ({}) });',
        "module.js": SMALL.replace("exports.default =", "module.exports ="),
        "esm.mjs": 'import z, { z as again } from "zod";\nimport * as all from "../types";\n'
        "export const RequestSchema = again.object({ a: z.string().default(typeof all.isWorkflow) });\n"
        "export async function generateWorkflow({ a }) { return { 1: { class_type: a, inputs: {} } }; }\n",
    }
    async with loaded(tmp_path, files) as workflows:
        assert sorted(workflow.path for workflow in workflows.endpoints) == ["common", "esm", "last", "module"]
        assert await graph_of(found(workflows, "common"), {"n": 3}) == {"1": {"class_type": "A", "inputs": {"n": 3}}}
        assert (await graph_of(found(workflows, "esm"), {}))["1"]["class_type"] == "function"
        assert await graph_of(found(workflows, "last"), {"x": 1}) == {}


async def test_a_script_beside_its_source_and_its_graph_is_one_workflow(tmp_path: Path) -> None:
    files = {"a.ts": SMALL, "a.js": SMALL.replace("'A'", "'old'"), "a.json": "{}"}
    async with loaded(tmp_path, files) as workflows:
        assert dict(workflows.unreadable) == {}
        assert (await graph_of(found(workflows, "a"), {}))["1"]["class_type"] == "A"


async def test_files_import_their_neighbours(tmp_path: Path) -> None:
    files = {
        "x/_words.ts": "export const WORD: string = 'near';\n",
        "x/a.ts": 'import { WORD } from "./_words";\n' + SMALL.replace('"use strict";', "").replace("'A'", "WORD"),
    }
    async with loaded(tmp_path, files) as workflows:
        assert (await graph_of(found(workflows, "x/a"), {}))["1"]["class_type"] == "near"


async def test_the_settings_under_the_originals_names(tmp_path: Path) -> None:
    text = 'import config from "../config";\n' + COMMON.replace('"use strict";', "") % (
        "return { '1': { class_type: config.comfyDir, inputs: { p: config.wrapperPort, s: config.secret } } };"
    )
    async with loaded(tmp_path, {"a.ts": text}, settings={"comfy_home": Path("/comfy"), "port": 3000}) as workflows:
        graph = await graph_of(found(workflows, "a"), {})
    assert graph == {"1": {"class_type": "/comfy", "inputs": {"p": 3000}}}


async def test_of_our_environment_it_sees_what_is_named(tmp_path: Path) -> None:
    os.environ["HTTP_PROXY_OF_OURS"], os.environ["SOME_STYLE"] = "hush", "bold"
    text = (
        COMMON
        % "return { '1': { class_type: process.env.SOME_STYLE, inputs: { t: process.env.HTTP_PROXY_OF_OURS } } };"
    )
    try:
        async with loaded(tmp_path, {"a.js": text}, variables=["SOME_STYLE"]) as workflows:
            graph = await graph_of(found(workflows, "a"), {})
    finally:
        del os.environ["HTTP_PROXY_OF_OURS"], os.environ["SOME_STYLE"]
    assert graph == {"1": {"class_type": "bold", "inputs": {}}}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("throw new TypeError('no luck');", "a.ts: TypeError: no luck (line 1)"),
        ("\n\nconst x: = 3;", "a.ts: SyntaxError: "),
        ("export default { a: 1 };", "it exports no workflow"),
        ('import fs from "no-such-package"; fs();', "Cannot find module 'no-such-package'"),
        ("export default { RequestSchema: {}, generateWorkflow() {} };", "RequestSchema is no zod schema"),
    ],
)
async def test_a_file_that_cannot_be_loaded_is_listed(tmp_path: Path, text: str, reason: str) -> None:
    async with loaded(tmp_path, {"a.ts": text, "good.js": SMALL}) as workflows:
        assert [workflow.path for workflow in workflows.endpoints] == ["good"]
        assert reason in workflows.unreadable["a"]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("throw new Error('not today');", "not today"),
        ("throw 'text';", "text"),
        ("return undefined;", "it gave null and no graph; return an object that maps node ids to nodes"),
        ("return input.x.y;", "Cannot read properties of undefined (reading 'y')"),
        ("const a = {}; a.a = a; return a;", "Converting circular structure to JSON"),
    ],
)
async def test_a_function_that_throws(tmp_path: Path, body: str, reason: str) -> None:
    async with loaded(tmp_path, {"a.js": COMMON % body}) as workflows:
        message = await failed(found(workflows, "a"), {})
    assert message.startswith(f"Failed to generate workflow prompt: {reason}")


async def test_what_a_file_prints_does_no_harm(tmp_path: Path) -> None:
    text = COMMON % "console.log('{\"id\": 1}'); process.stdout.write('noise\\n'); return { 1: {} };"
    async with loaded(tmp_path, {"a.js": text}) as workflows:
        assert await graph_of(found(workflows, "a"), {}) == {"1": {}}


NOISE = ["[]", "3", "null", "no JSON", '{"id": []}', '{"id": true}', "[" * 100_000]


@pytest.mark.parametrize("noise", NOISE, ids=lambda text: text[:12])
async def test_a_line_among_the_answers_ends_the_process_and_nothing_hangs(tmp_path: Path, noise: str) -> None:
    write = f"if (input.n === 0) require('fs').writeSync(1, {noise!r} + '\\n'); return {{ 1: {{ class_type: 'A' }} }};"
    async with loaded(tmp_path, {"a.js": COMMON % write}) as workflows:
        workflow = found(workflows, "a")
        async with asyncio.timeout(20):
            assert "wrote into the answers of Node" in await failed(workflow, {"n": 0})
            assert await graph_of(workflow, {"n": 1}) == {"1": {"class_type": "A"}}


async def test_noise_of_no_call_leaves_no_process_behind(tmp_path: Path) -> None:
    write = (
        "setTimeout(() => require('fs').writeSync(1, '[]\\n'), 10); return { 1: { class_type: String(process.pid) } };"
    )
    async with loaded(tmp_path, {"a.js": COMMON % write}) as workflows:
        workflow = found(workflows, "a")
        pid = int((await graph_of(workflow, {}))["1"]["class_type"])
        with suppress(ProcessLookupError):  # it has ended already
            watched, ended = os.pidfd_open(pid), asyncio.Event()
            asyncio.get_running_loop().add_reader(watched, ended.set)
            try:
                await asyncio.wait_for(ended.wait(), 20)
            finally:
                asyncio.get_running_loop().remove_reader(watched)
                os.close(watched)
        assert int((await graph_of(workflow, {}))["1"]["class_type"]) != pid


async def test_a_call_waits_for_others_for_a_bounded_time(tmp_path: Path) -> None:
    flag = tmp_path / "go"
    text = COMMON % f"while (!require('fs').existsSync({str(flag)!r})) {{}} return {{ 1: {{ class_type: 'A' }} }};"
    async with loaded(tmp_path / "w", {"a.js": text}, WorkflowLimits(wait_seconds=3)) as workflows:
        workflow = found(workflows, "a")
        parsed = await workflow.read({})
        waiting = {asyncio.create_task(workflow.graph(parsed)) for _ in range(3)}
        refused_ones: list[asyncio.Task[Any]] = []
        while len(waiting) > 1:
            done, waiting = await asyncio.wait(waiting, timeout=20, return_when=asyncio.FIRST_COMPLETED)
            assert done
            refused_ones += done
        assert ["earlier calls took longer than 3 s" in str(one.exception()) for one in refused_ones] == [True, True]
        flag.touch()
        assert (await waiting.pop())["1"] == {"class_type": "A"}


async def test_a_script_without_end_is_stopped_and_the_next_call_is_answered(tmp_path: Path) -> None:
    text = COMMON % "while (input.n === 0) {} return { 1: { class_type: 'A' } };"
    limits = WorkflowLimits(call_seconds=3)
    async with loaded(tmp_path, {"a.js": text, "b.js": SMALL}, limits) as workflows:
        workflow, beside = found(workflows, "a"), found(workflows, "b")
        stuck = asyncio.create_task(failed(workflow, {"n": 0}))
        other = asyncio.create_task(graph_of(beside, {}))
        assert await stuck == "Failed to generate workflow prompt: it took longer than 3 s"
        assert (await other)["1"]["class_type"] == "A"
        assert await graph_of(workflow, {"n": 1}) == {"1": {"class_type": "A"}}


async def test_memory_is_bounded(tmp_path: Path) -> None:
    text = COMMON % (
        "const all = []; while (input.n === 0) all.push(Array.from({ length: 1e5 }, (_, i) => ({ i })));"
        "return { 1: {} };"
    )
    async with loaded(tmp_path, {"a.js": text}, WorkflowLimits(node_memory_mib=64)) as workflows:
        workflow = found(workflows, "a")
        assert "needs more than the 64 MiB of memory" in await failed(workflow, {"n": 0})
        assert await graph_of(workflow, {"n": 1}) == {"1": {}}


async def test_an_answer_over_the_limit_is_refused(tmp_path: Path) -> None:
    text = COMMON % "return { 1: { class_type: 'A', inputs: { t: 'x'.repeat(input.n) } } };"
    async with loaded(tmp_path, {"a.js": text}, WorkflowLimits(answer_bytes=MIB)) as workflows:
        workflow = found(workflows, "a")
        assert "more than 1 MiB" in await failed(workflow, {"n": 3 * MIB})
        assert len((await graph_of(workflow, {"n": 1000}))["1"]["inputs"]["t"]) == 1000


async def test_a_file_that_ends_the_process_is_told(tmp_path: Path) -> None:
    text = COMMON % "process.exit(3);"
    async with loaded(tmp_path, {"a.js": text, "b.js": SMALL}) as workflows:
        assert (await failed(found(workflows, "a"), {})).startswith("Failed to generate workflow prompt: Node ended")
        assert (await graph_of(found(workflows, "b"), {}))["1"]["class_type"] == "A"


async def test_a_change_is_seen_at_a_refresh(tmp_path: Path) -> None:
    async with loaded(tmp_path, {"a.js": SMALL}) as workflows:
        fill(tmp_path, {"a.js": SMALL.replace("'A'", "'Changed'")})
        await workflows.refresh()
        assert (await graph_of(found(workflows, "a"), {}))["1"]["class_type"] == "Changed"


async def test_without_node_each_file_says_so(tmp_path: Path) -> None:
    async with loaded(
        tmp_path, {"a.ts": TYPED, "b.json": '{"1": {"class_type": "A"}}'}, node="no-such-node"
    ) as workflows:
        assert [workflow.path for workflow in workflows.endpoints] == ["b"]
        assert "There is no program no-such-node" in workflows.unreadable["a"]


async def test_node_ends_with_the_program_that_started_it(tmp_path: Path) -> None:
    """Even with a script in an endless loop."""
    fill(tmp_path, {"a.js": COMMON % "console.error(`pid ${process.pid}`); while (true) {}"})
    program = (
        "import asyncio, logging, sys\nfrom pathlib import Path\n"
        "from comfyserve.workflows import WorkflowContext, load_workflows\n"
        "logging.basicConfig(level=logging.DEBUG, stream=sys.stdout)\n"
        "async def main():\n"
        "    workflows = await load_workflows(Path(sys.argv[1]), WorkflowContext(node=sys.argv[2]))\n"
        "    await workflows.endpoints[0].graph({})\n"
        "asyncio.run(main())\n"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-u", "-c", program, str(tmp_path), find_node() or "", stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    async with asyncio.timeout(60):
        while b"pid " not in (line := await process.stdout.readline()):
            assert line
        pid = int(line.split(b"pid ")[1].split()[0])
        process.send_signal(signal.SIGKILL)
        await process.wait()
        await ended(pid)


async def ended(pid: int) -> None:
    """Wait until a process that is not our child is gone."""
    try:
        watched = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    gone = asyncio.Event()
    asyncio.get_running_loop().add_reader(watched, gone.set)
    await gone.wait()
    asyncio.get_running_loop().remove_reader(watched)
    os.close(watched)
