"""What a caller entrusts to a run: it reaches the worker, lies sealed until the end, and is shown to nobody."""

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from comfyserve.core.conversion import Conversion
from comfyserve.core.credentials import (
    Auth,
    AzureAuth,
    BasicAuth,
    BearerAuth,
    Credential,
    GcsAuth,
    HeaderAuth,
    QueryAuth,
    S3Auth,
)
from comfyserve.core.errors import Conflict, TargetFailed, TooLarge
from comfyserve.core.options import RunOptions
from comfyserve.core.runs import Fact, FactKind, Status
from comfyserve.core.targets import AzureTarget, GcsTarget, HfTarget, HttpTarget, S3Target, TargetWish
from comfyserve.db.tables import runs
from comfyserve.ports import StoredOutput
from tests.services.bundle import Bundle, compose, open_bundle, pieces

WORD = "open-sesame"
"""Stands in every secret of these tests."""

GOOGLE_KEY = f'{{"client_email": "a@b", "private_key_id": "1", "private_key": "{WORD}"}}'
AUTHS: Sequence[Auth] = (
    BearerAuth(WORD),
    BasicAuth("me", WORD),
    HeaderAuth("X-Key", WORD),
    QueryAuth("sig", WORD),
    S3Auth("AKIA", WORD, session_token=WORD, endpoint="http://store:9000", region="eu"),
    AzureAuth("account", account_key=WORD),
    AzureAuth("account", sas_token=WORD, endpoint="http://azure"),
    GcsAuth(GOOGLE_KEY),
)
TARGETS: Sequence[TargetWish] = (
    S3Target("bucket", "a/", S3Auth("AKIA", WORD)),
    S3Target("bucket"),
    AzureTarget("box", "a/", AzureAuth("account", sas_token=WORD)),
    GcsTarget("bucket", auth=GcsAuth(GOOGLE_KEY)),
    HfTarget("me/pictures", "dataset", "v2", "/out", BearerAuth(WORD)),
    HttpTarget(f"https://me:{WORD}@host:8443/in/?sig={WORD}#{WORD}", HeaderAuth("X-Key", WORD)),
)
CREDENTIALS = tuple(Credential(f"https://host{number}/**", auth) for number, auth in enumerate(AUTHS))
PLAIN = Conversion("webp", {"quality": 70, "lossless": True, "preset": "photo"})
ALL = RunOptions(CREDENTIALS, PLAIN, TARGETS[0])


async def row_of(bundle: Bundle, run_id: str) -> Any:
    """The run's row."""
    return await bundle.db.read(lambda connection: connection.execute(select(runs).where(runs.c.id == run_id)).one())


@pytest.mark.parametrize("target", [None, *TARGETS], ids=lambda target: type(target).__name__)
async def test_options_reach_the_worker_as_they_were_given(bundle: Bundle, target: TargetWish | None) -> None:
    options = RunOptions(CREDENTIALS, PLAIN, target)
    await bundle.run(options=options)
    assert (await bundle.claim()).options == options


async def test_a_run_without_options_seals_nothing(bundle: Bundle) -> None:
    run = await bundle.run()
    row = await row_of(bundle, run.id)
    assert (row.options, row.sealed_options) == (None, None)
    assert (await bundle.claim()).options == RunOptions()


async def test_a_conversion_alone_is_no_secret(bundle: Bundle) -> None:
    run = await bundle.run(options=RunOptions(convert=PLAIN))
    assert run.convert_output == {"format": "webp", "options": dict(PLAIN.options)}
    assert (await row_of(bundle, run.id)).sealed_options is None
    assert (await bundle.claim()).options == RunOptions(convert=PLAIN)


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: type(target).__name__)
async def test_a_target_is_shown_without_what_opens_it(bundle: Bundle, target: TargetWish) -> None:
    run = await bundle.run(options=RunOptions(target=target))
    shown = (await bundle.runs.get(bundle.caller, run.id)).target
    assert shown is not None
    assert "auth" not in shown and WORD not in str(shown)
    if isinstance(target, HttpTarget):
        assert shown == {"type": "http", "url_prefix": "https://host:8443/in/"}


