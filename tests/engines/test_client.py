"""The client against an engine that misbehaves."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from comfyserve.core.errors import EngineError, EngineLost, EngineUnreached, NotFound, TooLarge
from comfyserve.core.outputs import EngineFile
from comfyserve.engines.client import ComfyClient
from comfyserve.engines.folders import Folders
from comfyserve.ports import Alive, EngineEvent, NodeFinished, NodeStarted, Outcome, Preview, Progress, Started, Warned
from tests.engines.conftest import IMPATIENT
from tests.engines.scripted_comfy import PICTURE, ScriptedComfy, graph


async def run(client: ComfyClient, *class_types: str, prompt_id: str = "p1") -> list[EngineEvent]:
    async with client.execute(prompt_id, graph(*class_types), {}) as events:
        return [event async for event in events]


def outcome_of(events: list[EngineEvent]) -> Outcome:
    assert isinstance(events[-1], Outcome)
    return events[-1]


async def test_a_run_is_told_node_by_node_and_ends_with_its_outcome(client: ComfyClient) -> None:
    events = await run(client, "Say", "Picture")
    kinds = [type(event) for event in events]
    assert kinds == [Started, NodeStarted, NodeFinished, NodeStarted, NodeFinished, Outcome]
    outcome = outcome_of(events)
    assert outcome.ending == "success" and not outcome.simulated
    assert [output.value or output.file for output in outcome.outputs] == ["hello", EngineFile("picture.png")]


async def test_a_whole_run_takes_one_submit_and_one_look_at_the_history(
    client: ComfyClient, comfy: ScriptedComfy
) -> None:
    await run(client, "Say")
    assert comfy.asked == {"/ws": 1, "/prompt": 1, "/history/{prompt_id}": 1}


async def test_a_simulated_output_marks_the_outcome_and_is_no_output_itself(client: ComfyClient) -> None:
    outcome = outcome_of(await run(client, "Simulate"))
    assert outcome.simulated
    assert [output.key for output in outcome.outputs] == ["images"]


async def test_previews_of_both_kinds_and_progress_arrive(client: ComfyClient, comfy: ScriptedComfy) -> None:
    comfy.waiting.clear()
    seen: list[EngineEvent] = []
    async with client.execute("p1", graph("Preview", "Say"), {}) as events:
        seen = [event async for event in events]
    assert Progress("1", 3.0, 20.0) in seen
    assert Preview(b"png", "image/png", "1") in seen
    assert comfy.flags[0]["data"] == {"supports_preview_metadata": True}


async def test_junk_is_never_fatal(client: ComfyClient, comfy: ScriptedComfy) -> None:
    events = await run(client, "Junk", "Say")
    assert outcome_of(events).ending == "success"
    assert NodeStarted("2") in events and not any(isinstance(event, Progress) for event in events)
    await run(client, "Say", prompt_id="p2")
    assert comfy.asked["/ws"] == 1


async def test_what_no_database_can_hold_is_replaced(client: ComfyClient) -> None:
    events = await run(client, "Odd", "RaiseOdd")
    outcome = outcome_of(events)
    assert [output.value for output in outcome.outputs] == ["half ?", "\U0001f600", "1" + "0" * 400, "inf", 0.5]
    assert NodeFinished("1", outcome.outputs) in events
    assert outcome.error is not None and outcome.error["message"] == "Node 2 (RaiseOdd) failed: half ?"
    assert outcome.error["details"] == {"exception_type": "?", "node_type": "RaiseOdd"}


async def test_a_prompt_that_is_executed_in_silence_gives_signs_of_life(comfy: ScriptedComfy) -> None:
    engine = ComfyClient(comfy.url, patience=replace(IMPATIENT, quiet=0.05))
    async with asyncio.timeout(5), engine.execute("p1", graph("Wait"), {}) as events:
        await comfy.waiting.wait()
        seen = [await anext(events) for _ in range(4)]
        assert seen == [Started(), NodeStarted("1"), Alive(), Alive()]
        async with engine.execute("p2", graph("Say"), {}) as waiting:
            silent = asyncio.ensure_future(anext(waiting))
            for _ in range(2):
                comfy.queue_asked.clear()
                await asyncio.wait_for(comfy.queue_asked.wait(), 5)
            assert not silent.done()
            comfy.released.set()
            assert await silent == Started()
    await engine.close()


async def test_several_prompts_in_flight_do_not_mix(client: ComfyClient) -> None:
    runs = await asyncio.gather(*(run(client, "Say", prompt_id=f"p{n}") for n in range(8)))
    assert [outcome_of(events).ending for events in runs] == ["success"] * 8
    assert all(len([e for e in events if isinstance(e, NodeStarted)]) == 1 for events in runs)


@pytest.mark.parametrize(
    ("class_type", "exception_type", "restart"),
    [("Raise", "ValueError", False), ("OutOfMemory", "torch.OutOfMemoryError", True)],
)
async def test_a_node_that_raises_is_named(
    client: ComfyClient, class_type: str, exception_type: str, restart: bool
) -> None:
    outcome = outcome_of(await run(client, "Say", class_type))
    assert outcome.ending == "error" and outcome.error is not None
    assert outcome.error["code"] == "engine_error"
    assert outcome.error["place"] == {"node_id": "2"}
    assert outcome.error["message"].startswith(f"Node 2 ({class_type}) failed: ")
    assert outcome.error["details"]["exception_type"] == exception_type
    assert outcome.error["details"].get("needs_restart", False) is restart
    assert len(json.dumps(outcome.error)) < 5_000
    assert [output.value for output in outcome.outputs] == ["hello"]


async def test_the_messages_count_for_more_than_the_status(client: ComfyClient) -> None:
    outcome = outcome_of(await run(client, "Cycle"))
    assert outcome.ending == "error" and outcome.error is not None
    assert outcome.error["details"]["exception_type"] == "graph.DependencyCycleError"


async def test_a_refused_graph_says_which_node_and_input(client: ComfyClient) -> None:
    with pytest.raises(EngineError) as caught:
        await run(client, "Unknown")
    error = caught.value
    assert error.message == (
        "The engine refuses the graph. Node 1 (KSampler): Value not in list (sampler: 'x' not in ['euler'])"
    )
    assert error.place.as_dict() == {"node_id": "1", "field": "sampler"}
    assert len(json.dumps(error.as_dict())) < 10_000


@pytest.mark.parametrize("name", ["Unknown", "Half"])
async def test_where_a_check_raised_is_for_the_log_alone(client: ComfyClient, name: str) -> None:
    """It tells the paths of the engine's machine."""
    told: object
    with capture_logs() as logs:
        try:
            [told] = [event for event in await run(client, name, "Say") if isinstance(event, Warned)]
        except EngineError as error:
            told = error.as_dict()
    assert "sampler" in str(told) and "/opt/comfy" not in str(told)
    assert any("/opt/comfy" in entry.get("traceback", "") for entry in logs)


