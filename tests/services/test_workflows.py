"""Workflows and versions: immutable, numbered without gaps, each in its workspace."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import Engine, event

from comfyserve.core.errors import DomainError, InvalidGraph, InvalidInput, NotFound, TooLarge
from comfyserve.services.forms import EditorForms
from comfyserve.services.graphs import Graphs
from comfyserve.services.workflows import Workflows
from tests.services.bundle import IMAGE_GRAPH, TEXT_GRAPH, Bundle, new_id


async def test_a_workflow_begins_with_its_first_version(bundle: Bundle) -> None:
    editor: dict[str, Any] = {"nodes": [], "links": []}
    made = await bundle.workflows.create(bundle.caller, " caps ", TEXT_GRAPH, editor, "for shops")
    assert (made.name, made.description, made.latest_version) == ("caps", "for shops", 1)
    assert await bundle.workflows.get(bundle.caller, made.id) == made
    version = await bundle.workflows.version(bundle.caller, made.id, 1)
    assert version == await bundle.workflows.version_by_id(bundle.caller, made.latest_version_id)
    assert (version.graph, version.editor, version.comment) == (TEXT_GRAPH, editor, "initial version")
    assert [one.id for one in version.inputs] == ["input_text"]


async def test_versions_are_numbered_without_gaps(bundle: Bundle) -> None:
    made = await bundle.workflows.create(bundle.caller, "caps", TEXT_GRAPH)
    graphs = [TEXT_GRAPH, IMAGE_GRAPH] * 4
    added = await asyncio.gather(
        *(bundle.workflows.add_version(bundle.caller, made.id, graph, comment="next") for graph in graphs)
    )
    assert sorted(version.version for version in added) == list(range(2, 10))
    assert len({version.graph_hash for version in added}) == 2
    latest = await bundle.workflows.get(bundle.caller, made.id)
    newest = next(version for version in added if version.version == 9)
    assert (latest.latest_version, latest.latest_version_id) == (9, newest.id)


async def test_versions_come_in_pages_newest_first(bundle: Bundle) -> None:
    made = await bundle.workflows.create(bundle.caller, "caps", TEXT_GRAPH)
    for _ in range(4):
        await bundle.workflows.add_version(bundle.caller, made.id, TEXT_GRAPH)
    first = await bundle.workflows.versions(bundle.caller, made.id, limit=3)
    rest = await bundle.workflows.versions(bundle.caller, made.id, cursor=first.next_cursor, limit=3)
    assert [one.version for one in [*first.items, *rest.items]] == [5, 4, 3, 2, 1]
    assert all(one.graph is None for one in first.items)
    assert rest.next_cursor is None


async def test_a_list_of_versions_reads_their_graphs_one_by_one(bundle: Bundle) -> None:
    made = await bundle.workflows.create(bundle.caller, "caps", TEXT_GRAPH, {"nodes": []})
    for graph in (IMAGE_GRAPH, TEXT_GRAPH):
        await bundle.workflows.add_version(bundle.caller, made.id, graph)
    forms = EditorForms(bundle.machines, graph_bytes=1, wait_seconds=0)
    fresh = Workflows(bundle.db, Graphs(), forms=forms, clock=bundle.clock, ids=new_id, graph_bytes=1)
    large: list[int] = []

    def note(_connection: object, cursor: Any, statement: str, *_more: object) -> None:
        if "workflow_versions.graph," in statement.partition("FROM")[0]:
            large.append(1 if "workflow_versions.id = ?" in statement else 0)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        page = await fresh.versions(bundle.caller, made.id)
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    inputs = [one.inputs[0].id for one in page.items]
    assert inputs == ["input_text", "input_image", "input_text"]
    assert large == [1, 1, 1]


async def test_workflows_are_searched_by_a_part_of_their_name(bundle: Bundle) -> None:
    for name in ("Red caps", "blue 100% hats", "a_b"):
        await bundle.workflows.create(bundle.caller, name, TEXT_GRAPH)
        bundle.clock.step(1)
    for search, found in (("CAP", ["Red caps"]), ("100%", ["blue 100% hats"]), ("_", ["a_b"]), ("%%", [])):
        page = await bundle.workflows.list(bundle.caller, search=search)
        assert [one.name for one in page.items] == found
    everything = await bundle.workflows.list(bundle.caller)
    assert everything.items[0].name == "a_b"


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"name": "  "}, InvalidInput),
        ({"name": "x" * 201}, InvalidInput),
        ({"name": "\ud800"}, InvalidInput),
        ({"name": "a\x00b"}, InvalidInput),
        ({"description": "x" * 10_001}, InvalidInput),
        ({"graph": []}, InvalidGraph),
        ({"graph": {"nodes": [], "links": []}}, InvalidGraph),
        ({"graph": {"1": {"class_type": "X", "inputs": {"x": "y" * 1_000_001}}}}, TooLarge),
        ({"editor": {"x": "y" * 1_000_001}}, TooLarge),
        ({"editor": {"x": float("inf")}}, InvalidInput),
        ({"editor": {"x": "\ud800"}}, InvalidInput),
        ({"graph": {"1": {"class_type": "X", "inputs": {"x": "\ud800"}}}}, InvalidInput),
    ],
)
async def test_what_cannot_be_kept_is_refused(bundle: Bundle, change: dict[str, Any], error: type[DomainError]) -> None:
    with pytest.raises(error):
        await bundle.workflows.create(bundle.caller, **{"name": "caps", "graph": TEXT_GRAPH} | change)
    assert (await bundle.workflows.list(bundle.caller)).items == []


async def test_foreign_workflows_are_not_found(bundle: Bundle) -> None:
    made = await bundle.workflows.create(bundle.caller, "caps", TEXT_GRAPH)
    stranger, workflows = await bundle.foreigner(), bundle.workflows
    for look in (
        workflows.get(stranger, made.id),
        workflows.versions(stranger, made.id),
        workflows.version(stranger, made.id, 1),
        workflows.version_by_id(stranger, made.latest_version_id),
        workflows.add_version(stranger, made.id, TEXT_GRAPH),
        workflows.version(bundle.caller, made.id, 2),
        workflows.version(bundle.caller, made.id, 0),
        workflows.version(bundle.caller, made.id, 2**63),
    ):
        with pytest.raises(NotFound):
            await look
    assert (await workflows.list(stranger)).items == []
