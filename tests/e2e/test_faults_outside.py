"""Whatever an origin does, a run ends with a clear word, and nobody gets what is another's."""

import asyncio
import io
import re
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest
import pytest_asyncio
from PIL import Image

from comfyserve.client import ApiError, Client
from comfyserve.fetch.cache.names import slot_of
from tests.e2e.bad_origin import MODEL_BYTES, WORD, BadOrigin, shown, with_lora
from tests.e2e.faults import happened, submit
from tests.e2e.program import Program, colour_graph, finished, program, ready, until

pytestmark = pytest.mark.asyncio(loop_scope="module")

SETTINGS = {
    "allow_private_network": "127.0.0.1",
    "example": "none",
    "simulated_step_ms": "1",
    "fetch_seconds": "4",
    "max_upload_bytes": "2000000",
}
DISK_BYTES = 3_000_000
"""More than the database takes, less than a model."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def origin() -> AsyncIterator[BadOrigin]:
    async with BadOrigin().open() as opened:
        yield opened


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The server's folder."""
    return tmp_path_factory.mktemp("outside") / "data"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(data: Path) -> AsyncIterator[Program]:
    """A server that may call this machine, but no other private address."""
    async with program(data, **SETTINGS) as running:
        async with running.client() as connected:
            await ready(connected)
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def client(server: Program) -> AsyncIterator[Client]:
    async with server.client() as connected:
        yield connected


async def ended(client: Client, nodes: Mapping[str, Any], word: str = "") -> Mapping[str, Any]:
    """The run of a graph at its end; `word` opens what is private."""
    given = [{"url_pattern": "http://127.0.0.1:*/private/*", "auth": {"type": "bearer", "token": word}}]
    run = await client.create_run(None, {}, graph=dict(nodes), credentials=given if word else None)
    return await finished(client, run["id"])


async def pixels(client: Client, output: Mapping[str, Any], folder: Path) -> bytes:
    await client.download(output["url"], folder / "seen.png")
    with Image.open(folder / "seen.png") as seen:
        return seen.convert("RGB").tobytes()


def pixels_of(content: bytes) -> bytes:
    with Image.open(io.BytesIO(content)) as seen:
        return seen.convert("RGB").tobytes()


