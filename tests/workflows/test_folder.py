"""The workflow folder: names, clashes, bounds, reload."""

import asyncio
import logging
import os
from pathlib import Path

import pytest

from comfyserve.workflows import WorkflowFolder, WorkflowLimits, load_workflows
from tests.workflows.folders import Engine, fill, found

PYTHON = (
    "from pydantic import BaseModel\nclass Input(BaseModel): ...\n"
    "def generate(input):\n    return {'1': {'class_type': 'A'}}\n"
)
BARE = '{"1": {"class_type": "B", "inputs": {}}}'


async def opened(folder: Path, limits: WorkflowLimits | None = None) -> WorkflowFolder:
    return await load_workflows(folder, Engine().context(), limits)


def paths(workflows: WorkflowFolder) -> list[str]:
    return [workflow.path for workflow in workflows.endpoints]


async def class_of(workflows: WorkflowFolder, path: str) -> str:
    workflow = found(workflows, path)
    return str((await workflow.graph(await workflow.read({})))["1"]["class_type"])


async def test_folders_dots_and_hyphens_are_parts_of_the_route(tmp_path: Path) -> None:
    files = {"a.py": PYTHON, "sd1.5/txt2img-with-refiner.py": PYTHON, "x/y/v1.0-b.json": BARE, "x/readme.md": "no"}
    workflows = await opened(fill(tmp_path, files))
    assert paths(workflows) == ["a", "sd1.5/txt2img-with-refiner", "x/y/v1.0-b"]
    assert dict(workflows.unreadable) == {}
    assert len(workflows.endpoints) == 3
    assert workflows.endpoints[0].path == "a"


async def test_a_folder_that_is_not_there_is_empty(tmp_path: Path) -> None:
    workflows = await opened(tmp_path / "none")
    assert (paths(workflows), dict(workflows.unreadable)) == ([], {})


async def test_names_that_clash_are_told(tmp_path: Path) -> None:
    workflows = await opened(fill(tmp_path, {"s/a.py": PYTHON, "s/a.json": BARE, "b.json": BARE, "b/c.py": PYTHON}))
    assert paths(workflows) == ["b", "b/c", "s/a"]
    assert await class_of(workflows, "s/a") == "A"
    assert dict(workflows.unreadable) == {
        "s/a.json": "a.py in the same folder has the same name and answers. Rename one."
    }


async def test_helpers_and_hidden_files_are_no_workflows(tmp_path: Path) -> None:
    files = {"_shared.py": "", ".hidden.py": "", "__pycache__/a.py": "", ".git/a.json": "", "node_modules/z/i.js": ""}
    workflows = await opened(fill(tmp_path, files))
    assert (paths(workflows), dict(workflows.unreadable)) == ([], {})


async def test_links_out_of_the_folder_are_not_followed(tmp_path: Path) -> None:
    outside = fill(tmp_path / "outside", {"secret.json": BARE, "deep/a.json": BARE})
    folder = fill(tmp_path / "inside", {"real.json": BARE})
    (folder / "secret.json").symlink_to(outside / "secret.json")
    (folder / "deep").symlink_to(outside / "deep")
    (folder / "loop").symlink_to(folder)
    (folder / "gone.json").symlink_to(folder / "nothing.json")
    (folder / "again.json").symlink_to(folder / "real.json")
    workflows = await opened(folder)
    assert paths(workflows) == ["again", "real"]
    assert sorted(workflows.unreadable) == ["deep", "gone.json", "loop", "secret.json"]
    assert "link out of the workflow folder" in workflows.unreadable["secret.json"]


async def test_what_is_no_file_is_passed_over(tmp_path: Path) -> None:
    fill(tmp_path, {"a.json/inner.py": PYTHON})
    os.mkfifo(tmp_path / "pipe.py")
    workflows = await opened(tmp_path)
    assert paths(workflows) == ["a.json/inner"]
    assert workflows.unreadable == {"pipe.py": "It is no ordinary file."}


async def test_number_depth_and_size_are_bounded(tmp_path: Path) -> None:
    files = {f"{number}.json": BARE for number in range(5)} | {"0.json": " " * 2000 + BARE, "d/d/d/a.json": BARE}
    workflows = await opened(fill(tmp_path, files), WorkflowLimits(files=3, depth=2, file_bytes=1000))
    assert paths(workflows) == ["1", "2"]
    assert "larger" in workflows.unreadable["0.json"]
    assert "more than 3 workflow files" in workflows.unreadable["4.json"]
    assert "deeper than 2 folders" in workflows.unreadable["d/d/d"]


async def test_changes_are_seen_at_a_refresh(tmp_path: Path) -> None:
    workflows = await opened(fill(tmp_path, {"a.py": PYTHON, "gone.json": BARE, "bad.py": "("}))
    endpoints = workflows.endpoints
    kept = found(workflows, "a")
    await workflows.refresh()
    assert found(workflows, "a") is kept
    fill(tmp_path, {"a.py": PYTHON.replace("'A'", "'Changed'"), "new.json": BARE, "bad.py": PYTHON})
    (tmp_path / "gone.json").unlink()
    await workflows.refresh()
    assert [workflow.path for workflow in endpoints] == ["a", "bad", "new"]
    assert await class_of(workflows, "a") == "Changed"
    assert dict(workflows.unreadable) == {}


async def test_a_changed_helper_reloads_those_that_import_it(tmp_path: Path) -> None:
    text = "from ._word import WORD\n" + PYTHON.replace("'A'", "WORD")
    workflows = await opened(fill(tmp_path, {"a.py": text, "_word.py": "WORD = 'one'"}))
    assert await class_of(workflows, "a") == "one"
    fill(tmp_path, {"_word.py": "WORD = 'three'"})
    await workflows.refresh()
    assert await class_of(workflows, "a") == "three"


async def test_a_broken_change_takes_the_workflow_away_until_it_is_mended(tmp_path: Path) -> None:
    workflows = await opened(fill(tmp_path, {"a.py": PYTHON}))
    fill(tmp_path, {"a.py": "def"})
    await workflows.refresh()
    assert paths(workflows) == []
    assert "SyntaxError" in workflows.unreadable["a"]
    fill(tmp_path, {"a.py": PYTHON})
    await workflows.refresh()
    assert await class_of(workflows, "a") == "A"


async def test_a_folder_with_too_many_entries_is_not_read_to_its_end(tmp_path: Path) -> None:
    workflows = await opened(fill(tmp_path, {f"{number}.txt": "" for number in range(30)}), WorkflowLimits(files=1))
    assert "more than 20 files and folders" in workflows.unreadable["."]


async def test_who_writes_workflows_sees_changes_while_it_runs(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    workflows = await opened(tmp_path)
    loaded = asyncio.Event()
    caplog.set_level(logging.INFO, "comfyserve.workflows")
    monkeypatch.setattr(caplog.handler, "emit", lambda record: loaded.set())
    watching = asyncio.create_task(workflows.watch(0.01))
    fill(tmp_path, {"new.json": BARE})
    async with asyncio.timeout(20):
        await loaded.wait()
    watching.cancel()
    assert paths(workflows) == ["new"]