async def test_the_database_file_holds_no_secret_and_after_the_end_not_even_a_sealed_one(tmp_path: Path) -> None:
    bundle = await open_bundle(tmp_path)
    run = await bundle.run(options=ALL, idempotency_key="once")
    sealed = (await row_of(bundle, run.id)).sealed_options
    claim = await bundle.claim()
    assert WORD not in repr(claim) and "AKIA" in repr(claim)
    assert _files_with(tmp_path, sealed.encode()[:60]) != []
    await bundle.finish(claim)
    assert (await row_of(bundle, run.id)).sealed_options is None
    events = (await bundle.watch.events(bundle.caller, run.id)).items
    assert WORD not in str(events) + str(await bundle.runs.get(bundle.caller, run.id))
    assert _files_with(tmp_path, WORD.encode()) == []
    await bundle.db.close()
    assert _files_with(tmp_path, WORD.encode()) == []
    with sqlite3.connect(tmp_path / "comfyserve.db") as database:
        dump = "\n".join(database.iterdump())
    assert run.id in dump
    assert WORD not in dump and sealed not in dump


def _files_with(folder: Path, word: bytes) -> list[str]:
    return [path.name for path in folder.iterdir() if path.is_file() and word in path.read_bytes()]


@pytest.mark.parametrize("kind", [FactKind.FAILED, FactKind.CANCELLED, FactKind.TIMED_OUT])
async def test_each_ending_takes_the_sealed_away(bundle: Bundle, kind: FactKind) -> None:
    run = await bundle.run(options=ALL)
    claim = await bundle.claim()
    await bundle.record.apply(run.id, claim.lease.token, [Fact(kind)])
    assert (await row_of(bundle, run.id)).sealed_options is None


async def test_a_cancelled_run_in_the_queue_lets_them_go_and_a_lost_one_keeps_them(bundle: Bundle) -> None:
    lost, queued = await bundle.run(options=ALL), await bundle.run(options=ALL)
    claim = await bundle.claim()
    await bundle.record.apply(lost.id, claim.lease.token, [Fact(FactKind.LOST, {"at_once": True})])
    await bundle.cancel.cancel(bundle.caller, queued.id)
    assert (await row_of(bundle, queued.id)).sealed_options is None
    again = await bundle.claim()
    assert (again.run.id, again.options) == (lost.id, ALL)


async def test_a_run_of_another_secret_key_fails_and_does_not_stand_in_the_way(tmp_path: Path) -> None:
    before = await open_bundle(tmp_path, secret=b"the key of yesterday")
    sealed = await before.run(options=ALL)
    plain = await before.run()
    after = await compose(before.db, before.clock, secret=b"the key of today")
    claim = await after.claim()
    assert claim.run.id == plain.id
    run = await after.runs.get(after.caller, sealed.id)
    assert run.status is Status.FAILED
    assert run.error is not None
    assert run.error["code"] == "seal_broken" and "Submit the run again" in run.error["message"]
    assert await after.record.claim(after.machine_id, "host/1") is None
    await before.db.close()


async def test_an_idempotency_key_covers_the_options(bundle: Bundle) -> None:
    first = await bundle.run(options=ALL, idempotency_key="k")
    again = await bundle.run(options=ALL, idempotency_key="k")
    assert (again.id, again.replayed) == (first.id, True)
    others = (
        RunOptions(),
        RunOptions(ALL.credentials[1:], ALL.convert, ALL.target),
        RunOptions(ALL.credentials, Conversion("webp"), ALL.target),
        RunOptions(ALL.credentials, ALL.convert, TARGETS[1]),
        RunOptions((Credential("https://host0/**", BearerAuth("another")), *CREDENTIALS[1:]), PLAIN, TARGETS[0]),
    )
    for other in others:
        with pytest.raises(Conflict):
            await bundle.run(options=other, idempotency_key="k")


