"""What a prompt gives and says while it runs (spec sections 8, 9 and 10)."""

import asyncio
import json
import struct
from collections.abc import Iterable
from typing import Any

from comfyserve.embedded.graph.graph_view import Graph
from tests.embedded.conftest import Event, Seat, happens
from tests.embedded.sample_nodes import Forever, Later, Waits


def node(class_type: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": class_type, "inputs": inputs}


def names(events: Iterable[Event]) -> list[str]:
    return [name for name, _ in events]


def node_events(events: Iterable[Event]) -> list[tuple[str, Any]]:
    """Names with the node they are about, without status and progress_state."""
    return [
        (name, data.get("node", data.get("nodes"))) for name, data in events if name not in ("status", "progress_state")
    ]


SUM = {"1": node("Number", value=2), "2": node("Add", a=["1", 0], b=3), "3": node("Show", value=["2", 0])}

WAITS = {"1": node("Waits", value=1), "2": node("Show", value=["1", 0])}
STEPS = {"1": node("Steps", value=2), "2": node("Show", value=["1", 0])}


class TestSuccess:
    async def test_events_come_in_order(self, seat: Seat) -> None:
        events, _ = await seat.run(SUM)
        running = ["progress_state", "executing", "progress_state"]
        assert names(events) == [
            *("status", "status", "execution_start", "execution_cached"),
            *running,
            *running,
            *("progress_state", "executing", "executed", "progress_state"),
            *("execution_success", "status", "executing"),
        ]
        assert [d["status"]["exec_info"]["queue_remaining"] for n, d in events if n == "status"] == [1, 1, 0]
        assert [d["node"] for n, d in events if n == "executing"] == ["1", "2", "3", None]

    async def test_progress_state_is_cumulative(self, seat: Seat) -> None:
        events, _ = await seat.run(SUM, prompt_id="sum")
        last = [data for name, data in events if name == "progress_state"][-1]
        assert last["prompt_id"] == "sum"
        assert {key: value["state"] for key, value in last["nodes"].items()} == dict.fromkeys("123", "finished")
        assert last["nodes"]["1"] == {
            "value": 1.0,
            "max": 1.0,
            "state": "finished",
            "node_id": "1",
            "prompt_id": "sum",
            "display_node_id": "1",
            "parent_node_id": None,
            "real_node_id": "1",
        }

    async def test_the_record(self, seat: Seat) -> None:
        _, record = await seat.run(
            SUM, prompt_id="sum", extra_data={"extra_pnginfo": {"a": 1}, "api_key_comfy_org": "k"}
        )
        number, prompt_id, graph, extra, outputs = record["prompt"]
        assert (number, prompt_id, graph, outputs) == (0, "sum", SUM, ["3"])
        assert extra.pop("create_time") > 1_600_000_000_000
        assert extra == {"client_id": "me", "extra_pnginfo": {"a": 1}}
        assert record["outputs"] == {"3": {"text": ["5"]}}
        assert record["meta"]["3"] == {"node_id": "3", "display_node": "3", "parent_node": None, "real_node_id": "3"}
        assert record["status"]["status_str"] == "success"
        assert record["status"]["completed"] is True
        assert [m[0] for m in record["status"]["messages"]] == [
            "execution_start",
            "execution_cached",
            "execution_success",
        ]

    async def test_only_the_targets_run(self, seat: Seat) -> None:
        graph = {**SUM, "9": node("Show", value="x")}
        _, record = await seat.run(graph, partial_execution_targets=["9"])
        assert record["outputs"] == {"9": {"text": ["x"]}}

    async def test_a_node_id_with_a_colon(self, seat: Seat) -> None:
        _, record = await seat.run({"12:3": node("Number", value=4), "12:4": node("Show", value=["12:3", 0])})
        assert record["outputs"] == {"12:4": {"text": ["4"]}}

    async def test_a_prompt_without_client_tells_only_progress(self, seat: Seat) -> None:
        await seat.call(
            "POST", "/prompt", json={"prompt": {"1": node("Steps", value=2), "2": node("Show", value=["1", 0])}}
        )
        events, _ = await seat.run({"1": node("Show", value="next")}, prompt_id="next")
        before = names(events)[: names(events).index("execution_start")]
        assert "progress" in before
        assert not {"executing", "executed", "execution_success"} & set(before)

    async def test_what_a_node_may_ask_for(self, seat: Seat) -> None:
        extra = {"extra_pnginfo": {"workflow": {}}, "auth_token_comfy_org": "secret"}
        events, record = await seat.run({"7": node("Hidden")}, prompt_id="h", extra_data=extra)
        assert record["outputs"]["7"]["seen"] == [["7"], {"workflow": {}}, "7", "secret", "h", "output"]
        assert "secret" not in json.dumps(record["prompt"])
        assert dict(events)["binary"] == struct.pack(">II", 3, 1) + b"7" + b"node 7"

    async def test_a_large_prompt_repeats_its_state_seldom_and_ends_complete(self, seat: Seat) -> None:
        count = 400
        graph = {str(i): node("Identified", value=i) for i in range(count)}
        graph |= {f"s{i}": node("Silent", value=[str(i), 0]) for i in range(count)}
        events, _ = await seat.run(graph)
        states = [data["nodes"] for name, data in events if name == "progress_state"]
        assert len(states) < count
        assert {state["state"] for state in states[-1].values()} == {"finished"}
        assert len(states[-1]) == 2 * count


class TestLists:
    async def test_a_node_runs_once_per_item(self, seat: Seat) -> None:
        graph = {
            "1": node("Range", count=3),
            "2": node("Add", a=["1", 0], b=10),
            "3": node("Show", value=["2", 0]),
        }
        assert (await seat.run(graph))[1]["outputs"] == {"3": {"text": ["10", "11", "12"]}}

    async def test_a_shorter_list_repeats_its_last_item(self, seat: Seat) -> None:
        graph = {
            "1": node("Range", count=3),
            "2": node("Range", count=2),
            "3": node("Add", a=["1", 0], b=["2", 0]),
            "4": node("Show", value=["3", 0]),
        }
        assert (await seat.run(graph))[1]["outputs"] == {"4": {"text": ["0", "2", "3"]}}

    async def test_a_node_may_take_the_whole_list(self, seat: Seat) -> None:
        graph = {
            "1": node("Range", count=4),
            "2": node("Sum", values=["1", 0], extra=100),
            "3": node("Show", value=["2", 0]),
        }
        assert (await seat.run(graph))[1]["outputs"] == {"3": {"text": ["106"]}}


class TestLazy:
    async def test_only_the_branch_that_is_needed_runs(self, seat: Seat) -> None:
        graph = {
            "1": node("Number", value=1),
            "2": node("Number", value=2),
            "3": node("Switch", first=False, a=["1", 0], b=["2", 0]),
            "4": node("Show", value=["3", 0]),
        }
        events, record = await seat.run(graph)
        assert record["outputs"] == {"4": {"text": ["2"]}}
        assert [data["node"] for name, data in events if name == "executing"] == ["3", "2", "3", "4", None]


class TestCache:
    async def test_the_same_graph_is_answered_from_the_cache(self, seat: Seat) -> None:
        await seat.run(SUM)
        events, record = await seat.run(SUM)
        assert node_events(events) == [
            ("execution_start", None),
            ("execution_cached", ["1", "2", "3"]),
            ("executed", "3"),
            ("execution_success", None),
            ("executing", None),
        ]
        assert record["outputs"] == {"3": {"text": ["5"]}}

    async def test_a_cached_output_without_ui_is_told_as_null(self, seat: Seat) -> None:
        graph = {"1": node("Silent", value="x")}
        first, _ = await seat.run(graph)
        assert "executed" not in names(first)
        events, record = await seat.run(graph)
        assert [data["output"] for name, data in events if name == "executed"] == [None]
        assert record["outputs"] == {}

    async def test_a_change_runs_what_depends_on_it(self, seat: Seat) -> None:
        await seat.run(SUM)
        events, _ = await seat.run({**SUM, "2": node("Add", a=["1", 0], b=4)})
        assert ("execution_cached", ["1"]) in node_events(events)
        assert [data["node"] for name, data in events if name == "executing"] == ["2", "3", None]

    async def test_a_literal_that_the_node_does_not_know_counts_although_the_node_never_sees_it(
        self, seat: Seat
    ) -> None:
        for mark, cached in (("a", []), ("b", ["1", "2"]), ("b", ["1", "2", "3"])):
            events, record = await seat.run({**SUM, "3": node("Show", value=["2", 0], mark=mark)})
            assert ("execution_cached", cached) in node_events(events)
            assert record["outputs"] == {"3": {"text": ["5"]}}

    async def test_ids_do_not_matter(self, seat: Seat) -> None:
        await seat.run(SUM)
        renamed = {"a": SUM["1"], "b": node("Add", a=["a", 0], b=3), "c": node("Show", value=["b", 0])}
        events, _ = await seat.run(renamed)
        assert ("execution_cached", ["a", "b", "c"]) in node_events(events)

    async def test_ids_matter_to_a_node_that_asks_for_its_id(self, seat: Seat) -> None:
        await seat.run({"1": node("Identified", value=1), "2": node("Show", value=["1", 0])})
        events, _ = await seat.run({"7": node("Identified", value=1), "8": node("Show", value=["7", 0])})
        assert ("execution_cached", []) in node_events(events)

    async def test_only_the_latest_prompt_is_remembered(self, seat: Seat) -> None:
        await seat.run(SUM)
        await seat.run({"1": node("Show", value="else")})
        events, _ = await seat.run(SUM)
        assert ("execution_cached", []) in node_events(events)

    async def test_a_node_that_always_changes_always_runs(self, seat: Seat) -> None:
        graph = {"1": node("Volatile", value=1), "2": node("Show", value=["1", 0])}
        await seat.run(graph)
        events, _ = await seat.run(graph)
        assert ("execution_cached", []) in node_events(events)

    async def test_free_memory_forgets(self, seat: Seat) -> None:
        await seat.run(SUM)
        assert (await seat.call("POST", "/free", json={"free_memory": True}))[0] == 200
        events, _ = await seat.run(SUM)
        assert ("execution_cached", []) in node_events(events)


class TestFailure:
    async def test_the_error_event(self, seat: Seat) -> None:
        graph = {"1": node("Number", value=7), "2": node("Fail", value=["1", 0]), "3": node("Show", value=["2", 0])}
        events, record = await seat.run(graph, prompt_id="bad")
        assert names(events)[-4:] == ["executing", "execution_error", "status", "executing"]
        error = dict(events)["execution_error"]
        assert (error["node_id"], error["node_type"]) == ("2", "Fail")
        assert error["exception_message"] == "cannot use 7\n"
        assert error["exception_type"] == "ValueError"
        assert error["current_inputs"] == {"value": [7]}
        assert error["executed"] == ["1"]
        assert error["current_outputs"] == ["1", "2", "3"]
        assert "raise ValueError" in error["traceback"][-1]
        assert record["status"]["status_str"] == "error"
        assert record["status"]["completed"] is False
        assert record["status"]["messages"][-1] == ["execution_error", error]

    async def test_outputs_before_the_error_are_kept(self, seat: Seat) -> None:
        graph = {"1": node("Show", value="kept"), "2": node("Fail", value=1), "3": node("Show", value=["2", 0])}
        _, record = await seat.run(graph)
        assert record["outputs"] == {"1": {"text": ["kept"]}}

    async def test_a_node_that_exits_ends_only_its_prompt(self, seat: Seat) -> None:
        _, record = await seat.run({"2": node("Exit", value=1), "3": node("Show", value=["2", 0])})
        assert record["status"]["messages"][-1][1]["exception_type"] == "SystemExit"
        _, record = await seat.run(SUM)
        assert record["status"]["completed"]


class TestInterrupt:
    async def start(
        self, seat: Seat, graph: Graph | None = None, wait: type[Waits] | type[Forever] = Waits, **fields: Any
    ) -> str:
        wait.started.clear()
        prompt_id = await seat.queue(graph or WAITS, **fields)
        await happens(wait.started)
        return prompt_id

    async def test_the_running_prompt_stops(self, seat: Seat) -> None:
        prompt_id = await self.start(seat)
        assert (await seat.call("POST", "/interrupt"))[0] == 200
        events = await seat.events(prompt_id)
        assert names(events)[-3:] == ["execution_interrupted", "status", "executing"]
        told = dict(events)["execution_interrupted"]
        assert (told["node_id"], told["node_type"], told["executed"]) == ("1", "Waits", [])
        record = (await seat.call("GET", f"/history/{prompt_id}"))[1][prompt_id]
        assert (record["status"]["status_str"], record["status"]["completed"]) == ("error", False)
        assert record["status"]["messages"][-1][0] == "execution_interrupted"

    async def test_another_id_stops_nothing(self, seat: Seat) -> None:
        prompt_id = await self.start(seat)
        await seat.call("POST", "/interrupt", json={"prompt_id": "other"})
        status, queue = await seat.call("GET", "/queue")
        assert (status, queue["queue_running"][0][1]) == (200, prompt_id)
        assert not seat.engine.queue.interrupted.is_set()
        await seat.call("POST", "/interrupt", json={"prompt_id": prompt_id})
        assert "execution_interrupted" in names(await seat.events(prompt_id))

    async def test_a_wish_with_nothing_running_is_forgotten(self, seat: Seat) -> None:
        await seat.call("POST", "/interrupt", data=b"not json")
        _, record = await seat.run(SUM)
        assert record["status"]["completed"]

    async def test_an_asynchronous_node_is_cancelled(self, seat: Seat) -> None:
        graph = {"1": node("Forever", value=1), "2": node("Show", value=["1", 0])}
        prompt_id = await self.start(seat, graph, wait=Forever)
        await seat.call("POST", "/interrupt", json={"prompt_id": prompt_id})
        assert dict(await seat.events(prompt_id))["execution_interrupted"]["node_id"] == "1"


class TestAsync:
    async def test_asynchronous_nodes_overlap(self, seat: Seat) -> None:
        Later.meeting = None
        graph = {
            "1": node("Later", value=1),
            "2": node("Later", value=2),
            "3": node("Add", a=["1", 0], b=["2", 0]),
            "4": node("Show", value=["3", 0]),
        }
        assert (await seat.run(graph))[1]["outputs"] == {"4": {"text": ["3"]}}


class TestPreviews:
    async def test_plain_previews_follow_the_progress(self, seat: Seat) -> None:
        events, _ = await seat.run(STEPS)
        steps = names(events)[names(events).index("executing") + 1 :][:3]
        assert steps == ["progress_state", "progress", "binary"]
        frame = dict(events)["binary"]
        assert struct.unpack(">II", frame[:8]) == (1, 1)
        assert frame[8:10] == b"\xff\xd8"
        progress = [data for name, data in events if name == "progress"]
        assert [(data["value"], data["max"], data["node"]) for data in progress] == [(1, 2, "1"), (2, 2, "1")]

    async def test_previews_with_metadata_come_before_the_progress(self, seat: Seat) -> None:
        await seat.socket.send_json({"type": "feature_flags", "data": {"supports_preview_metadata": True}})
        answer = await seat.socket.receive_json(timeout=5)
        assert answer["type"] == "feature_flags"
        assert answer["data"] == {"supports_preview_metadata": True, "max_upload_size": 104857600}
        events, _ = await seat.run(STEPS, prompt_id="p")
        steps = names(events)[names(events).index("executing") + 1 :][:3]
        assert steps == ["progress_state", "binary", "progress"]
        frame = dict(events)["binary"]
        kind, length = struct.unpack(">II", frame[:8])
        assert kind == 4
        assert json.loads(frame[8 : 8 + length]) == {
            "node_id": "1",
            "prompt_id": "p",
            "display_node_id": "1",
            "parent_node_id": None,
            "real_node_id": "1",
            "image_type": "image/jpeg",
        }

    async def test_a_preview_is_shrunk(self, seat: Seat) -> None:
        import io

        from PIL import Image

        events, _ = await seat.run(STEPS)
        assert Image.open(io.BytesIO(dict(events)["binary"][8:])).size == (512, 128)


async def test_a_late_client_hears_of_the_running_node(seat: Seat) -> None:
    Waits.started.clear()
    await seat.queue(WAITS, client_id="late")
    await happens(Waits.started)
    async with seat.session.ws_connect(f"{seat.url}/api/ws?clientId=late") as socket:
        first, second = [await socket.receive_json(timeout=5) for _ in range(2)]
    assert first["data"] == {"status": {"exec_info": {"queue_remaining": 1}}, "sid": "late"}
    assert second == {"type": "executing", "data": {"node": "1"}}
    await seat.call("POST", "/interrupt")


async def test_a_reconnected_client_keeps_its_place(seat: Seat) -> None:
    async with seat.session.ws_connect(f"{seat.url}/ws?clientId=me") as newer:
        await newer.receive_json(timeout=5)
        await seat.socket.close()
        await seat.submit(SUM)
        async with asyncio.timeout(5):
            while (await newer.receive_json())["type"] != "execution_success":
                pass