async def test_a_download_that_breaks_off_goes_on(client: Client, origin: BadOrigin, tmp_path: Path) -> None:
    run = await ended(client, shown(f"{origin.url}/closes-once/a.png"))
    assert run["status"] == "success", run["error"]
    assert await pixels(client, run["outputs"][0], tmp_path) == pixels_of(origin.pictures["red"])
    assert origin.starts["/closes-once/a.png"] == [0, len(origin.pictures["red"]) // 2]


BROKEN = {
    "/closes/a.png": ("fetch_failed", "127.0.0.1"),
    "/says-more/a.png": ("fetch_failed", "127.0.0.1"),
    "/drips/a.png": ("fetch_failed", "within 4 s"),
    "/floods/a.png": ("too_large", "larger than the 2000000 bytes"),
    "/redirect/a.png?to=http://169.254.169.254/latest/meta-data": ("fetch_refused", "169.254.169.254"),
    "/redirect/b.png?to=http://10.0.0.1/a.png": ("fetch_refused", "10.0.0.1"),
    "/redirect/c.png?to=file:///etc/passwd": ("fetch_refused", "http"),
}


async def test_origins_that_lie_never_end_or_lead_inside(client: Client, origin: BadOrigin) -> None:
    """All at once: they wait for their clocks together, and none of them keeps a good run waiting."""
    runs = {path: asyncio.create_task(ended(client, shown(origin.url + path))) for path in BROKEN}
    good = await ended(client, colour_graph(3))
    ends = {path: (await run)["error"] for path, run in runs.items()}
    assert good["status"] == "success"
    assert {path: error and error["code"] for path, error in ends.items()} == {
        path: code for path, (code, _) in BROKEN.items()
    }
    for path, (_, words) in BROKEN.items():
        assert words in ends[path]["message"], ends[path]
        assert ends[path]["place"] == {"node_id": "1", "field": "image"}, ends[path]


async def test_two_urls_with_one_file_name(client: Client, origin: BadOrigin, data: Path, tmp_path: Path) -> None:
    """In one run and in the next: each node gets its own picture."""
    for first, second in (("green", "blue"), ("blue", "green")):
        nodes = shown(f"{origin.url}/{first}/same.png") | {
            "3": {"class_type": "LoadImage", "inputs": {"image": f"{origin.url}/{second}/same.png"}},
            "4": {"class_type": "SaveImage", "inputs": {"images": ["3", 0], "filename_prefix": "seen"}},
        }
        run = await ended(client, nodes)
        assert run["status"] == "success", run["error"]
        found = {output["node_id"]: await pixels(client, output, tmp_path) for output in run["outputs"]}
        assert found == {"2": pixels_of(origin.pictures[first]), "4": pixels_of(origin.pictures[second])}
    assert (origin.asked["/green/same.png"], origin.asked["/blue/same.png"]) == (1, 1)


async def test_twenty_runs_on_two_servers_are_one_get(
    server: Program, client: Client, origin: BadOrigin, data: Path, tmp_path: Path
) -> None:
    url = f"{origin.url}/gated/shared.safetensors"
    async with (
        program(tmp_path / "data", cache_dir=str(data / "cache"), **SETTINGS) as other,
        other.client() as second,
    ):
        await ready(second)
        runs = [(one, await submit(one, with_lora(url, index))) for index in range(10) for one in (client, second)]
        for one, run_id in runs[:2]:
            await happened(one, run_id, "download")
        origin.gate.set()
        ends = [await finished(one, run_id) for one, run_id in runs]
        told = [(await one.get(f"/v1/runs/{run_id}/events", limit=200))["items"] for one, run_id in runs]
        origin.gate.clear()
    assert [end["status"] for end in ends] == ["success"] * 20
    assert origin.asked["/gated/shared.safetensors"] == 1
    cached = [event["data"]["cached"] for events in told for event in events if event["kind"] == "downloaded"]
    assert len(cached) == 20 and 1 <= cached.count(False) < 20


@pytest.mark.parametrize("kind", ["model", "picture"])
async def test_what_was_fetched_with_credentials_is_closed_to_others(
    server: Program, client: Client, origin: BadOrigin, kind: str
) -> None:
    path = "/private/style.safetensors" if kind == "model" else "/private/a.png"
    nodes = with_lora(origin.url + path) if kind == "model" else shown(origin.url + path)
    assert (await ended(client, nodes, WORD))["status"] == "success"
    made = await client.post("/v1/keys", {"name": "another"})
    async with server.client(made["key"]) as stranger:
        without, wrong, right = [await ended(stranger, nodes, word) for word in ("", "wrong-word", WORD)]
    assert [(end["status"], (end["error"] or {}).get("code")) for end in (without, wrong, right)] == [
        ("failed", "fetch_refused"),
        ("failed", "fetch_failed"),
        ("success", None),
    ]
    assert origin.asked[path] == 1, "the right word opens the copy that is there"


def saved(prefix: str) -> dict[str, Any]:
    nodes = colour_graph(5)
    nodes["2"]["inputs"]["filename_prefix"] = prefix
    return nodes


def checkpoint(name: str) -> dict[str, Any]:
    nodes = with_lora("a.safetensors")
    nodes["base"]["inputs"]["ckpt_name"] = name
    return nodes


def folder(name: Any) -> dict[str, Any]:
    load = {"class_type": "VHS_LoadImages", "inputs": {"directory": name}}
    return {"1": load, "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "x"}}}


def told_folder(name: str) -> dict[str, Any]:
    return with_lora(f"http://127.0.0.1:9/a.safetensors#folder={name}")


NAMES = {
    "image": (shown, "1"),
    "ckpt_name": (checkpoint, "base"),
    "lora_name": (with_lora, "lora"),
    "filename_prefix": (saved, "2"),
    "directory": (folder, "1"),
}
OUTSIDE = (
    "../../comfyserve.db",
    "/etc/passwd",
    "a/../../b",
    "C:/windows/win.ini",
    "..\\..\\secret.key",
    "../x [output]",
)


@pytest.mark.parametrize("field", NAMES)
async def test_a_name_that_leaves_its_folder_is_refused(client: Client, field: str) -> None:
    graph_of, node_id = NAMES[field]
    for name in OUTSIDE:
        with pytest.raises(ApiError) as refused:
            await client.create_run(None, {}, graph=graph_of(name))
        assert (refused.value.code, refused.value.place) == ("invalid_input", {"node_id": node_id, "field": field}), (
            name
        )


async def test_a_kind_of_model_that_leaves_its_folder_is_refused(client: Client) -> None:
    for name in ("../../engine", "/etc", "loras/../../../x"):
        try:
            error = (await ended(client, told_folder(name)))["error"]
        except ApiError as refused:
            error = {"code": refused.code}
        assert error["code"] == "invalid_input", name


TARGETS: Sequence[tuple[str, Mapping[str, Any]]] = (
    ("prefix", {"type": "s3", "bucket": "b", "prefix": "../../"}),
    ("prefix", {"type": "s3", "bucket": "b", "prefix": "a/../../b/"}),
    ("blob_prefix", {"type": "azure", "container": "c", "blob_prefix": "../"}),
    ("prefix", {"type": "gcs", "bucket": "b", "prefix": "..\\"}),
    ("directory", {"type": "hf", "repo": "a/b", "directory": "../c", "auth": {"type": "bearer", "token": WORD}}),
)


@pytest.mark.parametrize(("field", "target"), TARGETS)
async def test_a_target_that_leaves_its_place_is_refused(client: Client, field: str, target: Mapping[str, Any]) -> None:
    with pytest.raises(ApiError) as refused:
        await client.create_run(None, {}, graph=colour_graph(), target=target)
    assert (refused.value.code, refused.value.place) == ("invalid_input", {"field": f"target.{field}"})


async def test_the_name_of_an_upload_stays_a_name(client: Client, data: Path) -> None:
    """The name of an asset is kept as one plain name, and its file lies among the files."""
    before = set(data.parent.iterdir())
    for name in ("../../../out.png", "/etc/out.png", "..\\out.png"):
        asset = await client.post(f"/v1/assets?filename={name}")
        assert re.fullmatch(r"[^/\\]+", asset["filename"]) and asset["filename"].strip("."), asset
    assert set(data.parent.iterdir()) == before


async def test_a_full_disk_sends_the_run_back_until_there_is_room(
    server: Program, client: Client, origin: BadOrigin, data: Path
) -> None:
    process = psutil.Process(server.process.pid)
    _, most = process.rlimit(psutil.RLIMIT_FSIZE)
    process.rlimit(psutil.RLIMIT_FSIZE, (DISK_BYTES, most))
    url = f"{origin.url}/red/full.safetensors"
    run_id = await submit(client, with_lora(url, 7))
    lost = await happened(client, run_id, "lost")
    assert "disk" in lost.data["data"]["reason"]
    process.rlimit(psutil.RLIMIT_FSIZE, (most, most))
    run = await finished(client, run_id)
    assert (run["status"], run["attempts"]) == ("success", 1), run["error"]
    slot = slot_of(url)
    assert (data / "cache" / f"{slot.key}{slot.ending}").read_bytes() == origin.model


async def test_a_download_is_gone_on_with_after_a_kill(origin: BadOrigin, tmp_path: Path) -> None:
    data_dir, path = tmp_path / "data", "/gated/killed.safetensors"
    settings = SETTINGS | {"lease_seconds": "600"}
    dying = await Program.start(data_dir, **settings)
    async with dying.client() as client:
        run_id = await submit(client, with_lora(origin.url + path))

        async def kept() -> Sequence[Path]:
            return list((data_dir / "cache" / ".incoming").glob("*.resume"))

        await until(kept, bool)
    await dying.stop(signal.SIGKILL)
    async with program(data_dir, **settings) as running, running.client() as client:
        run = await finished(client, run_id)
        events = (await client.get(f"/v1/runs/{run_id}/events", limit=200))["items"]
    assert (run["status"], run["attempts"]) == ("success", 1), run["error"]
    first, second = origin.starts[path]
    assert first == 0 < second <= len(origin.model) // 2
    [arrived] = [event["data"] for event in events if event["kind"] == "downloaded"]
    assert arrived["bytes"] == len(origin.model) > MODEL_BYTES
    [file] = (data_dir / "cache").glob("*.safetensors")
    assert file.read_bytes() == origin.model
