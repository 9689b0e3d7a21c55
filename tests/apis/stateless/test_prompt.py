"""POST /prompt over a real worker and a real engine."""

import asyncio
import base64
import hashlib
import os
import threading
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest
import pytest_asyncio

from comfyserve.apis.build import close_streams
from comfyserve.apis.http.spool import Spool, SpoolLimits
from comfyserve.core.errors import FetchFailed, NotFound, Place, TargetFailed
from comfyserve.core.runs import Status
from comfyserve.ports import machine_topic
from comfyserve.services.records import RunView
from comfyserve.work.collect import Converter
from tests.apis.stateless.working import Solo, gates, picture_graph, solo
from tests.work.shop import FolderFetch
from tests.work.test_collect import ScriptedTarget, ScriptedTargets

PNG = b"\x89PNG\r\n\x1a\n"
HOOK = "https://receiver.example/hook"
PARTS = {"statusCode", "error", "message"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Solo]:
    folder = tmp_path_factory.mktemp("solo")
    async with solo(folder, converter=Converter(folder / "converting")) as made:
        yield made


pytestmark = pytest.mark.asyncio(loop_scope="module")


def saved(node: dict[str, Any], prefix: str = "ComfyUI") -> dict[str, Any]:
    """A graph that saves the picture of one node."""
    save = {"inputs": {"images": ["1", 0], "filename_prefix": prefix}, "class_type": "SaveImage"}
    return {"1": node, "9": save}


def load(image: Any) -> dict[str, Any]:
    return saved({"inputs": {"image": image}, "class_type": "LoadImage"})


def gate(name: str) -> dict[str, Any]:
    gates[name] = threading.Event()
    return {"1": {"inputs": {"name": name}, "class_type": "TestGate"}}


async def is_now(solo: Solo, key: str, *wanted: Status) -> RunView:
    """The run with this request id, when it is in one of these states."""
    bundle, topic = solo.bundle, machine_topic(solo.bundle.machine_id)
    async with asyncio.timeout(20):
        while (run := await _named(solo, key)) is None:
            await bundle.bell.wait(topic, 0.05)  # The call is on its way.
        async for events in solo.bundle.watch.stream(solo.bundle.caller, run.id):
            if any(getattr(event, "status", None) in wanted for event in events):
                break
    return await solo.bundle.runs.named(solo.bundle.caller, key)


async def _named(solo: Solo, key: str) -> RunView | None:
    try:
        return await solo.bundle.runs.named(solo.bundle.caller, key)
    except NotFound:
        return None


