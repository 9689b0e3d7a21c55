"""Graphs of the probe nodes, and what a server says while it runs them.

`python -m tests.embedded.execute.scenarios URL > tests/embedded/execute/recorded_execution.json` records a real ComfyUI
0.3.64 that has probe_nodes.py among its custom nodes; the test plays the same graphs here and compares.
"""

import asyncio
import json
import sys
from collections.abc import Mapping
from typing import Any

import aiohttp

WAIT_SECONDS = 20
CLIENT = "player"

Graph = dict[str, Any]

OWN_WORDS = {"comfy_execution.graph.NodeInputError", "execution.DuplicateNodeError"}
"""Errors that our engine says in its own words."""


def node(class_type: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": "Probe" + class_type, "inputs": inputs}


def show(source: Any = "1") -> dict[str, Any]:
    return node("Show", value=[source, 0] if isinstance(source, str) else source)


def shown(**graph: dict[str, Any]) -> Graph:
    """Node `n` feeds the output node `out`."""
    return {**graph, "out": show("n")}


SUM = {"1": node("Number", value=2), "2": node("Add", a=["1", 0], b=3), "3": show("2")}
TWICE_SUM = {"1": SUM["1"], "2": node("Number", value=2), "3": node("Add", a=["1", 0], b=["2", 0]), "4": show("3")}
EXPAND = shown(n=node("Expand", value=2, show=True))
BLOCKED = {
    "1": node("Range", value=4),
    "2": node("Block", value=["1", 0], text="stop"),
    "3": node("Add", a=["2", 0], b=1),
}

SCENARIOS: dict[str, list[Graph]] = {
    "sum, cached": [SUM, SUM],
    "renamed": [SUM, {"a": SUM["1"], "b": node("Add", a=["a", 0], b=3), "c": show("b")}],
    "one changed": [SUM, {**SUM, "2": node("Add", a=["1", 0], b=9)}],
    "unknown constant": [SUM, {**SUM, "3": {**SUM["3"], "inputs": {"value": ["2", 0], "mark": "a"}}}],
    "dropped": [SUM, {"1": show(7)}, SUM],
    "equal nodes in one graph": [TWICE_SUM, TWICE_SUM],
    "equal outputs in one graph": [{"1": show(5), "2": show(5)}] * 2,
    "quiet output": [{"1": node("Quiet", value=1)}] * 2,
    "partial": [{**SUM, "9": show(1)}, {"targets": ["9"], "graph": {**SUM, "9": show(1)}}],
    "no such target": [{"targets": ["1"], "graph": SUM}],
    "returns nothing": [{"1": node("Nothing", value=1)}],
    "returns an empty object": [{"1": node("Empty", value=1), "2": show("1")}],
    "fewer values than outputs": [{"1": node("Two", value=1), "2": node("Show", value=["1", 1])}],
    "list": [{"1": node("Range", value=3), "2": node("Add", a=["1", 0], b=10), "3": show("2")}],
    "uneven lists": [
        {
            "1": node("Range", value=3),
            "2": node("Range", value=2),
            "3": node("Add", a=["1", 0], b=["2", 0]),
            "4": node("ShowAll", value=["3", 0]),
        }
    ],
    "empty list": [{"1": node("Range", value=0), "2": show("1")}],
    "empty list beside a value": [{"1": node("Range", value=0), "2": node("Add", a=["1", 0], b=1), "3": show("2")}],
    "empty list, whole": [{"1": node("Range", value=0), "2": node("ShowAll", value=["1", 0])}],
    "failure": [{"1": node("Number", value=7), "2": node("Fail", value=["1", 0]), "3": show("2")}],
    "failure beside an output": [{"1": show("a b"), "2": node("Fail", value=1), "3": show("2"), "4": node("Number")}],
    "failure, then repaired": [
        {"1": node("Number", value=7), "2": node("Fail", value=["1", 0]), "3": show("2")},
        {"1": node("Number", value=7), "2": node("Add", a=["1", 0], b=1), "3": show("2")},
    ],
    "undeclared link": [
        {"1": node("Number", value=7), "2": node("Wild", other=["1", 0], word="x", extra=4), "3": show("2")}
    ],
    "undeclared link to a strict node": [
        {"1": node("Number", value=7), "2": node("Number", value=1, other=["1", 0]), "3": show("2")}
    ],
    "lazy": [
        {
            "1": node("Number", value=1),
            "2": node("Number", value=2),
            "3": node("Switch", first=False, a=["1", 0], b=["2", 0]),
            "4": show("3"),
        }
    ]
    * 2,
    "lazy constant": [{"3": node("Switch", first=True, a=5), "4": show("3")}],
    "lazy and missing": [{"3": node("Switch", first=True), "4": show("3")}],
    "lazy and undeclared": [{"3": node("Greedy", first=True, missing=5), "4": show("3")}],
    "asynchronous lazy": [
        {"1": node("Number", value=1), "3": node("AsyncSwitch", first=True, a=["1", 0], b=4), "4": show("3")}
    ],
    "lazy list": [
        {
            "0": node("Range", value=2),
            "1": node("Number", value=1),
            "2": node("Number", value=2),
            "3": node("Switch", first=["0", 0], a=["1", 0], b=["2", 0]),
            "4": show("3"),
        }
    ],
    "blocked with a message": [{**BLOCKED, "4": show("3")}] * 2,
    "blocked silently": [{**BLOCKED, "2": node("Block", value=["1", 0], text=""), "4": show("3"), "5": show("1")}],
    "blocked as a whole": [{**BLOCKED, "4": node("ShowAll", value=["2", 0])}],
    "blocked output": [{"1": node("Block", value=2, text="stop"), "2": show("1"), "3": node("Quiet", value=["1", 0])}],
    "blocked lazy": [
        {"1": node("Block", value=2, text="stop"), "3": node("Switch", first=["1", 0], a=5), "4": show("3")}
    ],
    "expansion": [EXPAND, EXPAND, shown(n=node("Expand", value=3, show=True))],
    "expansion beside": [
        {
            "1": node("Expand", value=2, show=False),
            "2": node("Expand", value=2, show=False),
            "3": node("Add", a=["1", 0], b=["2", 0]),
            "4": show("3"),
        }
    ],
    "expansion of a list": [{"0": node("Range", value=3), "n": node("Mixed", value=["0", 0]), "out": show("n")}] * 2,
    "expansion changed and changed back": [
        shown(n=node("Expand", value=2, show=True)),
        shown(n=node("Expand", value=3, show=True)),
        shown(n=node("Expand", value=2, show=True)),
    ],
    "expansion downstream of a change": [
        shown(a=node("Number", value=1), n=node("Expand", value=["a", 0], show=False)),
        shown(a=node("Number", value=2), n=node("Expand", value=["a", 0], show=False)),
    ],
    "nested expansion": [shown(n=node("Loop", value=3))] * 2,
    "shown by another": [{**shown(n=node("Display", value=3, shown_by="out"))}],
    "shown by nobody": [{**shown(n=node("Display", value=3, shown_by="nobody"))}],
    "duplicate id": [{"1": node("Twice", value=1), "2": show("1")}],
    "unknown class inside": [{"1": node("Unknown", value=1), "2": show("1")}],
    "failure inside": [{"1": node("FailInside", value=1), "2": show("1")}],
    "cycle inside": [{"1": node("Circle", value=1), "2": show("1"), "3": show(1)}],
    "asynchronous": [
        {
            "1": node("Sleep", value=1, ms=300),
            "2": node("Sleep", value=2, ms=100),
            "3": node("Add", a=["1", 0], b=["2", 0]),
            "4": show("3"),
        }
    ],
    "asynchronous list": [{"0": node("Range", value=3), "1": node("Sleep", value=["0", 0], ms=50), "2": show("1")}],
    "asynchronous failure": [{"1": node("AsyncFail", value=1, ms=20), "2": show("1")}],
    "asynchronous expansion": [{"1": node("AsyncExpand", value=1, ms=20), "2": show("1")}],
    "fingerprint NaN": [shown(n=node("NotANumber", value=1))] * 2,
    "fingerprint fails": [shown(n=node("FailsToSay", value=1))] * 2,
    "fingerprint of a link": [shown(a=node("Number", value=3), n=node("SaysLinked", value=["a", 0]))] * 2,
    "asynchronous fingerprint": [shown(n=node("SaysLater", value=1))] * 2,
    "fingerprint once per prompt": [
        {"1": node("Counts", value=1), "2": show("1"), "3": node("Add", a=["1", 0], b=["1", 0]), "4": show("3")}
    ]
    * 2,
    "node that knows its id": [shown(n=node("Me", value=1)), {"m": node("Me", value=1), "out": show("m")}],
    "node that is not idempotent": [
        shown(n=node("Moody", value=1)),
        shown(n=node("Moody", value=1)),
        {"m": node("Moody", value=1), "out": show("m")},
    ],
    "dynamic prompt": [shown(a=node("Number", value=1), n=node("Dynamic", value=["a", 0]))],
    "refused by the validator": [shown(n=node("Checked", value=99, other=9))],
    "bounds of the validator's own input": [shown(n=node("Checked", value=9, other=1))],
    "validated input missing": [shown(n=node("Checked", other=1))],
    "validated input linked": [shown(a=node("Number", value=99), n=node("Checked", value=["a", 0], other=1))],
    "validator of types": [shown(a=node("Me", value=1), n=node("ChecksTypes", value=["a", 0], other=1))],
    "validator of all": [shown(n=node("ChecksAll", value=13, other=13))],
    "validator without inputs": [shown(n=node("ChecksNothing", value=1, other=1))],
    "bool slot": [{"1": node("Two", value=1), "2": node("Show", value=["1", False])}],
    "float slot": [{"1": node("Number", value=1), "2": node("Show", value=["1", 0.0])}],
    "text slot": [{"1": node("Number", value=1), "2": node("Show", value=["1", "0"])}],
    "numeric source": [{"1": node("Number", value=1), "2": node("Show", value=[1, 0])}],
    "list as a value": [{"2": node("Show", value={"__value__": [1, 2]})}],
    "null value": [shown(n=node("Number", value=None))],
    "wrong type": [shown(a=node("Me", value=1), n=node("Number", value=["a", 0]))],
    "good beside bad": [{**shown(n=node("Number", value="x")), "fine": show(1)}],
    "order of ready nodes": [
        {
            "a": node("Number", value=1),
            "b": node("Number", value=2),
            "c": node("Number", value=3),
            "d": node("Add", a=["a", 0], b=["b", 0]),
            "e": node("Add", a=["d", 0], b=["c", 0]),
            "f": node("Add", a=["b", 0], b=["e", 0]),
            "o": show("f"),
            "p": node("Quiet", value=["c", 0]),
        }
    ],
}


async def play(url: str) -> dict[str, Any]:
    """Scenario -> what was said about each of its graphs. A graph between them makes the server forget the last."""
    said: dict[str, Any] = {}
    async with aiohttp.ClientSession(url) as session, session.ws_connect(f"/ws?clientId={CLIENT}") as socket:
        await socket.receive_json(timeout=WAIT_SECONDS)
        for name, graphs in SCENARIOS.items():
            await _run(session, socket, {"0": node("Show", value=name)}, "between")
            said[name] = [await _run(session, socket, graph, f"p{i}") for i, graph in enumerate(graphs)]
    return said


async def _run(
    session: aiohttp.ClientSession, socket: aiohttp.ClientWebSocketResponse, graph: Graph, prompt_id: str
) -> dict[str, Any]:
    body: dict[str, Any] = {"prompt": graph, "client_id": CLIENT, "prompt_id": prompt_id}
    if "graph" in graph:
        body |= {"prompt": graph["graph"], "partial_execution_targets": graph["targets"]}
    async with session.post("/prompt", json=body) as response:
        answer = await response.json()
    if response.status != 200:
        return {"status": response.status, "answer": _plain_answer(answer)}
    events = []
    while True:
        message = json.loads((await socket.receive(timeout=WAIT_SECONDS)).data)
        events.append((message["type"], message["data"]))
        if events[-1] == ("executing", {"node": None, "prompt_id": prompt_id}):
            break
    async with session.get(f"/history/{prompt_id}") as response:
        record = (await response.json())[prompt_id]
    return {
        "answer": _plain_answer({key: value for key, value in answer.items() if key == "node_errors"}),
        "events": _plain_events(events),
        "outputs": dict(sorted(record["outputs"].items())),
        "meta": dict(sorted(record["meta"].items())),
        "status": [record["status"]["status_str"], record["status"]["completed"]],
        "messages": [name for name, _ in record["status"]["messages"]],
    }


def _plain_events(events: list[tuple[str, Any]]) -> list[Any]:
    """The events without what differs from run to run; of the states only those that changed."""
    plain: list[Any] = []
    states: dict[str, Any] = {}
    for name, data in events:
        if name == "progress_state":
            now = {key: _plain_state(state) for key, state in data["nodes"].items()}
            plain.append([name, {key: value for key, value in now.items() if states.get(key) != value}])
            states = now
        elif name != "status":
            plain.append([name, _plain_event(data)])
    return plain


def _plain_state(state: Mapping[str, Any]) -> str:
    return " ".join(str(state[key]) for key in ("state", "display_node_id", "parent_node_id", "real_node_id"))


def _plain_event(data: Mapping[str, Any]) -> dict[str, Any]:
    plain = {key: value for key, value in data.items() if key not in ("prompt_id", "timestamp")}
    for key in ("executed", "current_outputs"):
        if key in plain:
            plain[key] = sorted(plain[key])
    if "traceback" in plain:
        plain["traceback"] = bool(plain["traceback"])
    if plain.get("exception_type") in OWN_WORDS:
        del plain["exception_message"]
    return plain


def _plain_answer(answer: Mapping[str, Any]) -> Any:
    plain = json.loads(json.dumps(answer))
    for found in plain["node_errors"].values():
        found["dependent_outputs"].sort()
        found["errors"].sort(key=lambda error: (error["type"], error["details"]))
        for error in found["errors"]:
            error["extra_info"].pop("traceback", None)
    return plain


if __name__ == "__main__":
    heard = asyncio.run(play(sys.argv[1]))
    lines = (f"{json.dumps(name)}: {json.dumps(said)}" for name, said in heard.items())
    sys.stdout.write("{" + ",\n".join(lines) + "}\n")
