"""What every Engine adapter must do. A test class inherits this and brings `engine` and `graphs` fixtures."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from comfyserve.core.errors import EngineError
from comfyserve.core.outputs import EngineFile
from comfyserve.ports import (
    Engine,
    EngineEvent,
    NodeFinished,
    NodeStarted,
    Outcome,
    Preview,
    Progress,
    Started,
    Warned,
)

Graph = Mapping[str, Any]
SECONDS = 20


@dataclass(frozen=True)
class Graphs:
    """Graphs for an engine: one that saves a picture in node `saves`, one refused for node `refused_node`, one whose
    node `raising_node` raises, one that goes on, telling progress and previews, until it is interrupted; one that
    saves below the folder `suite/sub`, previews a picture and tells the text `seven` in nodes 2, 3 and 4; and one of
    whose two outputs node 3 is not valid."""

    good: Graph
    saves: str
    refused: Graph
    refused_node: str
    raising: Graph
    raising_node: str
    endless: Graph
    kinds: Graph
    half: Graph


async def run(engine: Engine, graph: Graph) -> tuple[str, list[EngineEvent]]:
    prompt_id = str(uuid.uuid4())
    async with asyncio.timeout(SECONDS), engine.execute(prompt_id, graph, {}) as events:
        return prompt_id, [event async for event in events]


async def outcome_of(events: AsyncIterator[EngineEvent]) -> Outcome:
    async with asyncio.timeout(SECONDS):
        told = [event async for event in events]
    assert isinstance(told[-1], Outcome)
    return told[-1]


async def first(events: AsyncIterator[EngineEvent], kind: type[EngineEvent]) -> EngineEvent:
    async with asyncio.timeout(SECONDS):
        async for event in events:
            if isinstance(event, kind):
                return event
    raise AssertionError(f"no {kind.__name__} came")


async def one(data: bytes) -> AsyncIterator[bytes]:
    yield data


class EngineSuite:
    """The promises of the port."""

    async def test_it_tells_its_nodes(self, engine: Engine) -> None:
        assert "SaveImage" in await engine.object_info()

    async def test_it_tells_its_kinds_of_models(self, engine: Engine) -> None:
        folders = await engine.model_folders()
        assert {"checkpoints", "loras", "vae"} <= folders.keys()
        assert all(isinstance(name, str) for names in folders.values() for name in names)

    async def test_a_run_is_told_and_its_file_can_be_read(self, engine: Engine, graphs: Graphs) -> None:
        _, events = await run(engine, graphs.good)
        assert isinstance(events[0], Started)
        assert NodeStarted(graphs.saves) in events
        finished = [event for event in events if isinstance(event, NodeFinished)]
        outcome = events[-1]
        assert isinstance(outcome, Outcome) and outcome.ending == "success" and outcome.error is None
        assert [output.node_id for output in outcome.outputs] == [graphs.saves]
        assert [output for event in finished for output in event.outputs] == list(outcome.outputs)
        file = outcome.outputs[0].file
        assert file is not None
        async with engine.open(file) as content:
            assert b"".join([chunk async for chunk in content]).startswith(b"\x89PNG")

    async def test_the_same_graph_again_gives_a_result_again(self, engine: Engine, graphs: Graphs) -> None:
        for _ in range(2):
            _, events = await run(engine, graphs.good)
            assert isinstance(events[-1], Outcome) and len(events[-1].outputs) == 1

    async def test_outputs_of_every_kind_are_told_and_files_are_read_where_they_lie(
        self, engine: Engine, graphs: Graphs
    ) -> None:
        _, events = await run(engine, graphs.kinds)
        outcome = events[-1]
        assert isinstance(outcome, Outcome)
        told = {output.node_id: output for output in outcome.outputs}
        assert set(told) == {"2", "3", "4"}
        assert told["4"].key == "text" and told["4"].value == "seven" and told["4"].file is None
        saved, preview = told["2"].file, told["3"].file
        assert saved is not None and (saved.subfolder, saved.type) == ("suite/sub", "output")
        assert preview is not None and preview.type == "temp"
        for file in (saved, preview):
            async with engine.open(file) as content:
                assert b"".join([chunk async for chunk in content]).startswith(b"\x89PNG")

    async def test_a_graph_of_which_a_part_is_not_valid_is_run_in_part_and_warned_of(
        self, engine: Engine, graphs: Graphs
    ) -> None:
        _, events = await run(engine, graphs.half)
        [warned] = [event for event in events if isinstance(event, Warned)]
        assert "Node 3" in warned.message
        assert isinstance(events[-1], Outcome) and events[-1].ending == "success"
        assert {output.node_id for output in events[-1].outputs} == {graphs.saves}

    async def test_a_refused_graph_names_the_node(self, engine: Engine, graphs: Graphs) -> None:
        with pytest.raises(EngineError) as caught:
            await run(engine, graphs.refused)
        assert caught.value.place.node_id == graphs.refused_node
        assert caught.value.message.startswith("The engine refuses the graph.")

    async def test_a_node_that_raises_is_the_outcome(self, engine: Engine, graphs: Graphs) -> None:
        _, events = await run(engine, graphs.raising)
        outcome = events[-1]
        assert isinstance(outcome, Outcome) and outcome.ending == "error" and outcome.error is not None
        assert outcome.error["code"] == "engine_error"
        assert outcome.error["place"] == {"node_id": graphs.raising_node}
        assert outcome.error["details"]["exception_type"] == "ValueError"

    async def test_interrupt_stops_a_running_prompt(self, engine: Engine, graphs: Graphs) -> None:
        async with engine.execute("running", graphs.endless, {}) as events:
            await first(events, Progress)
            preview = await first(events, Preview)
            assert isinstance(preview, Preview) and preview.image and preview.mime in ("image/jpeg", "image/png")
            await engine.interrupt("running")
            assert (await outcome_of(events)).ending == "interrupted"
        _, after = await run(engine, graphs.good)
        assert isinstance(after[-1], Outcome) and after[-1].ending == "success"

    async def test_interrupt_stops_a_waiting_prompt_and_leaves_the_running_one(
        self, engine: Engine, graphs: Graphs
    ) -> None:
        async with (
            engine.execute("running", graphs.endless, {}) as running,
            engine.execute("waiting", graphs.endless, {}) as waiting,
        ):
            await first(running, Progress)
            await engine.interrupt("waiting")
            assert (await outcome_of(waiting)).ending == "interrupted"
            await first(running, Progress)
            await engine.interrupt("running")
            assert (await outcome_of(running)).ending == "interrupted"

    async def test_interrupting_what_is_not_there_is_nothing(self, engine: Engine, graphs: Graphs) -> None:
        prompt_id, _ = await run(engine, graphs.good)
        await engine.interrupt(prompt_id)
        await engine.interrupt("never heard of")

    async def test_several_prompts_in_flight_do_not_mix(self, engine: Engine, graphs: Graphs) -> None:
        runs = await asyncio.gather(*(run(engine, graphs.good) for _ in range(4)))
        assert [type(event) for _, events in runs for event in events if isinstance(event, Outcome)] == [Outcome] * 4

    async def test_leaving_early_does_not_stop_the_prompt(self, engine: Engine, graphs: Graphs) -> None:
        async with engine.execute("left", graphs.good, {}) as events:
            await first(events, Started)
        _, told = await run(engine, graphs.good)
        assert isinstance(told[-1], Outcome) and told[-1].ending == "success"

    async def test_an_upload_has_a_name_for_graphs(self, engine: Engine) -> None:
        assert await engine.upload("a cat.png", one(b"not a real cat"), subfolder="run-1") == "run-1/a cat.png"
        assert await engine.upload("dog.png", one(b"")) == "dog.png"

    async def test_a_file_that_is_not_there(self, engine: Engine) -> None:
        with pytest.raises(EngineError, match=r"gone\.png"):
            async with engine.open(EngineFile("gone.png", "none")):
                pass

    async def test_forget_is_quiet(self, engine: Engine, graphs: Graphs) -> None:
        prompt_id, _ = await run(engine, graphs.good)
        await engine.forget([prompt_id], [])
        await engine.forget([prompt_id], [EngineFile("gone.png")])
