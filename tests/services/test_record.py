"""What the ledger tells about a run: events, outputs, deliveries, and how runs come back from dead workers."""

import asyncio
from datetime import timedelta

import pytest

from comfyserve.core.errors import NotFound
from comfyserve.core.runs import Fact, FactKind, Status
from comfyserve.ports import StoredOutput
from comfyserve.services.topics import run_topic
from tests.services.bundle import LEASE, Bundle, hook, owed

PICTURE = StoredOutput(
    "9", "SaveImage", "images", 0, filename="a b.png", blob_key="runs/1/0.png", mime="image/png", size=7, sha256="ab"
)
TEXT = StoredOutput("8", "ShowText", "text", 0, value="hello")


async def kinds(bundle: Bundle, run_id: str) -> list[tuple[str, str]]:
    """The events of a run: kind and status after it."""
    page = await bundle.watch.events(bundle.caller, run_id)
    assert [event.seq for event in page.items] == list(range(1, len(page.items) + 1))
    return [(event.kind, event.status.value) for event in page.items]


async def test_a_run_that_succeeds(bundle: Bundle) -> None:
    run = await bundle.run()
    claim = await bundle.claim()
    bundle.clock.step(2)
    node = Fact(FactKind.NODE_STARTED, {"node_id": "2"})
    await bundle.record.apply(run.id, claim.lease.token, [Fact(FactKind.STARTED), node])
    bundle.clock.step(3)
    ending = [Fact(FactKind.EXECUTED, {"simulated": True}), Fact(FactKind.SUCCEEDED)]
    await bundle.record.apply(run.id, claim.lease.token, ending, [PICTURE, TEXT])
    assert await kinds(bundle, run.id) == [
        ("submitted", "queued"),
        ("claimed", "starting"),
        ("started", "running"),
        ("node_started", "running"),
        ("executed", "collecting"),
        ("output", "collecting"),
        ("output", "collecting"),
        ("succeeded", "success"),
    ]
    shown = await bundle.runs.get(bundle.caller, run.id)
    assert (shown.status, shown.attempts, shown.simulated, shown.error) == (Status.SUCCESS, 1, True, None)
    assert (shown.queued_seconds, shown.running_seconds, shown.total_seconds) == (0, 3, 5)
    assert shown.last_event == 8


async def test_what_is_recorded_for_a_caller_who_left_is_heard_of_all_the_same(bundle: Bundle) -> None:
    run = await bundle.run()
    claim = await bundle.claim()
    seen = bundle.bell.now(run_topic(run.id))
    recording = asyncio.create_task(bundle.record.apply(run.id, claim.lease.token, [Fact(FactKind.STARTED)]))
    await asyncio.sleep(0)
    recording.cancel()
    assert await bundle.bell.wait(run_topic(run.id), 30, since=seen) != seen
    assert (await bundle.runs.get(bundle.caller, run.id)).status is Status.RUNNING


async def test_outputs_are_files_and_values(bundle: Bundle) -> None:
    run = await bundle.run()
    await bundle.finish(await bundle.claim(), [PICTURE, TEXT])
    picture, text = (await bundle.runs.get(bundle.caller, run.id)).outputs
    assert (picture.kind, picture.filename, picture.size, picture.value) == ("image", "a b.png", 7, None)
    assert picture.asset_id is not None
    assert picture.asset_id.startswith("img_")
    assert picture.url is not None
    assert f"/files/{picture.asset_id}/a%20b.png?expires=" in picture.url
    assert (text.kind, text.value, text.asset_id, text.url) == ("text", "hello", None, None)
    asset = await bundle.files.get(bundle.caller, picture.asset_id)
    assert (asset.run_id, asset.blob_key) == (run.id, "runs/1/0.png")
    events = (await bundle.watch.events(bundle.caller, run.id)).items
    told = [event.data for event in events if event.kind == "output"]
    assert told[0]["url"] == picture.url
    assert told[1]["value"] == "hello"


