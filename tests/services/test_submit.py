"""From a caller's values to a queued run, or to a sentence that says what is wrong."""

import base64
import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from comfyserve.core.credentials import Credential, S3Auth
from comfyserve.core.errors import (
    DomainError,
    InvalidGraph,
    InvalidInput,
    NotFound,
    QueueFull,
    TooLarge,
)
from comfyserve.core.options import RunOptions
from comfyserve.core.runs import Status
from comfyserve.core.targets import HttpTarget, S3Target
from comfyserve.fetch.guard import Guard
from comfyserve.services.records import SubmitRequest
from tests.services.bundle import IMAGE_GRAPH, LIMITS, PNG, TEXT_GRAPH, Bundle, hook, open_bundle, pieces

DATA_URI = "data:image/png;base64," + base64.b64encode(PNG).decode()
CATALOGUE: dict[str, Any] = {"ComfyUIDeployExternalText": {}, "ShowText": {}}


async def test_a_deployment_is_run_by_its_name_and_by_its_id(bundle: Bundle) -> None:
    deployment_id = await bundle.deploy("caps", narrowings={"input_text": {"default": "a hat"}})
    for name in ("caps", deployment_id):
        run = await bundle.submit.submit(bundle.caller, SubmitRequest(deployment=name, inputs={}))
        assert (run.status, run.deployment_name, run.version) == (Status.QUEUED, "caps", 1)
        claim = await bundle.claim()
        assert claim.graph.nodes["1"].inputs["default_value"] == "a hat"


async def test_a_version_is_run_by_its_id(bundle: Bundle) -> None:
    workflow = await bundle.workflows.create(bundle.caller, "w", TEXT_GRAPH)
    run = await bundle.submit.submit(bundle.caller, SubmitRequest(version_id=workflow.latest_version_id))
    assert (run.workflow_id, run.version_id) == (workflow.id, workflow.latest_version_id)


async def test_values_reach_the_graph_and_stay_as_sent(bundle: Bundle) -> None:
    run = await bundle.run(inputs={"input_text": "a hat"})
    assert run.inputs == {"input_text": "a hat"}
    claim = await bundle.claim()
    assert claim.graph.nodes["1"].inputs["default_value"] == "a hat"


async def test_the_editor_form_travels_with_the_run(bundle: Bundle) -> None:
    await bundle.run(editor={"nodes": [], "links": []})
    claim = await bundle.claim()
    assert claim.extra_data == {"extra_pnginfo": {"workflow": {"nodes": [], "links": []}}}


async def test_unknown_names_are_refused_or_reported(bundle: Bundle) -> None:
    with pytest.raises(InvalidInput) as refused:
        await bundle.run(inputs={"txet": "a"})
    assert refused.value.place.field == "txet"
    run = await bundle.run(inputs={"txet": "a"}, unknown_inputs="report")
    assert [warning["code"] for warning in run.warnings] == ["unknown_input"]
    assert run.inputs == {"txet": "a"}


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        ({}, InvalidInput),
        ({"deployment": "caps", "graph": TEXT_GRAPH}, InvalidInput),
        ({"deployment": "absent"}, NotFound),
        ({"version_id": "absent"}, NotFound),
        ({"graph": {}}, InvalidGraph),
        ({"graph": {"nodes": [], "links": []}}, InvalidGraph),
        ({"graph": TEXT_GRAPH, "machine_id": "absent"}, NotFound),
        ({"graph": TEXT_GRAPH, "priority": 101}, InvalidInput),
        ({"graph": TEXT_GRAPH, "idempotency_key": ""}, InvalidInput),
        ({"graph": TEXT_GRAPH, "webhooks": hook("file:///etc/passwd")}, InvalidInput),
        ({"graph": TEXT_GRAPH, "inputs": {"input_text": 5.5}, "webhooks": hook("\ud800")}, InvalidInput),
        ({"graph": TEXT_GRAPH, "inputs": {"input_text": float("nan")}}, InvalidInput),
        ({"graph": TEXT_GRAPH, "inputs": {"input_text": "x" * 1_100_000}}, TooLarge),
        ({"graph": {**TEXT_GRAPH, "9": {"class_type": "X", "inputs": {"x": "y" * 1_100_000}}}}, TooLarge),
    ],
)
async def test_what_cannot_run_is_refused(bundle: Bundle, request_: dict[str, Any], error: type[DomainError]) -> None:
    with pytest.raises(error):
        await bundle.submit.submit(bundle.caller, SubmitRequest(**request_))
    assert await bundle.record.claim(bundle.machine_id, "w") is None


