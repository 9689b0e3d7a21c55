"""Each fault as a client meets it, switched on by a start option or by a node of the graph."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from comfyserve.embedded.context import current
from comfyserve.embedded.faults.nodes import NODE_CLASS_MAPPINGS, class_name
from comfyserve.embedded.faults.playing import Faults, delay_next_start, start_delay
from comfyserve.embedded.faults.table import ANSWERS, PARAMETERS, Fault, Kind, fault
from comfyserve.embedded.files.folders import Folders
from comfyserve.embedded.graph.graph_view import Graph
from comfyserve.embedded.nodes.declare import Family
from tests.embedded.conftest import WAIT_SECONDS, Seat, serve

steps = Family()


@steps.node("Steps", "tests", "tests", {"count": ("INT", {})}, optional={"after": ("*",)}, output_node=True)
def run_steps(count: int, after: Any = None) -> dict[str, Any]:
    """Report each of `count` steps."""
    current().loading()
    for number in range(1, count + 1):
        current().progress(number, count)
    return {"text": ["done"]}


def armed(kind: Kind, **values: Any) -> Graph:
    given = {parameter.name: parameter.default for parameter in PARAMETERS[kind]} | values
    return {
        "1": {"class_type": class_name(kind), "inputs": given},
        "2": {"class_type": "Steps", "inputs": {"count": 3, "after": ["1", 0]}},
    }


def plain(count: int = 3) -> Graph:
    return {"2": {"class_type": "Steps", "inputs": {"count": count}}}


@asynccontextmanager
async def engine(folders: Folders, *faults: Fault) -> AsyncIterator[Seat]:
    async with serve(folders, nodes={**steps.classes, **NODE_CLASS_MAPPINGS}, faults=Faults(faults)) as seat:
        yield seat


@pytest.mark.parametrize("by_node", [True, False])
async def test_out_of_memory_looks_like_torchs_own(folders: Folders, by_node: bool) -> None:
    wanted = fault(Kind.OUT_OF_MEMORY, step=2)
    async with engine(folders, *([] if by_node else [wanted])) as seat:
        events, record = await seat.run(armed(Kind.OUT_OF_MEMORY, step=2) if by_node else plain())
    assert record["status"]["status_str"] == "error"
    (error,) = [data for kind, data in events if kind == "execution_error"]
    assert error["exception_type"] == "torch.OutOfMemoryError"
    assert [data["value"] for kind, data in events if kind == "progress"] == [1]


async def test_a_fault_of_a_node_ends_with_its_prompt(folders: Folders) -> None:
    async with engine(folders) as seat:
        _, failed = await seat.run(armed(Kind.OUT_OF_MEMORY))
        _, record = await seat.run(plain())
    assert (failed["status"]["status_str"], record["status"]["status_str"]) == ("error", "success")


async def test_a_dropped_socket_is_cut_without_a_goodbye(folders: Folders) -> None:
    async with engine(folders, fault(Kind.SOCKET_DROPPED, step=2)) as seat:
        await seat.queue(plain())
        while (frame := await seat.socket.receive(timeout=WAIT_SECONDS)).type == aiohttp.WSMsgType.TEXT:
            pass
        assert seat.socket.close_code == aiohttp.WSCloseCode.ABNORMAL_CLOSURE
        assert frame.type in {aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR}


async def test_a_replaced_connection_is_cut_too(folders: Folders) -> None:
    async with engine(folders, fault(Kind.SOCKET_DROPPED, step=1)) as seat:
        async with seat.session.ws_connect(f"{seat.url}/ws?clientId=me") as newer:
            await newer.receive_json(timeout=WAIT_SECONDS)
            await seat.queue(plain())
            assert (await seat.socket.receive(timeout=WAIT_SECONDS)).type is not aiohttp.WSMsgType.TEXT
        assert seat.socket.close_code == aiohttp.WSCloseCode.ABNORMAL_CLOSURE


async def test_a_silent_socket_stays_open_and_the_prompt_goes_on(folders: Folders) -> None:
    async with engine(folders, fault(Kind.SOCKET_SILENT, step=1)) as seat:
        await seat.queue(plain(3), prompt_id="first")
        await happens_in_history(seat, "first")
        async with seat.session.ws_connect(f"{seat.url}/ws?clientId=late") as late:
            assert (await late.receive_json(timeout=WAIT_SECONDS))["type"] == "status"
        await seat.socket.ping()
        frames = [json.loads((await seat.socket.receive(timeout=WAIT_SECONDS)).data) for _ in range(3)]
        assert "progress" not in {frame["type"] for frame in frames}
        assert not seat.socket.closed


async def happens_in_history(seat: Seat, prompt_id: str) -> None:
    while not (await seat.call("GET", f"/history/{prompt_id}"))[1]:
        pass


async def test_a_late_history_comes_after_the_end_marker(folders: Folders) -> None:
    async with engine(folders, fault(Kind.LATE_HISTORY, seconds=0.3)) as seat:
        prompt_id = await seat.queue(plain())
        await seat.events(prompt_id)
        assert (await seat.call("GET", f"/history/{prompt_id}"))[1] == {}
        assert (await seat.call("GET", "/prompt"))[1]["exec_info"]["queue_remaining"] == 0
        await happens_in_history(seat, prompt_id)


@pytest.mark.parametrize("answer", [answer for answer in ANSWERS if answer != "cut"])
async def test_a_wrong_answer_queues_all_the_same(folders: Folders, answer: str) -> None:
    async with engine(folders) as seat:
        status, body = await seat.submit(armed(Kind.WRONG_ANSWER, answer=answer), prompt_id="mine")
        right = status == 200 and isinstance(body, dict) and body["prompt_id"] == "mine"
        assert not right
        await happens_in_history(seat, "mine")


async def test_a_wrong_answer_of_a_node_is_given_once(folders: Folders) -> None:
    async with engine(folders) as seat:
        await seat.submit(armed(Kind.WRONG_ANSWER), prompt_id="wrong")
        await seat.events("wrong")
        status, answer = await seat.submit(plain(), prompt_id="right")
        assert (status, answer["prompt_id"]) == (200, "right")
        assert "wrong" in (await seat.call("GET", "/history/wrong"))[1]


@pytest.mark.parametrize("ends", ["executing", "error"])
async def test_what_a_node_armed_is_gone_at_the_end_marker(folders: Folders, ends: str) -> None:
    async with engine(folders) as seat:
        await seat.run(armed(Kind.OUT_OF_MEMORY, step=1 if ends == "error" else 9))
        assert seat.engine.faults.of_kind(Kind.OUT_OF_MEMORY) is None


async def test_what_a_running_node_armed_does_not_answer_others(folders: Folders) -> None:
    faults = Faults()
    faults.arm(fault(Kind.WRONG_ANSWER))
    async with serve(folders, nodes=steps.classes, faults=faults) as seat:
        status, _ = await seat.submit(plain())
    assert status == 200


async def test_a_cut_answer_breaks_the_connection(folders: Folders) -> None:
    async with engine(folders, fault(Kind.WRONG_ANSWER, answer="cut")) as seat:
        with pytest.raises(aiohttp.ClientError):
            await seat.submit(plain(), prompt_id="mine")
        await happens_in_history(seat, "mine")


async def test_a_slow_load_can_be_interrupted(folders: Folders) -> None:
    async with engine(folders, fault(Kind.SLOW_LOAD, seconds=3600.0)) as seat:
        prompt_id = await seat.queue(plain())
        while (await seat.socket.receive_json(timeout=WAIT_SECONDS))["type"] != "executing":
            pass
        async with seat.session.post(f"{seat.url}/interrupt", json={"prompt_id": prompt_id}):
            pass
        kinds = {kind for kind, _ in await seat.events(prompt_id)}
    assert "execution_interrupted" in kinds


async def test_fault_nodes_are_unknown_unless_the_operator_wants_them(folders: Folders) -> None:
    async with serve(folders, nodes=steps.classes) as seat:
        status, answer = await seat.submit(armed(Kind.CRASH))
    assert (status, answer["error"]["type"]) == (400, "invalid_prompt")


def test_the_node_delays_one_start(tmp_path: Path) -> None:
    delay_next_start(tmp_path, 2.5)
    assert start_delay(tmp_path, Faults()) == 2.5
    assert start_delay(tmp_path, Faults()) == 0
    assert start_delay(tmp_path, Faults([fault(Kind.SLOW_START, seconds=1.0)])) == 1.0
