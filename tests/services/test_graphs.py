"""Versions stay in memory as long as there is room, the last ones used, each for its own workspace."""

import pytest
from sqlalchemy import Connection, Engine, event

from comfyserve.core.errors import NotFound
from comfyserve.services.graphs import Graphs
from tests.services.bundle import Bundle

SIZE = 10_000


async def versions(bundle: Bundle, count: int) -> list[str]:
    """The ids of versions of about SIZE bytes."""
    graph = {"1": {"class_type": "X", "inputs": {"text": "x" * SIZE}}}
    return [(await bundle.workflows.create(bundle.caller, "w", graph)).latest_version_id for _ in range(count)]


async def test_the_last_ones_used_stay_as_far_as_there_is_room(bundle: Bundle) -> None:
    graphs = Graphs(kept_bytes=int(2.5 * SIZE))
    reads: list[str] = []
    first, second, third = await versions(bundle, 3)

    async def look(version_id: str) -> int:
        """How often the database is asked for a version."""

        def ask(connection: Connection) -> None:
            graphs.version(connection, bundle.caller.workspace_id, version_id)

        reads.clear()
        await bundle.db.look_up(ask)
        return len(reads)

    def note(_connection: object, _cursor: object, statement: str, *_more: object) -> None:
        if statement.startswith("SELECT"):
            reads.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        assert [await look(one) for one in (first, second, first, third)] == [1, 1, 0, 1]
        assert [await look(one) for one in (first, third, second)] == [0, 0, 1]
    finally:
        event.remove(Engine, "before_cursor_execute", note)


async def test_what_is_larger_than_the_room_is_not_kept(bundle: Bundle) -> None:
    graphs = Graphs(kept_bytes=SIZE // 2)
    workspace_id = bundle.caller.workspace_id
    first, second = await versions(bundle, 2)
    for _ in range(2):
        assert (await bundle.db.read(lambda c: graphs.version(c, workspace_id, first))).id == first
        assert (await bundle.db.read(lambda c: graphs.version(c, workspace_id, second))).id == second


async def test_a_version_in_memory_is_its_own_workspace_s(bundle: Bundle) -> None:
    (version_id,) = await versions(bundle, 1)
    stranger = await bundle.foreigner()
    await bundle.db.read(lambda c: bundle.graphs.version(c, bundle.caller.workspace_id, version_id))
    with pytest.raises(NotFound):
        await bundle.db.read(lambda c: bundle.graphs.version(c, stranger.workspace_id, version_id))