INSIDE = S3Auth("a", "b", endpoint="http://10.1.2.3:9000")
FORBIDDEN: list[tuple[dict[str, Any], str]] = [
    ({"webhooks": hook("http://10.1.2.3/x")}, "webhook"),
    ({"webhooks": hook("http://[::1]:80/x")}, "webhook"),
    ({"webhooks": hook("http://2130706433/x")}, "webhook"),
    ({"options": RunOptions(target=HttpTarget("http://127.0.0.1:3880/put"))}, "target.url_prefix"),
    ({"options": RunOptions(target=S3Target("bucket", auth=INSIDE))}, "target.auth.endpoint"),
    ({"options": RunOptions((Credential("s3://**", INSIDE),))}, "credentials[0].auth.endpoint"),
]


@pytest.mark.parametrize(("asked", "field"), FORBIDDEN, ids=range(len(FORBIDDEN)))
async def test_addresses_that_are_never_called_are_refused_before_the_work(
    tmp_path: Path, asked: dict[str, Any], field: str
) -> None:
    bundle = await open_bundle(tmp_path, limits=replace(LIMITS, check_address=Guard().check_url))
    with pytest.raises(InvalidInput, match=r"is not called|not a valid address") as refused:
        await bundle.run(**asked)
    assert refused.value.place.field == field
    await bundle.run(webhooks=hook("https://example.com/x"))
    await bundle.db.close()


async def test_unknown_classes_are_refused_once_the_machine_has_told_its_nodes(bundle: Bundle) -> None:
    await bundle.run()
    await bundle.record.publish_catalogue(bundle.machine_id, CATALOGUE)
    await bundle.run()
    await bundle.record.publish_catalogue(bundle.machine_id, {"ComfyUIDeployExternalText": {}})
    with pytest.raises(InvalidGraph) as refused:
        await bundle.run()
    assert refused.value.place.node_id == "2"


@pytest.mark.parametrize("uri", [DATA_URI, f"data:image/png,{quote(PNG)}", DATA_URI.replace("/", "%2F")])
async def test_a_data_uri_becomes_an_asset(bundle: Bundle, uri: str) -> None:
    run = await bundle.run(IMAGE_GRAPH, inputs={"input_image": uri})
    claim = await bundle.claim()
    (asset,) = claim.assets.values()
    assert run.inputs == {"input_image": f"asset:{asset.id}"}
    assert claim.graph.nodes["1"].inputs["input_id"] == f"asset:{asset.id}"
    assert uri not in str(claim.graph.as_json())
    async with bundle.blobs.open(asset.blob_key) as content:
        assert b"".join([piece async for piece in content]) == PNG
    assert asset.mime == "image/png"


@pytest.mark.parametrize("given", [[DATA_URI, "https://example.com/a.png"], f'["{DATA_URI}"]'])
async def test_data_uris_in_a_list_become_assets(bundle: Bundle, given: Any) -> None:
    batch = {"class_type": "ComfyUIDeployExternalImageBatch", "inputs": {"input_id": "photos", "images": "[]"}}
    run = await bundle.run({"1": batch}, inputs={"photos": given})
    claim = await bundle.claim()
    (asset,) = claim.assets.values()
    kept = json.loads(claim.graph.nodes["1"].inputs["images"])
    assert kept[0] == f"asset:{asset.id}"
    assert DATA_URI not in str(claim.graph.as_json())
    assert run.inputs["photos"] in (kept, json.dumps(kept))


async def test_the_asset_of_a_data_uri_belongs_to_its_run(bundle: Bundle) -> None:
    request: dict[str, Any] = {"inputs": {"input_image": DATA_URI}, "idempotency_key": "k"}
    run = await bundle.run(IMAGE_GRAPH, **request)
    again = await bundle.run(IMAGE_GRAPH, **request)
    assert again.id == run.id
    (asset,) = (await bundle.files.list(bundle.caller)).items
    assert asset.run_id == run.id


