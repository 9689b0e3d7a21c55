"""What is kept of a run's outputs: every file and text, in stable order, converted, and sent on if asked."""

import asyncio
import hashlib
import io
import os
import subprocess
import tracemalloc
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from comfyserve.blobs.local import LocalBlobs
from comfyserve.core.conversion import Conversion
from comfyserve.core.errors import DomainError, InvalidGraph, InvalidInput, StorageFailed, TargetFailed, TooLarge
from comfyserve.core.graph import parse_graph
from comfyserve.core.options import RunOptions
from comfyserve.core.outputs import EngineFile, NodeOutput
from comfyserve.core.runs import Fact, FactKind, Lease, Run, Status
from comfyserve.core.targets import HttpTarget, TargetWish
from comfyserve.core.uploads import Uploads
from comfyserve.ports import Blobs, ByteStream, Claim, Clocks, StoredBlob, Target
from comfyserve.testing import MemoryBlobs, ScriptedEngine
from comfyserve.work.collect import Collect, Collected, Converter
from comfyserve.work.limits import WorkLimits

NOW = datetime(2026, 1, 1, tzinfo=UTC)
RUN, ATTEMPT = "run-1", "attempt-1"
GRAPH = parse_graph({node: {"class_type": f"Save{node}", "inputs": {}} for node in ("7", "3", "10")})
LIMITS = WorkLimits(storage_pause=0.001, storage_tries=3, target_tries=3)
WISH = HttpTarget("https://files.example.com/results")
SECONDS = 60


def claim(*, convert: Conversion | None = None, target: TargetWish | None = None) -> Claim:
    """A run whose outputs are collected."""
    lease = Lease("token", "worker", NOW)
    run = Run(RUN, "w", "m", "k", Status.RUNNING, NOW, 3, attempt_id=ATTEMPT, lease=lease)
    options = RunOptions(convert=convert, target=target)
    return Claim(run, lease, ATTEMPT, GRAPH, {}, {}, Clocks(0, 0, 0, 0), options=options)


def engine_with(files: Mapping[EngineFile, bytes]) -> ScriptedEngine:
    """An engine that holds these files."""
    engine = ScriptedEngine([])
    engine.content.update(files)
    return engine


def file(name: str, subfolder: str = "", kind: str = "output") -> EngineFile:
    """A file that this attempt has saved."""
    return EngineFile(name, f"{ATTEMPT}/{subfolder}".rstrip("/") if kind == "output" else subfolder, kind)


def output(node_id: str, engine_file: EngineFile, index: int = 0, key: str = "images") -> NodeOutput:
    return NodeOutput(node_id, key, index, file=engine_file)


async def collect(
    files: Mapping[EngineFile, bytes],
    blobs: Blobs,
    *,
    limits: WorkLimits = LIMITS,
    options: Mapping[str, Any] | None = None,
    converter: Converter | None = None,
    **tools: Any,
) -> Collected:
    """Collect the files of node 7; the converter is closed then."""
    outputs = [output("7", engine_file, index) for index, engine_file in enumerate(files)]
    collect = Collect(engine_with(files), blobs, limits, converter=converter, **tools)
    try:
        return await asyncio.wait_for(collect.collect(claim(**options or {}), outputs), SECONDS)
    finally:
        if converter is not None:
            await converter.close()


def picture(kind: str = "png", **options: Any) -> bytes:
    """A small picture."""
    buffer = io.BytesIO()
    Image.radial_gradient("L").convert("RGB").save(buffer, kind, **options)
    return buffer.getvalue()


# ------------------------------------------------------------------------------------------------- all of them


async def test_every_output_is_kept_typed_in_the_order_of_the_graph() -> None:
    video, mesh, shown = file("v.mp4", "video"), file("m.glb", "mesh/deep"), file("p.png", "", "temp")
    engine, blobs = engine_with({video: b"video", mesh: b"mesh", shown: b"shown"}), MemoryBlobs()
    outputs = [
        output("10", mesh, key="3d"),
        NodeOutput("3", "text", 0, value="hello"),
        NodeOutput("99.0.1", "text", 0, value=3),
        output("3", shown),
        output("7.0.0.2", video, key="gifs"),
    ]
    collected = await Collect(engine, blobs, LIMITS).collect(claim(), outputs)
    rows = [
        (kept.node_id, kept.class_type, kept.key, kept.filename, kept.subfolder, kept.type, kept.mime, kept.value)
        for kept in collected.outputs
    ]
    assert rows == [
        ("7.0.0.2", "Save7", "gifs", "v.mp4", "video", "output", "video/mp4", None),
        ("3", "Save3", "text", "", "", "output", "", "hello"),
        ("3", "Save3", "images", "p.png", "", "temp", "image/png", None),
        ("10", "Save10", "3d", "m.glb", "mesh/deep", "output", "model/gltf-binary", None),
        ("99.0.1", "", "text", "", "", "output", "", 3),
    ]
    first = collected.outputs[0]
    assert (blobs.files[first.blob_key], first.size) == (b"video", 5)
    assert first.sha256 == hashlib.sha256(b"video").hexdigest()
    assert (collected.facts, collected.error) == ([], None)


