"""ComfyUI's modules as packs import them: what docs/node-packs.md lists is there, and does what it says."""

import importlib
import re
from contextvars import Context
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from comfyserve.embedded.files.folders import Folders
from comfyserve.embedded.packs.arrays import pack_values
from comfyserve.embedded.packs.host import NeedsTorch

from .conftest import Write, loaded

DOCS = Path(__file__).parents[3] / "docs" / "node-packs.md"
ROW = re.compile(r"^\| `([\w.]+)` \| (`.+`) \|$", re.MULTILINE)
MODULES = Path(__file__).parents[3] / "src" / "comfyserve" / "embedded" / "comfy_modules"


def listed() -> dict[str, list[str]]:
    return {name: re.findall(r"`(\w+)`", offers) for name, offers in ROW.findall(DOCS.read_text())}


async def test_everything_listed_is_there(folders: Folders) -> None:
    await loaded(folders)
    absent = [
        f"{name}.{word}"
        for name, words in listed().items()
        for word in words
        if not hasattr(importlib.import_module(name), word)
    ]
    assert absent == []


def test_every_module_is_listed() -> None:
    files = (path.relative_to(MODULES).with_suffix("") for path in MODULES.rglob("*.py") if path.name != "__init__.py")
    names = {".".join(path.parts) for path in files if not path.name.startswith("_")}
    assert names <= listed().keys()


async def test_modules_are_one_under_both_names(folders: Folders) -> None:
    await loaded(folders)
    ours = importlib.import_module("comfyserve.embedded.comfy_modules.folder_paths")
    assert importlib.import_module("folder_paths") is ours
    assert importlib.import_module("comfy").utils is importlib.import_module("comfy.utils")


async def test_an_engine_that_starts_later_has_modules_of_its_own(tmp_path: Path) -> None:
    for name in ("first", "second"):
        folders = Folders(tmp_path / name)
        folders.create()
        await loaded(folders)
        assert importlib.import_module("folder_paths").base_path == str(folders.base)


async def test_torch_and_the_rest_of_comfyui_are_refused_with_a_reason(folders: Folders) -> None:
    await loaded(folders)
    for name in ("comfy.sd", "comfy.ldm.modules", "comfy_extras.nodes_of_nobody", "app.nothing"):
        with pytest.raises(ModuleNotFoundError, match="use a real ComfyUI"):
            importlib.import_module(name)
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("torch")
    with pytest.raises(NeedsTorch, match=r"comfy\.model_management\.get_torch_device needs torch"):
        importlib.import_module("comfy.model_management").get_torch_device()
    with pytest.raises(AttributeError):
        _ = importlib.import_module("comfy.model_management").no_such_thing


async def test_model_folders_that_a_pack_adds(folders: Folders) -> None:
    await loaded(folders)
    paths = importlib.import_module("folder_paths")
    extra = folders.base / "extra"
    (extra / "deep").mkdir(parents=True)
    (extra / "deep" / "a.safetensors").touch()
    (extra / "notes.txt").touch()
    (extra.parent / "secret.txt").touch()
    paths.add_model_folder_path("unet", str(extra), is_default=True)
    paths.add_model_folder_path("mine", str(extra))
    assert paths.get_folder_paths("diffusion_models")[0] == str(extra)
    assert "deep/a.safetensors" in paths.get_filename_list("unet")
    assert paths.get_filename_list("mine") == ["deep/a.safetensors", "notes.txt"]
    assert paths.get_full_path("mine", "deep/a.safetensors") == str(extra / "deep" / "a.safetensors")
    assert paths.get_full_path("mine", "../secret.txt") is None
    assert paths.get_full_path("nothing", "a") is None
    with pytest.raises(FileNotFoundError):
        paths.get_full_path_or_raise("mine", "b")
    with pytest.raises(KeyError):
        paths.get_filename_list("nothing")


async def test_the_engine_sees_model_folders_that_a_pack_adds(folders: Folders, write: Write) -> None:
    extra = folders.base / "extra"
    extra.mkdir()
    (extra / "own.safetensors").touch()
    write(
        "p.py",
        f"import folder_paths\nfolder_paths.add_model_folder_path('loras', {str(extra)!r})\nNODE_CLASS_MAPPINGS = {{}}",
    )
    engine = await loaded(folders)
    engine.enter()
    assert "own.safetensors" in engine.catalogue.info("LoraLoader")["input"]["required"]["lora_name"][0]
    assert folders.model_path("loras", "own.safetensors") == extra / "own.safetensors"