async def test_a_500_without_json_is_a_refusal_and_a_full_queue_is_not(client: ComfyClient) -> None:
    with pytest.raises(EngineError, match="500"):
        await run(client, "Crash")
    with pytest.raises(EngineLost, match="429"):
        await run(client, "Full")


async def test_a_graph_that_runs_in_part_is_told(client: ComfyClient) -> None:
    events = await run(client, "Half", "Say")
    warned = [event for event in events if isinstance(event, Warned)]
    assert len(warned) == 1 and "sampler" in warned[0].message
    assert outcome_of(events).ending == "success"


async def test_after_a_lost_socket_the_history_tells_the_end(client: ComfyClient) -> None:
    assert outcome_of(await run(client, "DropSocket", "Say")).ending == "success"


async def test_after_a_lost_socket_a_running_prompt_is_waited_for(client: ComfyClient, comfy: ScriptedComfy) -> None:
    async with client.execute("p1", graph("Wait", "Say"), {}) as events:
        await comfy.waiting.wait()
        await comfy.drop_sockets()
        rest = asyncio.create_task(_all(events))
        await until(lambda: comfy.asked["/queue"] > 1)
        comfy.released.set()
        assert outcome_of(await rest).ending == "success"


async def test_a_new_socket_has_a_new_id_and_serves_the_next_run(client: ComfyClient, comfy: ScriptedComfy) -> None:
    await client.ready()
    first = set(comfy.sockets)
    await comfy.drop_sockets()
    await until(lambda: bool(comfy.sockets))
    assert first.isdisjoint(comfy.sockets)
    assert NodeStarted("1") in await run(client, "Say")


async def test_without_any_socket_a_run_is_polled(client: ComfyClient, comfy: ScriptedComfy) -> None:
    comfy.refuse_sockets = True
    events = await run(client, "Say")
    assert [type(event) for event in events if event != Alive()] == [Started, Outcome]


async def test_a_history_that_comes_late_is_waited_for(client: ComfyClient, comfy: ScriptedComfy) -> None:
    comfy.late_history = 3
    assert outcome_of(await run(client, "Say")).ending == "success"


async def test_a_forgotten_prompt_is_lost(client: ComfyClient) -> None:
    with pytest.raises(EngineLost, match="forgotten"):
        await run(client, "Forget")


async def test_an_engine_that_cannot_be_reached_any_more_is_lost(client: ComfyClient, comfy: ScriptedComfy) -> None:
    async with client.execute("p1", graph("Wait"), {}) as events:
        await comfy.waiting.wait()
        await comfy.stop()
        with pytest.raises(EngineLost, match="cannot be reached") as caught:
            async for _ in events:
                pass
    assert not isinstance(caught.value, EngineUnreached)
    with pytest.raises(EngineLost):
        await client.ready()
    with pytest.raises(EngineUnreached):
        await run(client, "Say", prompt_id="p2")


async def test_an_engine_known_to_be_dead_is_lost_at_once(client: ComfyClient, comfy: ScriptedComfy) -> None:
    async with client.execute("p1", graph("Wait"), {}) as events:
        await comfy.waiting.wait()
        client.lose(EngineLost("it died"))
        with pytest.raises(EngineLost, match="it died"):
            async for _ in events:
                pass