async def test_a_refused_run_leaves_no_asset_behind(tmp_path: Path) -> None:
    bundle = await open_bundle(tmp_path, limits=replace(LIMITS, max_queued=1))
    await bundle.run()
    with pytest.raises(QueueFull):
        await bundle.run(IMAGE_GRAPH, inputs={"input_image": DATA_URI})
    two = {**IMAGE_GRAPH, "3": {"class_type": "LoadImage", "inputs": {"image": "data:image/png;base64,!"}}}
    with pytest.raises(InvalidInput):
        await bundle.run(two, inputs={"input_image": DATA_URI})
    assert (await bundle.files.list(bundle.caller)).items == []
    await bundle.db.close()


async def test_a_run_that_cannot_be_written_down_leaves_no_asset_behind(bundle: Bundle) -> None:
    full = "CREATE TRIGGER full BEFORE INSERT ON runs BEGIN SELECT RAISE(ABORT, 'the disk is full'); END"
    await bundle.db.write(lambda connection: connection.execute(text(full)))
    with pytest.raises(IntegrityError, match="full"):
        await bundle.run(IMAGE_GRAPH, inputs={"input_image": DATA_URI})
    assert bundle.blobs.files == {}
    assert (await bundle.files.list(bundle.caller)).items == []


async def test_our_own_urls_and_ids_become_assets(bundle: Bundle) -> None:
    asset = await bundle.files.upload(bundle.caller, "logo.png", None, pieces(PNG))
    for value in (asset.url, asset.id, f"asset:{asset.id}"):
        await bundle.run(IMAGE_GRAPH, inputs={"input_image": value})
        claim = await bundle.claim()
        assert list(claim.assets) == [asset.id]
        assert claim.graph.nodes["1"].inputs["input_id"] == f"asset:{asset.id}"


async def test_urls_of_others_stay_as_they_are(bundle: Bundle) -> None:
    url = "https://example.com/files/img_1.png?a=1"
    await bundle.run(IMAGE_GRAPH, inputs={"input_image": url})
    claim = await bundle.claim()
    assert claim.assets == {}
    assert claim.graph.nodes["1"].inputs["input_id"] == url


async def test_files_of_another_workspace_are_not_found(bundle: Bundle) -> None:
    asset = await bundle.files.upload(await bundle.foreigner(), "logo.png", None, pieces(PNG))
    for value in (asset.url, asset.id, f"asset:{asset.id}", "asset:absent"):
        with pytest.raises(DomainError) as refused:
            await bundle.run(IMAGE_GRAPH, inputs={"input_image": value})
        assert refused.value.place.field == "input_image"


@pytest.mark.parametrize(
    ("value", "error"),
    [
        ("data:image/png;base64,!!!", InvalidInput),
        ("data:image/png;base64,", InvalidInput),
        ("data:text/plain,no%20picture", InvalidInput),
        ("data:image/png;base64," + base64.b64encode(PNG + b"0" * 20_000).decode(), TooLarge),
    ],
)
async def test_bad_data_uris_name_their_input(bundle: Bundle, value: str, error: type[DomainError]) -> None:
    with pytest.raises(error) as refused:
        await bundle.run(IMAGE_GRAPH, inputs={"input_image": value})
    assert refused.value.place.field == "input_image"


async def test_seeds_are_drawn_when_the_dialect_wants_it(bundle: Bundle) -> None:
    graph = {"1": {"class_type": "KSampler", "inputs": {"seed": 5}}}
    await bundle.run(graph)
    assert (await bundle.claim()).graph.nodes["1"].inputs["seed"] == 5
    await bundle.run(graph, randomise_seeds=True)
    assert (await bundle.claim()).graph.nodes["1"].inputs["seed"] != 5


async def test_a_foreign_deployment_is_not_found(bundle: Bundle) -> None:
    deployment_id = await bundle.deploy("caps")
    with pytest.raises(NotFound):
        await bundle.submit.submit(await bundle.foreigner(), SubmitRequest(deployment=deployment_id))
