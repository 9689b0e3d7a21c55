"""Deployments: names that stay while what they pin changes."""

from typing import Any

import pytest

from comfyserve.core.errors import Conflict, DomainError, InvalidInput, NotFound
from comfyserve.services.records import DeploymentChange, DeploymentDraft, SubmitRequest, WorkflowView
from tests.services.bundle import IMAGE_GRAPH, TEXT_GRAPH, Bundle


async def workflow(bundle: Bundle, graph: Any = TEXT_GRAPH) -> WorkflowView:
    """A workflow with one version."""
    return await bundle.workflows.create(bundle.caller, "caps", graph)


async def test_a_deployment_narrows_its_inputs(bundle: Bundle) -> None:
    made = await workflow(bundle)
    rules = {"input_text": {"allowed": ["red", "blue"], "default": "red", "label": "Colour"}}
    view = await bundle.deployments.create(bundle.caller, DeploymentDraft("shop", made.id, narrowings=rules))
    assert (view.name, view.environment, view.version, view.workflow_name) == ("shop", "production", 1, "caps")
    assert view.machine_id == bundle.machine_id
    (text,) = view.inputs
    assert (text.label, text.default, tuple(text.choices)) == ("Colour", "red", ("red", "blue"))
    for name in (view.id, "shop"):
        assert await bundle.deployments.get(bundle.caller, name) == view


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"name": ""}, InvalidInput),
        ({"workflow_id": "absent"}, NotFound),
        ({"version": 7}, NotFound),
        ({"machine_id": "absent"}, NotFound),
        ({"environment": "x" * 51}, InvalidInput),
        ({"narrowings": {"absent": {"label": "x"}}}, InvalidInput),
        ({"narrowings": {"input_text": {"colour": "x"}}}, InvalidInput),
        ({"narrowings": []}, InvalidInput),
    ],
)
async def test_what_cannot_be_deployed(bundle: Bundle, change: dict[str, Any], error: type[DomainError]) -> None:
    made = await workflow(bundle)
    draft = DeploymentDraft(**{"name": "shop", "workflow_id": made.id} | change)
    with pytest.raises(error):
        await bundle.deployments.create(bundle.caller, draft)
    assert (await bundle.deployments.list(bundle.caller)).items == []


async def test_a_name_is_taken_once(bundle: Bundle) -> None:
    made = await workflow(bundle)
    await bundle.deployments.create(bundle.caller, DeploymentDraft("shop", made.id))
    other = await bundle.deployments.create(bundle.caller, DeploymentDraft("other", made.id))
    with pytest.raises(Conflict):
        await bundle.deployments.create(bundle.caller, DeploymentDraft("shop", made.id))
    with pytest.raises(Conflict):
        await bundle.deployments.update(bundle.caller, other.id, DeploymentChange(name="shop"))
    assert (await bundle.deployments.get(bundle.caller, other.id)).name == "other"


async def test_an_update_keeps_the_id(bundle: Bundle) -> None:
    made = await workflow(bundle)
    first = await bundle.deployments.create(bundle.caller, DeploymentDraft("shop", made.id))
    await bundle.workflows.add_version(bundle.caller, made.id, IMAGE_GRAPH)
    bundle.clock.step(5)
    change = DeploymentChange(name="store", version=2, narrowings={"input_image": {"label": "Logo"}})
    after = await bundle.deployments.update(bundle.caller, "shop", change)
    assert (after.id, after.name, after.version) == (first.id, "store", 2)
    assert [one.label for one in after.inputs] == ["Logo"]
    assert after.updated_at > first.updated_at


async def test_narrowings_must_suit_the_new_version(bundle: Bundle) -> None:
    made = await workflow(bundle)
    rules = {"input_text": {"label": "Colour"}}
    await bundle.deployments.create(bundle.caller, DeploymentDraft("shop", made.id, narrowings=rules))
    await bundle.workflows.add_version(bundle.caller, made.id, IMAGE_GRAPH)
    with pytest.raises(InvalidInput):
        await bundle.deployments.update(bundle.caller, "shop", DeploymentChange(version=2))
    assert (await bundle.deployments.get(bundle.caller, "shop")).version == 1


async def test_a_deleted_deployment_lives_on_in_its_runs(bundle: Bundle) -> None:
    await bundle.deploy("shop")
    run = await bundle.submit.submit(bundle.caller, SubmitRequest(deployment="shop"))
    await bundle.deployments.delete(bundle.caller, "shop")
    with pytest.raises(NotFound):
        await bundle.deployments.get(bundle.caller, "shop")
    assert (await bundle.runs.get(bundle.caller, run.id)).deployment_name == "shop"
    await bundle.finish(await bundle.claim())


async def test_an_upsert_keeps_one_per_environment(bundle: Bundle) -> None:
    made = await workflow(bundle)
    first = await bundle.deployments.upsert(bundle.caller, made.latest_version_id)
    second = await bundle.workflows.add_version(bundle.caller, made.id, TEXT_GRAPH)
    after = await bundle.deployments.upsert(bundle.caller, second.id, bundle.machine_id)
    staging = await bundle.deployments.upsert(bundle.caller, second.id, environment="staging")
    assert (after.id, after.version, first.version) == (first.id, 2, 1)
    assert staging.id != first.id
    assert (first.name, staging.name) == ("caps", "caps (staging)")
    third = await bundle.deployments.upsert(bundle.caller, (await workflow(bundle)).latest_version_id)
    assert third.name == "caps (production)"


async def test_deployments_come_in_pages_and_by_environment(bundle: Bundle) -> None:
    made = await workflow(bundle)
    for index in range(5):
        environment = "staging" if index % 2 else "production"
        await bundle.deployments.create(bundle.caller, DeploymentDraft(f"d{index}", made.id, environment=environment))
        bundle.clock.step(1)
    first = await bundle.deployments.list(bundle.caller, limit=2)
    rest = await bundle.deployments.list(bundle.caller, cursor=first.next_cursor, limit=3)
    assert [one.name for one in [*first.items, *rest.items]] == ["d4", "d3", "d2", "d1", "d0"]
    staging = await bundle.deployments.list(bundle.caller, environment="staging")
    assert [one.name for one in staging.items] == ["d3", "d1"]


async def test_foreign_deployments_are_not_found(bundle: Bundle) -> None:
    deployment_id = await bundle.deploy("shop")
    stranger, deployments = await bundle.foreigner(), bundle.deployments
    for name in (deployment_id, "shop"):
        for look in (
            deployments.get(stranger, name),
            deployments.update(stranger, name, DeploymentChange(name="mine")),
            deployments.delete(stranger, name),
        ):
            with pytest.raises(NotFound):
                await look
    assert (await deployments.list(stranger)).items == []