async def test_a_submit_whose_answer_is_lost_is_not_submitted_again(client: ComfyClient, comfy: ScriptedComfy) -> None:
    comfy.cut_answer = True
    assert outcome_of(await run(client, "Say")).ending == "success"
    assert comfy.asked["/prompt"] == 1


async def test_interrupt_stops_the_running_prompt_and_no_other(client: ComfyClient, comfy: ScriptedComfy) -> None:
    async with (
        client.execute("p1", graph("Wait"), {}) as first,
        client.execute("p2", graph("Say"), {}) as second,
    ):
        await comfy.waiting.wait()
        await client.interrupt("p1")
        assert outcome_of([event async for event in first]).ending == "interrupted"
        assert outcome_of([event async for event in second]).ending == "success"


async def test_interrupt_takes_a_waiting_prompt_out_of_the_queue(client: ComfyClient, comfy: ScriptedComfy) -> None:
    async with (
        client.execute("p1", graph("Wait"), {}) as first,
        client.execute("p2", graph("Say"), {}) as second,
    ):
        await comfy.waiting.wait()
        await client.interrupt("p2")
        assert [event async for event in second] == [Outcome("interrupted")]
        comfy.released.set()
        assert outcome_of([event async for event in first]).ending == "success"
    await client.interrupt("unheard of")


async def test_files_go_in_and_come_out(client: ComfyClient, comfy: ScriptedComfy) -> None:
    assert await client.upload("a b.png", _bytes(b"one", b"two"), subfolder="run1") == "run1/a b.png"
    assert comfy.uploads == {"a b.png": b"onetwo"}
    async with client.open(EngineFile("picture.png")) as content:
        assert b"".join([chunk async for chunk in content]) == PICTURE
    with pytest.raises(EngineError, match="404"):
        async with client.open(EngineFile("gone.png")):
            pass
    with pytest.raises(TooLarge):
        await client.upload("big.png", _bytes(b"x" * 20_000))


@pytest.mark.parametrize("error", [TooLarge("over the limit"), NotFound("gone"), OSError("a disk fails")])
async def test_what_breaks_off_an_upload_is_told_as_it_is(client: ComfyClient, error: Exception) -> None:
    with pytest.raises(type(error), match=str(error)):
        await client.upload("a.png", _bytes(b"one", b"two" * 100_000, error))


async def test_the_catalogue_may_hold_nan(client: ComfyClient) -> None:
    assert set(await client.object_info()) == {"Say"}


async def test_forget_drops_the_record_and_only_files_inside_our_folders(comfy: ScriptedComfy, tmp_path: Path) -> None:
    for name in ("output/sub", "temp", "secret"):
        (tmp_path / name).mkdir(parents=True)
    ours = [tmp_path / "output/sub/a.png", tmp_path / "temp/b.png"]
    for path in [*ours, tmp_path / "secret/c.png", tmp_path / "output/keep.png"]:
        path.write_bytes(b"x")
    (tmp_path / "output/way").symlink_to(tmp_path / "secret")
    client = ComfyClient(comfy.url, folders=Folders(tmp_path), patience=IMPATIENT)
    await run(client, "Say")
    files = [
        EngineFile("a.png", "sub"),
        EngineFile("b.png", "", "temp"),
        EngineFile("c.png", "../secret"),
        EngineFile("c.png", "way"),
        EngineFile("../../secret/c.png"),
        EngineFile("c.png", "", "secret"),
        EngineFile("absent.png"),
        EngineFile("nul\0.png"),
        EngineFile("a.png", "nul\0"),
        EngineFile("long" * 1000),
    ]
    for odd in files[-3:]:
        with pytest.raises(EngineError, match="404"):
            async with client.open(odd):
                pass
    await client.forget(["p1"], files)
    await client.close()
    assert comfy.history == {}
    assert not any(path.exists() for path in ours)
    assert (tmp_path / "secret/c.png").exists() and (tmp_path / "output/keep.png").exists()


async def test_forget_removes_the_folder_of_a_prompt_and_no_other(comfy: ScriptedComfy, tmp_path: Path) -> None:
    for name in ("output/p1/deep/er", "output/p2", "output/p1x", "p3", "temp/p1"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "a.png").write_bytes(b"x")
    client = ComfyClient(comfy.url, folders=Folders(tmp_path), patience=IMPATIENT)
    await client.forget(["p1", "..", ".", "", "../p3", "p2/a.png", "absent"], [])
    await client.close()
    left = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.png"))  # noqa: ASYNC240  (a small folder)
    assert left == ["output/p1x/a.png", "output/p2/a.png", "p3/a.png", "temp/p1/a.png"]


async def _all(events: AsyncIterator[EngineEvent]) -> list[EngineEvent]:
    return [event async for event in events]


async def until(true: Callable[[], bool]) -> None:
    """Wait for a state of the server that nothing announces."""
    async with asyncio.timeout(5):
        while not true():  # noqa: ASYNC110  (nothing announces these states)
            await asyncio.sleep(0.01)


async def _bytes(*chunks: bytes | Exception) -> AsyncIterator[bytes]:
    for chunk in chunks:
        if isinstance(chunk, Exception):
            raise chunk
        yield chunk