async def test_a_graph_is_answered_with_its_pictures(shared: Solo) -> None:
    answer = await shared.prompt(picture_graph(count=2), id="first")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    assert int(answer.headers["content-length"]) == len(answer.content)
    body = answer.json()
    assert [*body] == ["prompt", "id", "images", "filenames", "stats", "outputs"]
    assert body["id"] == "first"
    assert body["filenames"] == ["first_ComfyUI_00001_.png", "first_ComfyUI_00002_.png"]
    assert body["prompt"] == picture_graph(count=2, prefix="first_ComfyUI")
    assert [*body["prompt"]["9"]] == ["inputs", "class_type"]
    for image, output in zip(body["images"], body["outputs"], strict=True):
        content = base64.b64decode(image, validate=True)
        assert content.startswith(PNG)
        assert (output["size"], output["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
        assert (output["node_id"], output["kind"], output["mime"]) == ("9", "image", "image/png")


async def test_the_signed_address_of_an_output_gives_its_file(shared: Solo) -> None:
    body = (await shared.prompt(picture_graph(3))).json()
    (output,) = body["outputs"]
    file = await shared.client.get(output["url"].removeprefix("http://127.0.0.1:3011"))
    assert base64.b64encode(file.content).decode() == body["images"][0]


async def test_an_id_is_made_where_none_is_given(shared: Solo) -> None:
    first, second = [(await shared.prompt(picture_graph(4), **given)).json() for given in ({}, {"id": ""})]
    assert first["id"] != second["id"]
    assert first["filenames"] == [f"{first['id']}_ComfyUI_00001_.png"]


async def test_the_same_graph_twice_gives_two_full_results(shared: Solo) -> None:
    first, second = [(await shared.prompt(picture_graph(5), id=name)).json() for name in ("a1", "a2")]
    assert len(first["images"]) == len(second["images"]) == 1


async def test_outputs_in_folders_are_not_lost(shared: Solo) -> None:
    body = (await shared.prompt(picture_graph(6, prefix="video/ComfyUI"), id="folder")).json()
    assert len(body["images"]) == 1
    assert (body["outputs"][0]["subfolder"], body["filenames"]) == ("folder_video", ["ComfyUI_00001_.png"])


async def test_without_prepending_the_id_is_the_name(shared: Solo) -> None:
    shared.set(prepend_filenames=False)
    body = (await shared.prompt(picture_graph(7), id="plain")).json()
    shared.set(prepend_filenames=True)
    assert body["filenames"] == ["plain_00001_.png"]


async def test_a_graph_of_previews_gives_them_and_one_that_saves_does_not(shared: Solo) -> None:
    preview = {"inputs": {"images": ["1", 0]}, "class_type": "PreviewImage"}
    graph = picture_graph(8)
    only = (await shared.prompt({"1": graph["1"], "2": preview})).json()
    both = (await shared.prompt({**graph, "2": preview})).json()
    assert (len(only["images"]), only["outputs"][0]["type"]) == (1, "temp")
    assert len(both["images"]) == 1
    assert sorted(output["type"] for output in both["outputs"]) == ["output", "temp"]


async def test_a_graph_of_texts_gives_its_texts(shared: Solo) -> None:
    graph = gate("texts")
    gates["texts"].set()
    body = (await shared.prompt(graph)).json()
    assert (body["images"], body["filenames"]) == ([], [])
    assert [(one["kind"], one["value"]) for one in body["outputs"]] == [("text", "texts")]


async def test_pictures_are_converted_by_the_options_of_their_format(shared: Solo) -> None:
    for form, options in (("webp", {"lossless": True}), ("jpg", {"quality": 50})):
        wish = {"format": form, "options": options}
        body = (await shared.prompt(picture_graph(9), id=f"c-{form}", convert_output=wish)).json()
        assert body["filenames"] == [f"c-{form}_ComfyUI_00001_.{form}"]
        content = base64.b64decode(body["images"][0])
        assert content[12:16] == b"VP8L" if form == "webp" else content.startswith(b"\xff\xd8\xff")
        assert body["convert_output"]["options"].items() >= options.items()


async def test_stats_follow_the_run(shared: Solo) -> None:
    stats = (await shared.prompt(picture_graph(10))).json()["stats"]
    execution = stats["comfy_execution"]
    assert execution["total"] == {key: execution[key] for key in ("start", "end", "duration")}
    assert execution["nodes"].keys() == {"1", "9"}
    times = ("preprocess_time", "comfy_round_trip_time", "postprocess_time", "upload_time")
    assert stats["total_time"] == sum(stats[name] for name in times)


async def test_pictures_come_in_as_base64_data_and_addresses(shared: Solo) -> None:
    picture = base64.b64encode((await _picture(shared)).content).decode()
    for number, value in enumerate((picture, f"data:image/png;base64,{picture}")):
        body = (await shared.prompt(load(value), id=f"in-{number}")).json()
        assert len(body["images"]) == 1, body
        shown = body["prompt"]["1"]["inputs"]["image"]
        assert shown.startswith("img_") and picture not in str(body["prompt"])


async def _picture(solo: Solo) -> httpx2.Response:
    (output,) = (await solo.prompt(picture_graph(11))).json()["outputs"]
    return await solo.client.get(output["url"].removeprefix("http://127.0.0.1:3011"))


@pytest.mark.parametrize(
    ("image", "sentence"),
    [
        ("/etc/passwd", "is an absolute path"),
        ("../../etc/passwd", "leaves its folder with .."),
        ("ftp://example.com/a.png", "is no address that is fetched"),
        ("AAAA" * 1000, "Could not determine file type from base64 data"),
    ],
)
async def test_names_that_lead_out_of_the_folder(shared: Solo, image: str, sentence: str) -> None:
    for class_type in ("LoadImage", "LoadImageMask", "SomethingNobodyKnows"):
        graph = saved({"inputs": {"image": image}, "class_type": class_type})
        answer = await shared.prompt(graph)
        if class_type != "SomethingNobodyKnows":
            assert answer.json()["location"] == "prompt.1.inputs.image"
            assert answer.json()["error"].startswith("Failed to download image for node 1: ")
            assert sentence in answer.json()["error"]
        assert answer.status_code == 400


@pytest.mark.parametrize("wrong", ["../x", "/x", "a\\b", ".", "x/result", "x/events", "x/cancel"])
async def test_ids_that_lead_out_of_the_folder(shared: Solo, wrong: str) -> None:
    answer = await shared.prompt(picture_graph(), id=wrong)
    assert (answer.status_code, answer.json()["location"]) == (400, "id")


@pytest.mark.parametrize("wrong", ["a/../../../x", "a\\..\\x"])
async def test_prefixes_that_lead_out_of_the_folder(shared: Solo, wrong: str) -> None:
    answer = await shared.prompt(picture_graph(prefix=wrong))
    assert (answer.status_code, answer.json()["location"]) == (400, "prompt.9.inputs.filename_prefix")


async def test_a_name_among_the_inputs_that_is_not_there(shared: Solo) -> None:
    answer = await shared.prompt(load("nothing.png"))
    assert answer.status_code == 400
    body = answer.json()
    assert body["location"] == "prompt" and "nothing.png" in body["error"]
    assert body["node_errors"]["1"]["errors"][0]["type"] == "custom_validation_failed"


async def test_a_name_among_the_inputs_that_is_there(shared: Solo) -> None:
    made = await shared.prompt(picture_graph(11))
    folder = await asyncio.to_thread(_inputs_of, shared)
    await asyncio.to_thread((folder / "mine.png").write_bytes, base64.b64decode(made.json()["images"][0]))
    body = (await shared.prompt(load("mine.png"))).json()
    assert len(body["images"]) == 1
    assert body["prompt"]["1"]["inputs"]["image"] == "mine.png"


def _inputs_of(solo: Solo) -> Path:
    return solo.folder / "engine" / "input"


async def test_pictures_of_two_nodes_are_in_the_order_of_the_graph(shared: Solo) -> None:
    graph = picture_graph(21, prefix="b") | {
        "20": {"inputs": {"width": 8, "height": 8, "batch_size": 2, "color": 22}, "class_type": "EmptyImage"},
        "3": {"inputs": {"images": ["20", 0], "filename_prefix": "x/a"}, "class_type": "SaveImage"},
    }
    body = (await shared.prompt(graph, id="order")).json()
    nodes = [output["node_id"] for output in body["outputs"]]
    assert sorted(nodes) == ["3", "3", "9"]
    assert body["filenames"] == [output["filename"] for output in body["outputs"]]
    for image, output in zip(body["images"], body["outputs"], strict=True):
        assert hashlib.sha256(base64.b64decode(image)).hexdigest() == output["sha256"]
    again = (await shared.prompt(graph, id="order2")).json()
    assert [output["node_id"] for output in again["outputs"]] == nodes


@pytest.mark.parametrize("prefix", [["3", 0], 5, None, ""])
async def test_a_target_has_the_id_before_every_name(tmp_path: Path, prefix: Any) -> None:
    graph = picture_graph(23) | {"3": {"inputs": {"value": "linked"}, "class_type": "PrimitiveString"}}
    graph["9"]["inputs"]["filename_prefix"] = prefix
    target = ScriptedTarget()
    async with solo(tmp_path, uploads=frozenset({"s3"}), targets=ScriptedTargets(target)) as made:
        answer = await made.prompt(graph, id="mine", s3={"bucket": "b", "prefix": "p/"})
    assert answer.status_code == 200, answer.text
    (name,) = target.asked
    assert name.startswith("mine_")
    assert answer.json()["images"] == [f"https://files.example.com/{name}"]


async def test_what_a_target_refuses_is_told_in_the_words_of_the_request(tmp_path: Path) -> None:
    target = ScriptedTarget(default=TargetFailed("It refuses target.bucket. Check target.auth."))
    async with solo(tmp_path, uploads=frozenset({"s3"}), targets=ScriptedTargets(target)) as made:
        answer = await made.prompt(picture_graph(24), id="mine", s3={"bucket": "b", "prefix": "p/"})
    assert answer.status_code == 500
    assert answer.json()["message"] == "It refuses s3.bucket. Check the server's own credentials."


@pytest.mark.parametrize(("field", "location"), [("webhook", "webhook"), ("webhook_v2", "webhook_v2")])
async def test_a_webhook_that_is_no_address(shared: Solo, field: str, location: str) -> None:
    answer = await shared.prompt(picture_graph(25), **{field: "ftp://receiver.example"})
    assert (answer.status_code, answer.json()["location"]) == (400, location)
    assert answer.json()["error"] == f"{location} must be an http or https URL."


async def test_what_the_engine_refuses_is_told_with_its_nodes(shared: Solo) -> None:
    answer = await shared.prompt(picture_graph(size=-5))
    assert answer.status_code == 400
    assert answer.json()["node_errors"]["1"]["errors"][0]["type"] == "value_smaller_than_min"


async def test_what_a_node_raises_is_told(shared: Solo) -> None:
    graph = {"5": {"inputs": {"text": "out of paint"}, "class_type": "TestRaise"}}
    answer = await shared.prompt(graph)
    assert answer.status_code == 500
    body = answer.json()
    assert "out of paint" in body["message"]
    assert (body["statusCode"], body["error"]) == (500, "Internal Server Error")
    assert (body["node_id"], body["class_type"], body["exception_type"]) == ("5", "TestRaise", "ValueError")


@pytest.mark.parametrize(
    "graph",
    [
        {},
        {"1": {"class_type": "EmptyImage", "inputs": {"width": 16, "height": 16, "batch_size": 1, "color": 0}}},
    ],
)
async def test_a_graph_without_any_output(shared: Solo, graph: Any) -> None:
    answer = await shared.prompt(graph)
    assert answer.status_code == 400
    assert answer.json() == {
        "error": 'Prompt must contain a node with a "filename_prefix" input, such as "SaveImage"',
        "location": "prompt",
    }


async def test_a_class_that_the_engine_does_not_have(shared: Solo) -> None:
    answer = await shared.prompt({"3": {"class_type": "Nope", "inputs": {}}})
    assert (answer.status_code, answer.json()["location"]) == (400, "prompt.3.class_type")


async def test_a_link_to_nowhere(shared: Solo) -> None:
    answer = await shared.prompt(saved({"class_type": "EmptyImage", "inputs": {"width": ["77", 0]}}))
    assert (answer.status_code, answer.json()["location"]) == (400, "prompt.1.inputs.width")


@pytest.mark.parametrize("fields", [{"webhook_v2": HOOK}, {"webhook": HOOK}, {"webhook": HOOK, "webhook_v2": HOOK}])
async def test_a_webhook_is_answered_202_with_the_request(shared: Solo, fields: dict[str, str]) -> None:
    key = "-".join(["202", *fields])
    answer = await shared.prompt(picture_graph(12), id=key, **fields)
    assert answer.status_code == 202
    body = answer.json()
    assert body == {
        "prompt": picture_graph(12, prefix=f"{key}_ComfyUI"),
        "id": key,
        **fields,
        "status": "ok",
    }
    assert (await is_now(shared, key, Status.SUCCESS)).status is Status.SUCCESS


async def test_secrets_are_in_no_answer(shared: Solo) -> None:
    auth = {"type": "header", "header_name": "x-key", "header_value": "hunter2"}
    wish = {"credentials": [{"url_pattern": "https://models.example.com/**", "auth": auth}]}
    synced = await shared.prompt(picture_graph(13), **wish)
    queued = await shared.prompt(picture_graph(14), webhook_v2=HOOK, **wish)
    for answer in (synced, queued):
        assert answer.status_code in (200, 202) and "hunter2" not in answer.text
        assert answer.json()["credentials"] == [{**wish["credentials"][0], "auth": {"type": "header"}}]


async def test_files_are_fetched_before_the_202_and_their_errors_are_400(shared: Solo) -> None:
    shared.prefetched.wrong = FetchFailed("The host answers with status 404.", place=Place("1", "image"))
    answer = await shared.prompt(load("https://example.com/a.png"), id="never", webhook_v2=HOOK)
    shared.prefetched.wrong = None
    assert (answer.status_code, answer.json()) == (
        400,
        {
            "error": "Failed to download image for node 1: The host answers with status 404.",
            "location": "prompt.1.inputs.image",
        },
    )
    assert shared.prefetched.graphs[-1].nodes["1"].inputs["image"] == "https://example.com/a.png"
    assert (await shared.client.get("/prompt/never")).status_code == 404


async def test_a_202_does_not_wait_longer_than_it_may(shared: Solo) -> None:
    shared.prefetched.gate.clear()
    shared.set(accept_seconds=0.05)
    answer = await shared.prompt(picture_graph(15), id="late", webhook_v2=HOOK)
    shared.set(accept_seconds=30.0)
    shared.prefetched.gate.set()
    assert answer.status_code == 202


async def test_the_same_request_again_is_the_same_run(shared: Solo) -> None:
    first = await shared.prompt(picture_graph(16), id="twice")
    again = await shared.prompt(picture_graph(16), id="twice")
    assert (first.status_code, again.status_code) == (200, 200)
    assert first.json()["images"] == again.json()["images"]
    assert first.json()["outputs"][0]["sha256"] == again.json()["outputs"][0]["sha256"]
    other = await shared.prompt(picture_graph(17), id="twice")
    assert other.status_code == 409
    assert other.json().keys() >= PARTS and other.json()["error"] == "Conflict"
    assert other.json()["message"].startswith("The id was used for another request.")


async def test_two_at_once_with_one_id_share_the_run(shared: Solo) -> None:
    graph = gate("joined")
    calls = [asyncio.create_task(shared.prompt(graph, id="joined")) for _ in range(2)]
    await is_now(shared, "joined", Status.RUNNING)
    gates["joined"].set()
    answers = await asyncio.gather(*calls)
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].json()["outputs"] == answers[1].json()["outputs"]


async def test_an_id_is_free_again_after_a_failure(shared: Solo) -> None:
    failed = await shared.prompt({"5": {"inputs": {"text": "no"}, "class_type": "TestRaise"}}, id="again")
    better = await shared.prompt(picture_graph(18), id="again")
    assert (failed.status_code, better.status_code) == (500, 200)


async def test_an_interrupted_run_says_so(shared: Solo) -> None:
    graph = gate("stopped")
    call = asyncio.create_task(shared.prompt(graph, id="stopped"))
    await is_now(shared, "stopped", Status.RUNNING)
    await shared.client.post("/interrupt", json={"id": "stopped"})
    answer = await call
    assert (answer.status_code, answer.json()["message"]) == (500, "Prompt execution interrupted")


@pytest.mark.parametrize("cancels", [False, True])
async def test_the_work_of_a_caller_who_leaves(shared: Solo, cancels: bool) -> None:
    key = f"left-{cancels}"
    shared.set(cancel_abandoned=cancels)
    call = asyncio.create_task(shared.prompt(gate(key), id=key))
    await is_now(shared, key, Status.RUNNING)
    call.cancel()
    await asyncio.wait([call])
    if not cancels:
        gates[key].set()
    ended = await is_now(shared, key, Status.SUCCESS, Status.CANCELLED)
    shared.set(cancel_abandoned=False)
    assert ended.status is (Status.CANCELLED if cancels else Status.SUCCESS)


async def test_a_longest_wait_is_told_with_where_to_ask(shared: Solo) -> None:
    shared.set(sync_seconds=0.05)
    answer = await shared.prompt(gate("slow"), id="slow")
    shared.set(sync_seconds=0.0)
    gates["slow"].set()
    assert answer.status_code == 504
    assert "It goes on" in answer.json()["message"]


async def test_pictures_by_address(tmp_path: Path) -> None:
    url = "https://example.com/in.png"
    async with solo(tmp_path / "a") as first:
        content = (await _picture(first)).content
    fetch = FolderFetch(tmp_path, {url: content})
    async with solo(tmp_path / "b", fetch=fetch) as second:
        body = (await second.prompt(load(url))).json()
        assert len(body["images"]) == 1
        assert body["prompt"]["1"]["inputs"]["image"] == url
        missing = await second.prompt(load("https://example.com/none.png"))
        assert missing.status_code == 400
        assert missing.json() == {
            "error": "Failed to download image for node 1: The host answers with status 404.",
            "location": "prompt.1.inputs.image",
        }


@pytest.mark.parametrize(
    ("content", "mime", "status", "body"),
    [
        (b"{", "application/json", 400, {"code": "FST_ERR_CTP_INVALID_JSON_BODY", "error": "Bad Request"}),
        (b"", "application/json", 400, {"error": "Bad Request"}),
        (b'{"prompt": NaN}', "application/json", 400, {"error": "Bad Request"}),
        (b"[" * 100_000, "application/json", 400, {"error": "Bad Request"}),
        (b"{}", "application/json", 400, {"code": "FST_ERR_VALIDATION", "message": "body/prompt Required"}),
        (b"{}", "text/plain", 400, {"message": "body Expected object, received string"}),
        (b"{}", "application/xml", 415,
         {"code": "FST_ERR_CTP_INVALID_MEDIA_TYPE", "error": "Unsupported Media Type",
          "message": "Unsupported Media Type"}),
        (b"x" * 1_000_001, "application/json", 413,
         {"code": "FST_ERR_CTP_BODY_TOO_LARGE", "error": "Payload Too Large", "message": "Request body is too large"}),
    ],
)  # fmt: skip
async def test_bodies_that_cannot_be_read(
    shared: Solo, content: bytes, mime: str, status: int, body: dict[str, Any]
) -> None:
    answer = await shared.client.post("/prompt", content=content, headers={"content-type": mime})
    assert answer.status_code == status
    assert answer.json().items() >= ({"statusCode": status} | body).items()


@pytest.mark.parametrize(("method", "path"), [("GET", "/nope"), ("GET", "/prompt"), ("DELETE", "/health")])
async def test_routes_that_do_not_exist(shared: Solo, method: str, path: str) -> None:
    answer = await shared.client.request(method, path)
    assert answer.status_code == 404
    assert answer.json() == {"message": f"Route {method}:{path} not found", "error": "Not Found", "statusCode": 404}


async def test_a_strict_server_refuses_unknown_keys(shared: Solo) -> None:
    shared.set(strict=True)
    answer = await shared.prompt(picture_graph(19), webhok=HOOK)
    shared.set(strict=False)
    assert (answer.status_code, answer.json()["message"]) == (400, "body/webhok Unknown key")


async def test_a_server_that_stops_says_that_the_work_goes_on(tmp_path: Path) -> None:
    async with solo(tmp_path) as stopping:
        call = asyncio.create_task(stopping.prompt(gate("stopping"), id="stopping"))
        await is_now(stopping, "stopping", Status.RUNNING)
        close_streams(stopping.app)
        answer = await call
        gates["stopping"].set()
        await is_now(stopping, "stopping", Status.SUCCESS)
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "5"
    assert "goes on when it has started again" in answer.json()["message"]


async def test_files_of_a_body_go_when_its_run_is_queued(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", SpoolLimits(rest=100_000))
    spool.open()
    text = base64.b64encode(os.urandom(90_000)).decode()
    async with solo(tmp_path) as made:
        context = made.app.state.context
        made.app.state.context = replace(context, options=replace(context.options, spool=spool))
        graph = gate("spooled")
        graph["1"]["_meta"] = {"title": text}
        call = asyncio.create_task(made.prompt(graph, id="spooled"))
        await is_now(made, "spooled", Status.RUNNING)
        while_it_runs = _files_in(tmp_path / "spool")
        gates["spooled"].set()
        assert (await call).status_code == 200
        large = await made.prompt({str(number): {"class_type": "x" * 50_000} for number in range(3)})
    assert while_it_runs == []
    assert (large.status_code, large.json()["code"]) == (413, "FST_ERR_CTP_BODY_TOO_LARGE")
    assert "base64 and data URIs not counted" in large.json()["message"]


def _files_in(folder: Path) -> list[str]:
    return [file.name for file in folder.iterdir()]


async def test_100_at_once(tmp_path: Path) -> None:
    async with solo(tmp_path) as busy:
        calls = [busy.prompt(picture_graph(number % 7), id=f"n{number}") for number in range(100)]
        answers = await asyncio.gather(*calls)
    assert [answer.status_code for answer in answers] == [200] * 100
    assert all(answer.json()["filenames"] == [f"n{at}_ComfyUI_00001_.png"] for at, answer in enumerate(answers))