async def test_equal_names_in_different_folders_are_different_files() -> None:
    blobs = MemoryBlobs()
    collected = await collect({file("a.png", "x"): b"1", file("a.png", "y"): b"2", file("a.png"): b"3"}, blobs)
    assert [blobs.files[kept.blob_key] for kept in collected.outputs] == [b"1", b"2", b"3"]
    assert [(kept.subfolder, kept.filename) for kept in collected.outputs] == [
        ("x", "a.png"),
        ("y", "a.png"),
        ("", "a.png"),
    ]


async def test_names_of_an_engine_lead_nowhere() -> None:
    blobs = MemoryBlobs()
    names = ["../../etc/passwd", "a\\b\\c.png", "name.with a very odd ending!", "x." + "e" * 50, "ünï.png"]
    collected = await collect({EngineFile(name): b"x" for name in names}, blobs)
    assert [kept.filename for kept in collected.outputs] == ["passwd", "c.png", *names[2:]]
    keys = [f"runs/{RUN}/{ATTEMPT}/{index}{ending}" for index, ending in enumerate(["", ".png", "", "", ".png"])]
    assert [kept.blob_key for kept in collected.outputs] == keys == sorted(blobs.files)


async def test_the_name_of_a_file_that_was_staged_is_no_output() -> None:
    """Preview3D publishes the name of what it shows, which is an input that is gone with the run."""
    values = [f"3d/comfyserve/{ATTEMPT}_0.glb", f"{ATTEMPT}_0.glb", f"about {ATTEMPT}"]
    outputs = [NodeOutput("7", "result", index, value=value) for index, value in enumerate(values)]
    collected = await Collect(engine_with({}), MemoryBlobs(), LIMITS).collect(claim(), outputs)
    assert [one.value for one in collected.outputs] == [f"about {ATTEMPT}"]


async def test_texts_are_cut_one_by_one_and_together() -> None:
    limits = WorkLimits(value_chars=4, values_chars=6)
    outputs = [NodeOutput("7", "text", index, value=value) for index, value in enumerate(["abcdef", "ghi", 5, "j"])]
    collected = await Collect(engine_with({}), MemoryBlobs(), limits).collect(claim(), outputs)
    assert [kept.value for kept in collected.outputs] == ["abcd", "gh", 5, ""]
    assert [fact.data["code"] for fact in collected.facts] == ["text_cut"]


async def test_too_many_outputs_and_too_large_ones_are_refused() -> None:
    with pytest.raises(InvalidGraph, match="at most 1 are kept"):
        await collect({file("a.png"): b"1", file("b.png"): b"2"}, MemoryBlobs(), limits=WorkLimits(outputs=1))
    with pytest.raises(TooLarge):
        await collect({file("a.png"): b"12345"}, MemoryBlobs(), limits=WorkLimits(output_bytes=4))