async def test_odd_words_of_an_engine_do_not_stop_a_run(bundle: Bundle) -> None:
    run = await bundle.run()
    claim = await bundle.claim()
    odd = StoredOutput("8", "Show\ud800", "t", 0, value="half \ud800")
    number = StoredOutput("8", "Show", "t", 1, value=float("nan"))
    error = {"code": "engine_error", "message": "m", "details": {"inputs": [float("inf"), "\ud800"]}}
    await bundle.record.apply(run.id, claim.lease.token, [Fact(FactKind.FAILED, {"error": error})], [odd, number])
    shown = await bundle.runs.get(bundle.caller, run.id)
    assert [output.value for output in shown.outputs] == ["half ?", "nan"]
    assert shown.error is not None
    assert shown.error["details"]["inputs"][0] == "inf"


@pytest.mark.parametrize(
    ("filename", "mime", "kind"),
    [
        ("a.mp4", "video/mp4", "video"),
        ("a.wav", "audio/wav", "audio"),
        ("a.txt", "text/plain", "text"),
        ("a.glb", "application/octet-stream", "3d"),
        ("a.glb", "model/gltf-binary", "3d"),
        ("a.latent", "application/octet-stream", "file"),
    ],
)
async def test_kinds_of_files(bundle: Bundle, filename: str, mime: str, kind: str) -> None:
    run = await bundle.run()
    output = StoredOutput("9", "X", "files", 0, filename=filename, blob_key="k", mime=mime, size=1, sha256="a")
    await bundle.finish(await bundle.claim(), [output])
    assert (await bundle.runs.get(bundle.caller, run.id)).outputs[0].kind == kind


async def test_a_lost_attempt_leaves_its_outputs_behind(bundle: Bundle) -> None:
    run = await bundle.run()
    first = await bundle.claim()
    lost = Fact(FactKind.LOST, {"reason": "The engine died."})
    await bundle.record.apply(run.id, first.lease.token, [Fact(FactKind.STARTED), lost], [PICTURE])
    await bundle.finish(await bundle.claim(), [TEXT])
    shown = await bundle.runs.get(bundle.caller, run.id)
    assert [output.kind for output in shown.outputs] == ["text"]
    assert shown.attempts == 2
    events = (await bundle.watch.events(bundle.caller, run.id)).items
    assert {"reason": "The engine died.", "attempt": 1} in [event.data for event in events if event.kind == "lost"]


async def test_the_last_loss_is_followed_by_the_failure(bundle: Bundle) -> None:
    run = await bundle.run()
    lost = Fact(FactKind.LOST, {"reason": "The engine died."})
    for _ in range(3):
        claim = await bundle.claim()
        await bundle.record.apply(run.id, claim.lease.token, [Fact(FactKind.STARTED), lost])
        bundle.clock.step(120)
    told = await kinds(bundle, run.id)
    assert told[-2:] == [("lost", "queued"), ("failed", "failed")]
    shown = await bundle.runs.get(bundle.caller, run.id)
    assert (shown.status, shown.attempts) == (Status.FAILED, 3)
    assert shown.error is not None
    assert shown.error["code"] == "engine_lost"


async def test_a_restart_takes_back_what_dead_workers_held(bundle: Bundle) -> None:
    runs = [await bundle.run() for _ in range(3)]
    await bundle.claim("dead/1")
    await bundle.claim("dead/2")
    released = await bundle.record.release_workers(bundle.machine_id, "", reason="The server was restarted.")
    assert released == 2
    shown = [await bundle.runs.get(bundle.caller, run.id) for run in runs]
    assert [run.status for run in shown] == [Status.QUEUED] * 3
    assert await bundle.record.release_workers(bundle.machine_id, "", reason="again") == 0


async def test_a_renewed_lease_outlives_its_first_end(bundle: Bundle) -> None:
    run = await bundle.run()
    claim = await bundle.claim()
    bundle.clock.step(LEASE - 1)
    await bundle.record.renew([claim.lease])
    bundle.clock.step(2)
    assert (await bundle.sweep.run_once()).lost == 0
    bundle.clock.step(LEASE)
    assert (await bundle.sweep.run_once()).lost == 1
    assert (await bundle.runs.get(bundle.caller, run.id)).status is Status.QUEUED


