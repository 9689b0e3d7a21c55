"""Machines: what they are doing, and what nodes they have."""

from typing import Any

import pytest

from comfyserve.core.errors import EngineLost, NotFound
from tests.services.bundle import Bundle


async def test_the_local_machine_is_made_once(bundle: Bundle) -> None:
    again = await bundle.machines.ensure_local(bundle.caller.workspace_id, kind="process", workers=2)
    assert again == bundle.machine_id
    (machine,) = await bundle.machines.list(bundle.caller)
    assert (machine.name, machine.kind, machine.workers, machine.status) == ("local", "process", 2, "starting")


async def test_a_machine_tells_how_much_waits(bundle: Bundle) -> None:
    for _ in range(3):
        await bundle.run()
    await bundle.claim()
    machine = await bundle.machines.get(bundle.caller, bundle.machine_id)
    assert (machine.queued, machine.running) == (2, 1)


async def test_a_machine_keeps_its_state_and_reason(bundle: Bundle) -> None:
    await bundle.machines.report_state(bundle.machine_id, "failed", EngineLost("no Python").as_dict())
    machine = await bundle.machines.get(bundle.caller, bundle.machine_id)
    assert machine.status == "failed"
    assert machine.error == {"code": "engine_lost", "message": "no Python"}
    await bundle.machines.report_state(bundle.machine_id, "ready")
    machine = await bundle.machines.get(bundle.caller, bundle.machine_id)
    assert (machine.status, machine.error) == ("ready", None)


async def test_a_catalogue_is_the_newest_one(bundle: Bundle) -> None:
    assert await bundle.machines.catalogue(bundle.machine_id) is None
    catalogues: list[dict[str, Any]] = [{"A": {}}, {"A": {}}, {"B": {}}]
    for catalogue in catalogues:
        await bundle.record.publish_catalogue(bundle.machine_id, catalogue)
        assert await bundle.machines.catalogue(bundle.machine_id) == catalogue
    assert await bundle.machines.catalogue("absent") is None


async def test_foreign_machines_are_not_found(bundle: Bundle) -> None:
    stranger = await bundle.foreigner()
    with pytest.raises(NotFound):
        await bundle.machines.get(stranger, bundle.machine_id)
    assert await bundle.machines.list(stranger) == []