async def test_file_names(folders: Folders) -> None:
    await loaded(folders)
    paths = importlib.import_module("folder_paths")
    (folders.output / "x.png").touch()
    assert paths.get_annotated_filepath("a/b.png [temp]") == str(folders.temp / "a" / "b.png")
    assert paths.get_annotated_filepath("b.png", "/elsewhere") == "/elsewhere/b.png"
    assert (paths.exists_annotated_filepath("x.png [output]"), paths.exists_annotated_filepath("x.png")) == (
        True,
        False,
    )
    assert paths.filter_files_content_types(["a.png", "b.mp4", "c.fbx", "d.webp", "e.txt"], ["image", "model"]) == [
        "a.png",
        "c.fbx",
        "d.webp",
    ]
    saved = paths.get_save_image_path("in/%width%x%height%", str(folders.output), 3, 4)
    assert saved == (str(folders.output / "in"), "3x4", 1, "in", "in/3x4")
    with pytest.raises(ValueError, match="leaves its folder"):
        paths.get_save_image_path("../x", str(folders.output))


async def test_node_tables_are_live(folders: Folders) -> None:
    engine = await loaded(folders)
    nodes = importlib.import_module("nodes")
    table, titles = nodes.NODE_CLASS_MAPPINGS, nodes.NODE_DISPLAY_NAME_MAPPINGS
    assert set(table) == set(engine.catalogue)
    assert titles["SaveImage"] == "Save Image"
    mine = type("Mine", (nodes.SaveImage,), {})
    table["Mine"] = mine
    titles["Mine"] = "My own"
    assert (table["Mine"], engine.catalogue.info("Mine")["display_name"]) == (mine, "My own")
    del table["Mine"]
    assert "Mine" not in engine.catalogue
    with pytest.raises(AttributeError):
        _ = nodes.NoSuchNode


async def test_weights_in_prompts(folders: Folders) -> None:
    await loaded(folders)
    clip = importlib.import_module("comfy.sd1_clip")
    text = clip.escape_important("a (b:1.5) ((c)) \\(d\\)")
    found = [(clip.unescape_important(part), round(weight, 3)) for part, weight in clip.token_weights(text, 1.0)]
    assert found == [("a ", 1.0), ("b", 1.5), (" ", 1.0), ("c", 1.21), (" (d)", 1.0)]


async def test_pictures_and_dictionaries(folders: Folders) -> None:
    await loaded(folders)
    utils = importlib.import_module("comfy.utils")
    video = np.random.default_rng(0).random((2, 3, 4, 8, 6), dtype=np.float32)
    assert utils.common_upscale(video, 12, 16, "bilinear", "disabled").shape == (2, 3, 4, 16, 12)
    assert utils.common_upscale(video[:, :, 0], 12, 4, "area", "center").shape == (2, 3, 4, 12)
    assert utils.repeat_to_batch_size(np.arange(3), 5).tolist() == [0, 1, 2, 0, 1]
    assert utils.state_dict_prefix_replace({"a.x": 1, "b": 2}, {"a.": "c."}, filter_keys=True) == {"c.x": 1}
    bar = utils.ProgressBar(3)
    Context().run(bar.update, 5)  # outside of any node
    assert bar.current == 3


def test_arrays_answer_to_tensor_words() -> None:
    picture = np.arange(24, dtype=np.float32).reshape(1, 2, 4, 3)
    sound = {"waveform": picture, "sample_rate": 8}
    given = pack_values({"image": [picture, 5], "audio": [sound]})
    view: Any = given["image"][0]
    assert (view.size(), view.size(1), int(view.size), given["image"][1]) == ((1, 2, 4, 3), 2, 24, 5)
    assert type(view.cpu().detach().numpy()) is np.ndarray
    assert view.permute(0, 3, 1, 2).shape == (1, 3, 2, 4)
    assert view.movedim(-1, 1).unsqueeze(0).shape == (1, 1, 3, 2, 4)
    assert np.shares_memory(view, picture) and not np.shares_memory(view.clone(), picture)
    assert given["audio"][0]["waveform"].to("cpu").float().contiguous().size(-1) == 3
    assert type(sound["waveform"]) is np.ndarray
