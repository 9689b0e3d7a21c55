"""The sweep ends what nobody else ends, and keeps memory and disk flat."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Connection, select, update

from comfyserve.core.errors import NotFound, StorageFailed
from comfyserve.core.runs import Fact, FactKind, Status
from comfyserve.db.tables import deliveries, keys
from comfyserve.ports import Claim, Clocks, StoredOutput
from comfyserve.services.leftovers import LATE, Leftovers
from comfyserve.services.sweep import Keeping, Sweep, Swept
from comfyserve.testing import MemoryBlobs
from tests.services.bundle import CLOCKS, LEASE, PNG, Bundle, hook, open_bundle, pieces


async def test_nothing_to_do(bundle: Bundle) -> None:
    await bundle.run()
    await bundle.claim()
    swept = await bundle.sweep.run_once()
    assert (swept.lost, swept.overdue, swept.removed_runs, swept.removed_events) == (0, 0, 0, 0)


async def test_a_run_that_waits_too_long_times_out(bundle: Bundle) -> None:
    run = await bundle.run()
    bundle.clock.step(CLOCKS.queue + 1)
    fresh = await bundle.run()
    assert (await bundle.sweep.run_once()).overdue == 1
    shown = await bundle.runs.get(bundle.caller, run.id)
    assert shown.status is Status.TIMEOUT
    assert shown.error is not None
    assert shown.error["code"] == "queue_timeout"
    assert (await bundle.runs.get(bundle.caller, fresh.id)).status is Status.QUEUED


@pytest.mark.parametrize(
    "facts",
    [
        [],
        [Fact(FactKind.STARTED)],
        [Fact(FactKind.STARTED), Fact(FactKind.EXECUTED)],
    ],
    ids=["a model arrives", "running", "outputs wait for a bucket"],
)
async def test_a_run_that_a_living_worker_holds_is_the_worker_s_however_long(
    bundle: Bundle, facts: Sequence[Fact]
) -> None:
    run = await bundle.run()
    claim = await bundle.claim()
    if facts:
        await bundle.record.apply(run.id, claim.lease.token, facts)
    bundle.clock.step(20 * (CLOCKS.queue + CLOCKS.start + CLOCKS.run))
    await bundle.record.renew([claim.lease])
    assert await bundle.sweep.run_once() == Swept()
    bundle.clock.step(LEASE + 1)
    swept = await bundle.sweep.run_once()
    assert (swept.lost, swept.overdue) == (1, 0)


async def test_the_queue_clock_begins_anew_with_a_loss(bundle: Bundle) -> None:
    run = await bundle.run()
    claim = await bundle.claim()
    bundle.clock.step(CLOCKS.queue)
    await bundle.record.apply(run.id, claim.lease.token, [Fact(FactKind.LOST, {"reason": "It was killed."})])
    bundle.clock.step(CLOCKS.queue)
    assert (await bundle.sweep.run_once()).overdue == 0
    bundle.clock.step(1)
    assert (await bundle.sweep.run_once()).overdue == 1
    shown = await bundle.runs.get(bundle.caller, run.id)
    assert (shown.status, (shown.error or {})["code"]) == (Status.TIMEOUT, "queue_timeout")


async def test_clocks_can_be_off(tmp_path: Path) -> None:
    bundle = await open_bundle(tmp_path, clocks=Clocks(0, 0, 0, 0))
    await bundle.run()
    bundle.clock.step(10**7)
    assert (await bundle.sweep.run_once()).overdue == 0
    await bundle.db.close()


async def test_old_runs_go_with_their_files(tmp_path: Path) -> None:
    bundle = await open_bundle(tmp_path, keeping=Keeping(runs=2, detail_days=0))
    upload = await bundle.files.upload(bundle.caller, "logo.png", None, pieces(PNG))
    made = []
    for index in range(4):
        run = await bundle.run()
        key = f"runs/{index}/0.png"
        await bundle.blobs.put(key, pieces(PNG))
        output = StoredOutput("9", "SaveImage", "images", 0, filename="a.png", blob_key=key, mime="image/png", size=1)
        await bundle.finish(await bundle.claim(), [output])
        made.append(run.id)
    waiting = await bundle.run()
    assert (await bundle.sweep.run_once()).removed_runs == 3
    left = [run.id for run in (await bundle.runs.list(bundle.caller)).items]
    assert left == [waiting.id, made[3]]
    assets = [asset.blob_key for asset in (await bundle.files.list(bundle.caller)).items]
    assert sorted(assets) == sorted([upload.blob_key, "runs/3/0.png"])
    assert [await _there(bundle, f"runs/{index}/0.png") for index in range(4)] == [False, False, False, True]
    await bundle.db.close()


async def test_files_that_a_run_stored_and_did_not_record_go(bundle: Bundle) -> None:
    output = StoredOutput("9", "SaveImage", "images", 0, filename="a.png", mime="image/png", size=1)
    keys = []

    async def store(claim: Claim) -> str:
        key = f"runs/{claim.run.id}/{claim.attempt_id}/0.png"
        await bundle.blobs.put(key, pieces(PNG))
        keys.append(key)
        return key

    for _ in range(2):
        await bundle.run()
    lost = await bundle.claim()
    await store(lost)
    await bundle.record.apply(lost.run.id, lost.lease.token, [Fact(FactKind.LOST, {"at_once": True})])
    again = await bundle.claim()
    await bundle.finish(again, [replace(output, blob_key=await store(again))])
    failed = await bundle.claim()
    await store(failed)
    await bundle.record.apply(failed.run.id, failed.lease.token, [Fact(FactKind.FAILED)])
    assert (await bundle.sweep.run_once()).cleared_runs == 0
    bundle.clock.step(LATE.total_seconds() + 3600)
    assert (await bundle.sweep.run_once()).cleared_runs == 2
    assert [await _there(bundle, key) for key in keys] == [False, True, False]
    bundle.clock.step(LATE.total_seconds() + 3600)
    assert (await bundle.sweep.run_once()).cleared_runs == 0


async def test_an_old_run_goes_with_what_it_did_not_record(tmp_path: Path) -> None:
    bundle = await open_bundle(tmp_path, keeping=Keeping(runs=1, detail_days=0))
    run = await bundle.run()
    await bundle.blobs.put(f"runs/{run.id}/lost/0.png", pieces(PNG))
    await bundle.finish(await bundle.claim())
    await bundle.run()
    assert (await bundle.sweep.run_once()).removed_runs == 1
    assert bundle.blobs.files == {}
    await bundle.db.close()


async def test_a_run_that_has_not_ended_is_never_removed(tmp_path: Path) -> None:
    bundle = await open_bundle(tmp_path, keeping=Keeping(runs=1, detail_days=0))
    old = await bundle.run()
    for _ in range(3):
        run = await bundle.run()
        await bundle.cancel.cancel(bundle.caller, run.id)
    assert (await bundle.sweep.run_once()).removed_runs == 2
    assert old.id in [run.id for run in (await bundle.runs.list(bundle.caller)).items]
    await bundle.db.close()


async def test_a_run_that_owes_a_webhook_is_kept_until_it_is_settled(tmp_path: Path) -> None:
    bundle = await open_bundle(tmp_path, keeping=Keeping(runs=1, detail_days=0))
    await bundle.run(webhooks=hook("http://receiver/hook"))
    await bundle.finish(await bundle.claim())
    await bundle.run()
    assert (await bundle.sweep.run_once()).removed_runs == 0
    await bundle.db.write(lambda connection: connection.execute(update(deliveries).values(state="given_up")))
    assert (await bundle.sweep.run_once()).removed_runs == 1
    await bundle.db.close()


async def test_tokens_that_have_ended_are_forgotten(bundle: Bundle) -> None:
    def kinds(connection: Connection) -> list[str]:
        return sorted(connection.execute(select(keys.c.kind)).scalars())

    await bundle.keys.issue_sign_in()
    await bundle.keys.redeem(await bundle.keys.issue_sign_in())
    await bundle.sweep.run_once()
    assert await bundle.db.read(kinds) == ["api", "session", "sign_in", "sign_in"]
    bundle.clock.step(3601)
    await bundle.sweep.run_once()
    assert await bundle.db.read(kinds) == ["api", "session"]
    bundle.clock.step(86_401)
    await bundle.sweep.run_once()
    assert await bundle.db.read(kinds) == ["api"]


async def test_details_of_old_runs_go_first(tmp_path: Path) -> None:
    bundle = await open_bundle(tmp_path, keeping=Keeping(runs=0, detail_days=1))
    run = await bundle.run()
    claim = await bundle.claim()
    await bundle.record.apply(run.id, claim.lease.token, [Fact(FactKind.STARTED), Fact(FactKind.NODE_STARTED)])
    assert (await bundle.sweep.run_once()).removed_events == 0
    bundle.clock.step(86_401)
    await bundle.record.apply(run.id, claim.lease.token, [Fact(FactKind.EXECUTED), Fact(FactKind.SUCCEEDED)])
    assert (await bundle.sweep.run_once()).removed_events == 1
    kinds = [event.kind for event in (await bundle.watch.events(bundle.caller, run.id)).items]
    assert kinds == ["submitted", "claimed", "started", "executed", "succeeded"]
    await bundle.db.close()


class SilentBlobs(MemoryBlobs):
    """A storage that does not answer while it is `down`."""

    down = True

    async def delete_below(self, folder: str, *, keep: Collection[str] = ()) -> None:
        """Fail, or remove."""
        if self.down:
            raise StorageFailed("The bucket does not answer.")
        await super().delete_below(folder, keep=keep)


async def test_a_storage_that_does_not_answer_holds_up_its_own_files_only(bundle: Bundle) -> None:
    blobs = SilentBlobs()
    sweep = Sweep(
        bundle.db, bundle.record, blobs, clock=bundle.clock, clocks=CLOCKS, keeping=Keeping(runs=1, detail_days=1)
    )
    for _ in range(4):
        claim = (await bundle.run(), await bundle.claim())[1]
        await bundle.record.apply(
            claim.run.id, claim.lease.token, [Fact(FactKind.STARTED), Fact(FactKind.NODE_STARTED)]
        )
        await bundle.record.apply(claim.run.id, claim.lease.token, [Fact(FactKind.EXECUTED), Fact(FactKind.FAILED)])
    bundle.clock.step(86_401)
    with pytest.raises(StorageFailed):
        await Leftovers(bundle.db, blobs, bundle.clock).remove([claim.run.id, "another"])
    assert await sweep.run_once() == Swept(removed_events=4)
    blobs.down = False
    swept = await sweep.run_once()
    assert swept.removed_runs == 3 and swept.cleared_runs > 0


async def _there(bundle: Bundle, key: str) -> bool:
    try:
        await bundle.blobs.size(key)
    except NotFound:
        return False
    return True


async def test_the_oldest_finished_runs_go_when_their_files_hold_too_much(tmp_path: Path) -> None:
    bundle = await open_bundle(tmp_path, keeping=Keeping(runs=0, detail_days=0, bytes=2 * len(PNG)))
    runs = [await _succeed(bundle) for _ in range(4)]
    assert (await bundle.sweep.run_once()).removed_runs == 2
    for gone in runs[:2]:
        with pytest.raises(NotFound):
            await bundle.runs.get(bundle.caller, gone)
    for kept in runs[2:]:
        assert (await bundle.runs.get(bundle.caller, kept)).status is Status.SUCCESS
    await _succeed(bundle)
    assert (await bundle.sweep.run_once()).removed_runs == 0, "it looks now and then only"
    bundle.clock.step(60)
    assert (await bundle.sweep.run_once()).removed_runs == 1
    await bundle.db.close()


async def _succeed(bundle: Bundle) -> str:
    """A run with one file, from its submit to its end."""
    run = await bundle.run()
    key, size = f"runs/{run.id}/0.png", len(PNG)
    await bundle.blobs.put(key, pieces(PNG))
    output = StoredOutput("9", "SaveImage", "images", 0, filename="a.png", blob_key=key, mime="image/png", size=size)
    await bundle.finish(await bundle.claim(), [output])
    return run.id