class StreamingEngine(ScriptedEngine):
    """Makes files as they are read."""

    def __init__(self, size: int) -> None:
        super().__init__([])
        self._size = size

    @asynccontextmanager
    async def open(self, file: EngineFile) -> AsyncIterator[ByteStream]:
        """A file of this size."""
        yield self._pieces()

    async def _pieces(self) -> ByteStream:
        piece = bytes(256 * 1024)
        for _ in range(self._size // len(piece)):
            yield piece


async def test_many_large_files_are_never_in_memory_together(tmp_path: Path) -> None:
    size, many = 12 * 1024 * 1024, [output("7", file(f"{index}.bin"), index) for index in range(32)]
    collecting = Collect(StreamingEngine(size), LocalBlobs(tmp_path), WorkLimits())
    tracemalloc.start()
    try:
        collected = await asyncio.wait_for(collecting.collect(claim(), many), SECONDS)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert sum(kept.size for kept in collected.outputs) == 32 * size
    assert peak < 16 * 1024 * 1024


# --------------------------------------------------------------------------------------------------- converted


async def test_pictures_are_converted_and_named_after_it(tmp_path: Path) -> None:
    blobs, files = MemoryBlobs(), {file("a.b.PNG", "x"): picture(), file("v.mp4"): b"video", file("t.txt"): b"text"}
    collected = await collect(files, blobs, options={"convert": Conversion("jpg")}, converter=Converter(tmp_path))
    first, *others = collected.outputs
    data = blobs.files[first.blob_key]
    assert (first.filename, first.subfolder, first.mime) == ("a.b.jpg", "x", "image/jpeg")
    assert first.blob_key.endswith("/0.jpg") and data[:3] == b"\xff\xd8\xff"
    assert (first.size, first.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    assert [(kept.filename, blobs.files[kept.blob_key]) for kept in others] == [("v.mp4", b"video"), ("t.txt", b"text")]
    assert collected.facts == [] and not any(os.scandir(tmp_path))


@pytest.mark.parametrize("tools", [True, False], ids=["broken picture", "no converter"])
async def test_what_cannot_be_converted_is_kept_with_a_warning(tmp_path: Path, tools: bool) -> None:
    blobs, files = MemoryBlobs(), {file("broken.png"): picture()[:200], file("good.png"): picture()}
    converter = Converter(tmp_path) if tools else None
    collected = await collect(files, blobs, options={"convert": Conversion("webp")}, converter=converter)
    names = [kept.filename for kept in collected.outputs]
    assert names == (["broken.png", "good.webp"] if tools else ["broken.png", "good.png"])
    assert blobs.files[collected.outputs[0].blob_key] == picture()[:200]
    warned = [(fact.kind, fact.data["code"], fact.data["details"]) for fact in collected.facts]
    assert warned[0] == ("warning", "not_converted", {"node_id": "7", "filename": "broken.png"})
    assert len(warned) == (1 if tools else 2)
    assert str(tmp_path) not in collected.facts[0].data["message"]


async def test_a_picture_to_convert_has_the_same_bound(tmp_path: Path) -> None:
    limits = WorkLimits(output_bytes=100)
    with pytest.raises(TooLarge):
        await collect(
            {file("a.png"): picture()},
            MemoryBlobs(),
            limits=limits,
            options={"convert": Conversion("webp")},
            converter=Converter(tmp_path),
        )


# -------------------------------------------------------------------------------------------------- our storage


class TroubledBlobs(MemoryBlobs):
    """Fails as it is told, put by put, and then works. A failure that is None takes nothing and never returns."""

    def __init__(self, *failures: Exception | None) -> None:
        super().__init__()
        self.failures = list(failures)
        self.deleting: Exception | None = None

    async def put(
        self, key: str, content: ByteStream, *, limit: int | None = None, mime: str = "", filename: str = ""
    ) -> StoredBlob:
        """Fail, hang, or keep."""
        if self.failures:
            failure = self.failures.pop(0)
            await anext(content)
            if failure is None:
                await asyncio.Event().wait()
            raise failure or RuntimeError("unreachable")
        return await super().put(key, content, limit=limit)

    async def delete(self, key: str) -> None:
        """Fail, or delete."""
        if self.deleting:
            raise self.deleting
        await super().delete(key)


REFUSED = StorageFailed("The bucket refuses.")


@pytest.mark.parametrize("failures", [[REFUSED, REFUSED], [None, OSError(5, "Input/output error")]])
async def test_a_storage_in_trouble_is_asked_again(failures: Sequence[Exception | None]) -> None:
    blobs = TroubledBlobs(*failures)
    limits = WorkLimits(storage=0.05, storage_pause=0.001, storage_tries=3)
    collected = await collect({file("a.png"): b"picture"}, blobs, limits=limits)
    assert blobs.files[collected.outputs[0].blob_key] == b"picture" and not blobs.failures


async def test_that_a_storage_is_waited_for_is_told_once() -> None:
    blobs, noted = TroubledBlobs(*[REFUSED] * 2), list[Fact]()
    files = [file("a.png"), file("b.png")]
    outputs = [output("7", one, index) for index, one in enumerate(files)]
    await Collect(engine_with(dict.fromkeys(files, b"x")), blobs, LIMITS).collect(claim(), outputs, noted.append)
    [fact] = noted
    assert (fact.kind, fact.data["code"]) == (FactKind.WARNING, "storage_waits")
    assert "The bucket refuses. It is asked again." in fact.data["message"] and len(blobs.files) == 2


async def test_a_storage_that_stays_away_is_said_to() -> None:
    blobs = TroubledBlobs(*[REFUSED] * 3)
    with pytest.raises(StorageFailed, match=r"did not take a\.png: The bucket refuses\."):
        await collect({file("a.png"): b"picture"}, blobs)
    assert not blobs.failures and not blobs.files


async def test_a_storage_that_takes_nothing_is_given_up() -> None:
    limits = WorkLimits(storage=0.05, storage_pause=0.001, storage_tries=2)
    with pytest.raises(StorageFailed, match="it took nothing for too long"):
        await collect({file("a.png"): b"picture"}, TroubledBlobs(None, None), limits=limits)


class SlowEngine(ScriptedEngine):
    """Takes its time between the pieces of a file, and between files none."""

    @asynccontextmanager
    async def open(self, file: EngineFile) -> AsyncIterator[ByteStream]:
        """Two pieces."""

        async def pieces() -> ByteStream:
            yield b"pic"
            await asyncio.sleep(0.15)
            yield b"ture"

        yield pieces()


async def test_the_slowness_of_an_engine_is_not_the_storage_s() -> None:
    blobs, limits = MemoryBlobs(), WorkLimits(storage=0.05, storage_tries=1)
    await Collect(SlowEngine([]), blobs, limits).collect(claim(), [output("7", file("a.png"))])
    assert list(blobs.files.values()) == [b"picture"]


@pytest.fixture
def small_disk(tmp_path: Path) -> AsyncIterator[Path] | Any:
    """A disk of 1 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", folder]).returncode:
        pytest.skip("only root can make a disk of its own")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


async def test_a_full_disk_is_said_to_be_full(small_disk: Path) -> None:
    blobs = LocalBlobs(small_disk / "blobs")
    with pytest.raises(StorageFailed, match="full"):
        await collect({file("a.png"): bytes(3 * 1024 * 1024)}, blobs)
    collected = await collect({file("b.png"): b"small"}, blobs)
    assert collected.outputs[0].size == 5


async def test_a_full_disk_beside_the_converter(small_disk: Path) -> None:
    with pytest.raises(StorageFailed, match="No space left"):
        await collect(
            {file("a.png"): bytes(3 * 1024 * 1024)},
            MemoryBlobs(),
            options={"convert": Conversion("webp")},
            converter=Converter(small_disk / "scratch"),
        )


# --------------------------------------------------------------------------------------------- a caller's target


class ScriptedTarget:
    """Keeps what it is given, or fails as it is told, name by name; a failure that is None never returns. `default`:
    how every other put fails."""

    def __init__(
        self,
        failures: Mapping[str, Sequence[DomainError | None]] | None = None,
        *,
        default: DomainError | None = None,
        at_once: int = 4,
    ) -> None:
        self.default = default
        self.at_once = at_once
        self.putting = self.most_at_once = 0
        self.files: dict[str, tuple[bytes, int, str]] = {}
        self.asked: list[str] = []
        self.open_now = 0
        self._failures = {name: list(all_of_it) for name, all_of_it in (failures or {}).items()}

    def address(self, name: str) -> str:
        """What `put` answers."""
        return f"https://files.example.com/{name}"

    async def put(self, name: str, content: ByteStream, *, size: int, mime: str) -> str:
        """Keep, or fail."""
        self.asked.append(name)
        self.putting += 1
        self.most_at_once = max(self.most_at_once, self.putting)
        try:
            return await self._put(name, b"".join([piece async for piece in content]), size, mime)
        finally:
            self.putting -= 1

    async def _put(self, name: str, data: bytes, size: int, mime: str) -> str:
        for _ in range(10):  # so that others could come meanwhile
            await asyncio.sleep(0)
        if self._failures.get(name):
            failure = self._failures[name].pop(0)
            if failure is None:
                await asyncio.Event().wait()
            else:
                raise failure
        if self.default:
            raise self.default
        self.files[name] = (data, size, mime)
        return f"https://files.example.com/{name}"


class ScriptedTargets:
    """Opens one target; or refuses."""

    def __init__(self, target: ScriptedTarget, refusal: DomainError | None = None) -> None:
        self.target = target
        self.uploads = Uploads()
        self.refusal = refusal
        self.wishes: list[TargetWish] = []

    @asynccontextmanager
    async def open(self, wish: TargetWish) -> AsyncIterator[Target]:
        """The target."""
        self.wishes.append(wish)
        if self.refusal:
            raise self.refusal
        self.target.open_now += 1
        try:
            yield self.target
        finally:
            self.target.open_now -= 1


FILES = {file("a.png", "x"): b"1", file("a.png", "y"): b"22", file("b.mp4"): b"333"}
NAMES = [f"{RUN}_x/a.png", f"{RUN}_y/a.png", f"{RUN}_b.mp4"]


async def send(target: ScriptedTarget, blobs: Blobs, *, limits: WorkLimits = LIMITS, **refusal: Any) -> Collected:
    """Collect three files for a target."""
    targets = ScriptedTargets(target, **refusal)
    collected = await collect(FILES, blobs, limits=limits, options={"target": WISH}, targets=targets)
    assert targets.wishes == [WISH] and target.open_now == 0
    return collected


async def test_what_is_in_the_target_is_not_kept_here() -> None:
    target, blobs = ScriptedTarget(), MemoryBlobs()
    collected = await send(target, blobs)
    assert collected.error is None and blobs.files == {}
    assert {name: target.files[name] for name in NAMES} == target.files
    assert target.files[NAMES[1]] == (b"22", 2, "image/png")
    assert [(kept.blob_key, kept.url) for kept in collected.outputs] == [
        ("", f"https://files.example.com/{name}") for name in NAMES
    ]
    assert [kept.size for kept in collected.outputs] == [1, 2, 3]


BUSY = TargetFailed("The bucket is busy.", retryable=True)


async def test_a_target_in_trouble_is_asked_again() -> None:
    target, blobs = ScriptedTarget({NAMES[0]: [BUSY, None], NAMES[2]: [BUSY]}), MemoryBlobs()
    limits = WorkLimits(storage=0.05, storage_pause=0.001, target_tries=3)
    collected = await send(target, blobs, limits=limits)
    assert collected.error is None and target.files[NAMES[0]][0] == b"1" and blobs.files == {}
    assert (target.asked.count(NAMES[0]), target.asked.count(NAMES[1]), target.asked.count(NAMES[2])) == (3, 1, 2)


@pytest.mark.parametrize(
    ("failures", "asked"),
    [([TargetFailed("Forbidden.")], 1), ([BUSY] * 3, 3)],
    ids=["refuses", "stays busy"],
)
async def test_a_target_that_fails_for_good_loses_nothing(failures: list[DomainError], asked: int) -> None:
    target, blobs = ScriptedTarget({NAMES[1]: failures}), MemoryBlobs()
    collected = await send(target, blobs)
    assert collected.error is failures[-1] and target.asked.count(NAMES[1]) == asked
    assert [blobs.files[kept.blob_key] for kept in collected.outputs] == [b"1", b"22", b"333"]
    assert collected.outputs[1].url == ""


@pytest.mark.parametrize("refusal", [InvalidInput("No such bucket."), TargetFailed("No answer.", retryable=True)])
async def test_a_target_that_cannot_be_opened_loses_nothing(refusal: DomainError) -> None:
    blobs = MemoryBlobs()
    collected = await send(ScriptedTarget(), blobs, refusal=refusal)
    assert collected.error is refusal and len(blobs.files) == 3


@pytest.mark.parametrize("at_once", [1, 2])
async def test_a_target_gets_no_more_files_at_once_than_it_takes(at_once: int) -> None:
    target = ScriptedTarget(at_once=at_once)
    assert (await send(target, MemoryBlobs())).error is None
    assert (target.most_at_once, len(target.files)) == (at_once, 3)


async def test_a_worker_without_targets_loses_nothing() -> None:
    blobs = MemoryBlobs()
    collected = await collect(FILES, blobs, options={"target": WISH})
    assert isinstance(collected.error, TargetFailed) and len(blobs.files) == 3


async def test_a_copy_of_ours_that_cannot_be_dropped_stays_with_the_run() -> None:
    blobs = TroubledBlobs()
    blobs.deleting = REFUSED
    collected = await send(ScriptedTarget(), blobs)
    assert collected.error is None
    assert all(kept.url and kept.blob_key in blobs.files for kept in collected.outputs)


async def test_texts_are_not_sent() -> None:
    target = ScriptedTarget()
    outputs = [NodeOutput("7", "text", 0, value="hello")]
    collecting = Collect(engine_with({}), MemoryBlobs(), LIMITS, targets=ScriptedTargets(target))
    collected = await collecting.collect(claim(target=WISH), outputs)
    assert (target.asked, collected.outputs[0].value, collected.outputs[0].url) == ([], "hello", "")
