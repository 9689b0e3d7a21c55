"""Keys: made once, stored hashed, ended for good."""

from datetime import timedelta

import pytest
from sqlalchemy import select, text

from comfyserve.core.errors import InvalidInput, NotFound, Unauthorized
from comfyserve.db.tables import keys
from comfyserve.services.keys import CACHE_TIME
from tests.services.bundle import Bundle

PAST_CACHE = CACHE_TIME.total_seconds() + 1


async def test_a_key_is_shown_once_and_stored_hashed(bundle: Bundle) -> None:
    made = await bundle.keys.create(bundle.caller, " ci ")
    assert made.secret.startswith("cs_")
    assert len(made.secret) == 46
    assert made.key.name == "ci"
    assert made.secret.startswith(made.key.prefix)
    assert len(made.key.prefix) < 12
    stored = await bundle.db.read(lambda connection: str(connection.execute(select(keys)).all()))
    assert made.secret not in stored
    caller = await bundle.keys.authenticate(made.secret)
    assert (caller.workspace_id, caller.key_id, caller.kind) == (bundle.caller.workspace_id, made.key.id, "api")


@pytest.mark.parametrize("token", ["", "cs_unknown", "\ud800", "x" * 5000])
async def test_what_is_no_key(bundle: Bundle, token: str) -> None:
    with pytest.raises(Unauthorized):
        await bundle.keys.authenticate(token)


async def test_a_revoked_key_is_refused_at_once(bundle: Bundle) -> None:
    made = await bundle.keys.create(bundle.caller, "ci")
    await bundle.keys.authenticate(made.secret)
    await bundle.keys.revoke(bundle.caller, made.key.id)
    with pytest.raises(Unauthorized):
        await bundle.keys.authenticate(made.secret)
    with pytest.raises(NotFound):
        await bundle.keys.revoke(bundle.caller, made.key.id)
    listed = await bundle.keys.list(bundle.caller)
    assert made.key.id not in [key.id for key in listed.items]


async def test_a_key_ends_with_its_time(bundle: Bundle) -> None:
    made = await bundle.keys.create(bundle.caller, "ci", timedelta(seconds=2))
    await bundle.keys.authenticate(made.secret)
    bundle.clock.step(2)
    with pytest.raises(Unauthorized):
        await bundle.keys.authenticate(made.secret)


@pytest.mark.parametrize("life", [timedelta(0), timedelta(days=-1), timedelta(days=4000)])
async def test_absurd_lives_are_refused(bundle: Bundle, life: timedelta) -> None:
    with pytest.raises(InvalidInput):
        await bundle.keys.create(bundle.caller, "ci", life)


async def test_the_last_use_is_written_once_a_minute(bundle: Bundle) -> None:
    made = await bundle.keys.create(bundle.caller, "ci")

    async def last_used() -> object:
        listed = await bundle.keys.list(bundle.caller)
        return next(key.last_used_at for key in listed.items if key.id == made.key.id)

    assert await last_used() is None
    await bundle.keys.authenticate(made.secret)
    first = await last_used()
    assert first == bundle.clock()
    bundle.clock.step(PAST_CACHE)
    await bundle.keys.authenticate(made.secret)
    assert await last_used() == first
    bundle.clock.step(60)
    await bundle.keys.authenticate(made.secret)
    assert await last_used() == bundle.clock()


async def test_a_use_that_cannot_be_written_down_stops_nobody(bundle: Bundle) -> None:
    made = await bundle.keys.create(bundle.caller, "ci")
    full = "CREATE TRIGGER full BEFORE UPDATE ON keys BEGIN SELECT RAISE(ABORT, 'the disk is full'); END"
    await bundle.db.write(lambda connection: connection.execute(text(full)))
    assert (await bundle.keys.authenticate(made.secret)).key_id == made.key.id


async def test_keys_come_in_pages_newest_first(bundle: Bundle) -> None:
    made = []
    for index in range(5):
        bundle.clock.step(1)
        made.append((await bundle.keys.create(bundle.caller, f"k{index}")).key.name)
    first = await bundle.keys.list(bundle.caller, limit=3)
    rest = await bundle.keys.list(bundle.caller, cursor=first.next_cursor, limit=3)
    assert [key.name for key in [*first.items, *rest.items]] == [*reversed(made), "admin"]
    assert rest.next_cursor is None


async def test_the_first_start_makes_an_admin_once(bundle: Bundle) -> None:
    assert await bundle.keys.ensure_admin("cs_another") is None
    with pytest.raises(Unauthorized):
        await bundle.keys.authenticate("cs_another")
    assert await bundle.keys.first_workspace() == bundle.caller.workspace_id


async def test_a_sign_in_link_works_once(bundle: Bundle) -> None:
    token = await bundle.keys.issue_sign_in()
    with pytest.raises(Unauthorized):
        await bundle.keys.authenticate(token)
    session, caller = await bundle.keys.redeem(token)
    assert (caller.kind, caller.workspace_id) == ("session", bundle.caller.workspace_id)
    assert (await bundle.keys.authenticate(session)).key_id == caller.key_id
    with pytest.raises(Unauthorized):
        await bundle.keys.redeem(token)
    with pytest.raises(Unauthorized):
        await bundle.keys.redeem(session)


async def test_a_sign_in_link_ends_with_its_time(bundle: Bundle) -> None:
    token = await bundle.keys.issue_sign_in(bundle.caller.workspace_id)
    bundle.clock.step(900)
    with pytest.raises(Unauthorized):
        await bundle.keys.redeem(token)


async def test_a_session_is_opened_with_a_key_and_ended(bundle: Bundle) -> None:
    made = await bundle.keys.create(bundle.caller, "ci")
    session, caller = await bundle.keys.sign_in_with_key(made.secret)
    assert caller.name == "ci"
    await bundle.keys.authenticate(session)
    await bundle.keys.end_session(session)
    with pytest.raises(Unauthorized):
        await bundle.keys.authenticate(session)
    await bundle.keys.end_session(session)
    await bundle.keys.end_session(made.secret)
    assert (await bundle.keys.authenticate(made.secret)).kind == "api"


async def test_another_workspace_cannot_revoke(bundle: Bundle) -> None:
    made = await bundle.keys.create(bundle.caller, "ci")
    with pytest.raises(NotFound):
        await bundle.keys.revoke(await bundle.foreigner(), made.key.id)
    assert (await bundle.keys.authenticate(made.secret)).key_id == made.key.id