async def test_the_end_of_a_run_is_owed_to_its_webhook(bundle: Bundle) -> None:
    quiet = await bundle.run()
    told = await bundle.run(webhooks=hook("https://example.com/hook"))
    chatty = await bundle.run(webhooks=hook("https://example.com/hook", "changes"))
    for _ in range(3):
        await bundle.finish(await bundle.claim())
    assert await owed(bundle, quiet.id) == []
    assert await owed(bundle, told.id) == [("run.updated", "success")]
    assert [status for _, status in await owed(bundle, chatty.id)] == [
        "queued",
        "starting",
        "running",
        "collecting",
        "success",
    ]


async def test_a_cancelled_run_is_owed_too(bundle: Bundle) -> None:
    run = await bundle.run(webhooks=hook("https://example.com/hook"))
    await bundle.cancel.cancel(bundle.caller, run.id)
    assert await owed(bundle, run.id) == [("run.updated", "cancelled")]


async def test_cancel(bundle: Bundle) -> None:
    waiting, held, done = [await bundle.run() for _ in range(3)]
    seen = bundle.bell.now("stop")
    assert (await bundle.cancel.cancel(bundle.caller, waiting.id)).status is Status.CANCELLED
    assert bundle.bell.now("stop") != seen
    claim = await bundle.claim()
    assert claim.run.id == held.id
    for _ in range(2):
        asked = await bundle.cancel.cancel(bundle.caller, held.id)
        assert asked.status is Status.STARTING
    assert asked.cancel_requested_at is not None
    assert [kind for kind, _ in await kinds(bundle, held.id)].count("cancel_requested") == 1
    await bundle.finish(await bundle.claim())
    assert (await bundle.cancel.cancel(bundle.caller, done.id)).status is Status.SUCCESS
    with pytest.raises(NotFound):
        await bundle.cancel.cancel(await bundle.foreigner(), held.id)


async def test_a_cancelled_run_of_a_dead_worker_ends(bundle: Bundle) -> None:
    run = await bundle.run()
    await bundle.claim()
    await bundle.cancel.cancel(bundle.caller, run.id)
    bundle.clock.step(LEASE + 1)
    await bundle.sweep.run_once()
    assert (await bundle.runs.get(bundle.caller, run.id)).status is Status.CANCELLED
    assert (await kinds(bundle, run.id))[-1] == ("cancelled", "cancelled")


async def test_rings_say_what_changed(bundle: Bundle) -> None:
    machine = f"machine:{bundle.machine_id}"
    seen = bundle.bell.now(machine)
    run = await bundle.run()
    assert bundle.bell.now(machine) != seen
    topic = f"run:{run.id}"
    seen = bundle.bell.now(topic)
    claim = await bundle.claim()
    assert bundle.bell.now(topic) != seen
    seen = bundle.bell.now(machine)
    await bundle.record.apply(run.id, claim.lease.token, [Fact(FactKind.LOST, {"reason": "x"})])
    assert bundle.bell.now(machine) != seen


async def test_facts_that_share_a_write_keep_their_times(bundle: Bundle) -> None:
    run = await bundle.run()
    claim = await bundle.claim()
    claimed = bundle.clock()
    now = bundle.clock.step(10)
    facts = [Fact(FactKind.STARTED, age=99.0), Fact(FactKind.EXECUTED, age=2.5), Fact(FactKind.SUCCEEDED)]
    await bundle.record.apply(run.id, claim.lease.token, facts)
    events = (await bundle.watch.events(bundle.caller, run.id)).items
    assert [event.at for event in events[-3:]] == [claimed, now - timedelta(seconds=2.5), now]
    assert (await bundle.runs.get(bundle.caller, run.id)).started_at == claimed