async def test_the_digest_of_secrets_cannot_be_guessed_without_the_key(tmp_path: Path) -> None:
    """Else whoever reads the database could try passwords until the digest fits."""
    digests = []
    for secret in (b"one", b"another"):
        (folder := tmp_path / secret.decode()).mkdir()
        bundle = await open_bundle(folder, secret=secret)
        run = await bundle.run(options=ALL, idempotency_key="k")
        digests.append((await row_of(bundle, run.id)).request_hash)
        await bundle.db.close()
    assert digests[0] != digests[1]


async def test_endless_credentials_are_refused(bundle: Bundle) -> None:
    many = tuple(Credential("x" * 8_000, BearerAuth("y" * 4_000)) for _ in range(100))
    with pytest.raises(TooLarge) as refused:
        await bundle.run(options=RunOptions(many))
    assert refused.value.place.field == "credentials"


PICTURE = StoredOutput("9", "SaveImage", "images", 0, "a.webp", "sub", mime="image/webp", size=7, sha256="ab")


async def test_outputs_of_a_target_have_its_address_and_no_asset(bundle: Bundle) -> None:
    run = await bundle.run(options=RunOptions(target=TARGETS[0]))
    there = StoredOutput(**vars(PICTURE) | {"url": "s3://bucket/a/a.webp"})
    both = StoredOutput(**vars(PICTURE) | {"index": 1, "url": "s3://bucket/a/b.webp", "blob_key": "runs/1/b"})
    await bundle.finish(await bundle.claim(), [there, both])
    first, second = (await bundle.runs.get(bundle.caller, run.id)).outputs
    assert (first.url, first.asset_id, first.kind, first.size) == ("s3://bucket/a/a.webp", None, "image", 7)
    assert (first.mime, first.subfolder, first.sha256, first.value) == ("image/webp", "sub", "ab", None)
    assert second.asset_id is not None and second.url is not None
    assert second.url.startswith(f"http://127.0.0.1:3011/files/{second.asset_id}/")
    assert [first.target_url, second.target_url] == ["s3://bucket/a/a.webp", "s3://bucket/a/b.webp"]
    events = (await bundle.watch.events(bundle.caller, run.id)).items
    told = [event.data for event in events if event.kind == "output"]
    assert [one["url"] for one in told] == [first.url, second.url]
    assert [one["target_url"] for one in told] == [first.target_url, second.target_url]
    assert "asset_id" not in told[0] and told[1]["asset_id"] == second.asset_id
    [listed] = (await bundle.runs.list(bundle.caller)).items
    assert [output.url for output in listed.outputs] == ["s3://bucket/a/a.webp"]


async def test_a_target_that_fails_keeps_the_outputs_with_us(bundle: Bundle) -> None:
    run = await bundle.run(options=RunOptions(target=TARGETS[0]))
    claim = await bundle.claim()
    blob = await bundle.blobs.put("runs/1/a", pieces(b"picture"))
    kept = StoredOutput(**vars(PICTURE) | {"blob_key": blob.key})
    failed = Fact(FactKind.FAILED, {"error": TargetFailed("The bucket refuses the key.").as_dict()})
    await bundle.record.apply(
        run.id, claim.lease.token, [Fact(FactKind.STARTED), Fact(FactKind.EXECUTED), failed], [kept]
    )
    shown = await bundle.runs.get(bundle.caller, run.id)
    assert shown.status is Status.FAILED
    assert shown.error is not None
    assert (shown.error["code"], shown.error["place"]) == ("target_failed", {"field": "target"})
    [output] = shown.outputs
    assert output.url is not None
    assert "/files/" in output.url and output.asset_id is not None
