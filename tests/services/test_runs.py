"""Lists of runs."""

from comfyserve.core.runs import Status
from comfyserve.ports import StoredOutput
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


def stored(key: str, index: int, filename: str, mime: str) -> StoredOutput:
    blob = f"runs/{key}/{index}"
    return StoredOutput("9", "SaveImage", key, index, filename, "", "output", blob, mime, 1, "0" * 64)


async def test_a_list_shows_one_file_of_each_run(bundle: Bundle) -> None:
    picture = [stored("a", 0, "a.zip", "application/zip"), stored("a", 1, "a.png", "image/png")]
    picture.append(stored("a", 2, "b.png", "image/png"))
    other = [StoredOutput("2", "Text", "text", 0, value="words"), stored("b", 0, "b.zip", "application/zip")]
    words = [StoredOutput("2", "Text", "text", 0, value="words")]
    for outputs in (picture, other, words):
        await bundle.run()
        await bundle.finish(await bundle.claim(), outputs)
    await bundle.run()
    listed = (await bundle.runs.list(bundle.caller)).items
    assert [[one.filename for one in run.outputs] for run in listed] == [[], [], ["b.zip"], ["a.png"]]
    (first,) = listed[-1].outputs
    assert first.url is not None and str(first.asset_id) in first.url
