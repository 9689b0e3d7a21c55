"""Lists of runs."""

from comfyserve.core.runs import Status
from comfyserve.services.records import RunFilter, SubmitRequest
from tests.services.bundle import Bundle


async def test_runs_come_in_pages_newest_first(bundle: Bundle) -> None:
    made = [(await bundle.run()).id for _ in range(5)]
    first = await bundle.runs.list(bundle.caller, limit=2)
    rest = await bundle.runs.list(bundle.caller, cursor=first.next_cursor, limit=3)
    assert [run.id for run in [*first.items, *rest.items]] == made[::-1]
    assert rest.next_cursor is None


async def test_runs_are_filtered(bundle: Bundle) -> None:
    deployment_id = await bundle.deploy("shop")
    deployed = await bundle.submit.submit(bundle.caller, SubmitRequest(deployment="shop"))
    bare = await bundle.run()
    await bundle.cancel.cancel(bundle.caller, bare.id)

    async def found(filters: RunFilter) -> list[str]:
        return [run.id for run in (await bundle.runs.list(bundle.caller, filters)).items]

    assert await found(RunFilter(deployment="shop")) == [deployed.id]
    assert await found(RunFilter(deployment=deployment_id)) == [deployed.id]
    assert await found(RunFilter(workflow_id=str(deployed.workflow_id))) == [deployed.id]
    assert await found(RunFilter(status=Status.CANCELLED)) == [bare.id]
    assert await found(RunFilter(deployment="absent")) == []
    await bundle.deployments.delete(bundle.caller, "shop")
    assert await found(RunFilter(deployment=deployment_id)) == [deployed.id]


async def test_foreign_runs_are_not_listed(bundle: Bundle) -> None:
    await bundle.run()
    assert (await bundle.runs.list(await bundle.foreigner())).items == []
