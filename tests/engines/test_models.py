"""Files of ours among an engine's models: linked where its folders are ours, copied where it is elsewhere."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from comfyserve.core.errors import EngineError
from comfyserve.core.outputs import EngineFile
from comfyserve.engines.folders import Folders
from comfyserve.engines.models import Models, Shelf
from comfyserve.fetch.cache.store import Store
from comfyserve.fetch.fetching import Fetching, FetchingLimits
from comfyserve.fetch.guard import Guard
from comfyserve.protocol.files import MODEL_EXTENSIONS
from tests.fetch.cache.scripted import File, ScriptedSource

KEY = "Pk6VSKLStckZydwGhX0bM8TqaqHEW9yt.safetensors"


class Listing:
    """The routes of an engine over folders: kind -> its folders, first choice first."""

    def __init__(self, folders: Mapping[str, list[Path]], *, told: Mapping[str, list[str]] | None = None) -> None:
        self.folders = folders
        self.told = (
            told if told is not None else {kind: [str(path) for path in paths] for kind, paths in folders.items()}
        )
        self.misses = 0

    async def __call__(self, path: str) -> Any:
        """The answer of a route."""
        if path == "/models":
            return [*self.folders]
        if path == "/internal/folder_paths":
            return dict(self.told) or None
        self.misses -= 1
        kind = unquote(path.removeprefix("/models/"))
        if self.misses >= 0 or kind not in self.folders:
            return []
        found = [entry for folder in self.folders[kind] if folder.is_dir() for entry in folder.rglob("*")]
        return [entry.name for entry in found if entry.suffix in MODEL_EXTENSIONS and entry.exists()]


@pytest.fixture
def cached(tmp_path: Path) -> Path:
    path = tmp_path / "cache" / KEY
    path.parent.mkdir()
    path.write_bytes(b"weights")
    return path


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return tmp_path / "comfy"


def listing(base: Path, *kinds: str) -> Listing:
    return Listing({kind: [base / "models" / kind] for kind in kinds or ("loras",)})


async def test_a_model_is_linked_once(base: Path, cached: Path) -> None:
    models = Models(listing(base), Folders(base))
    for _ in range(2):
        offered = await models.add("loras", KEY, cached)
        assert (offered.name, offered.link) == (KEY, base / "models" / "loras" / KEY)
    assert (base / "models" / "loras" / KEY).readlink() == cached
    assert [entry.name for entry in (base / "models" / "loras").iterdir()] == [KEY]
    assert await models.offered() == {"loras": [KEY]}


async def test_a_link_that_leads_nowhere_is_replaced(base: Path, cached: Path) -> None:
    place = base / "models" / "loras" / KEY
    place.parent.mkdir(parents=True)
    place.symlink_to(base / "gone")
    await Models(listing(base), Folders(base)).add("loras", KEY, cached)
    assert place.read_bytes() == b"weights"


async def test_a_file_of_somebody_else_is_left_alone(base: Path, cached: Path) -> None:
    place = base / "models" / "loras" / KEY
    place.parent.mkdir(parents=True)
    place.write_bytes(b"theirs")
    offered = await Models(listing(base), Folders(base)).add("loras", KEY, cached)
    assert offered.name == f"{Path(KEY).stem}_2.safetensors"
    assert place.read_bytes() == b"theirs"
    assert offered.link is not None and offered.link.read_bytes() == b"weights"


@pytest.mark.parametrize(
    ("kind", "told", "there", "chosen"),
    [
        ("diffusion_models", ["unet", "diffusion_models"], ["unet", "diffusion_models"], "diffusion_models"),
        ("diffusion_models", ["unet", "diffusion_models"], ["unet"], "unet"),
        ("unet", ["unet", "diffusion_models"], [], "diffusion_models"),
        ("clip", ["text_encoders", "clip"], ["clip"], "clip"),
        ("loras", ["../../elsewhere/loras", "loras"], ["loras"], "loras"),
    ],
)
async def test_which_folder_a_kind_means(
    base: Path, cached: Path, kind: str, told: list[str], there: list[str], chosen: str
) -> None:
    known = {"unet": "diffusion_models", "clip": "text_encoders"}.get(kind, kind)
    engine = Listing({known: [base / "models" / name for name in told]})
    for name in there:
        (base / "models" / name).mkdir(parents=True)
    offered = await Models(engine, Folders(base)).add(kind, KEY, cached)
    assert offered.link == base / "models" / chosen / KEY


async def test_models_may_lie_elsewhere_than_the_rest(base: Path, cached: Path, tmp_path: Path) -> None:
    moved = tmp_path / "disk"
    engine = Listing({"loras": [moved / "loras"]})
    offered = await Models(engine, Folders(base, {"models": moved})).add("loras", KEY, cached)
    assert offered.link == moved / "loras" / KEY


async def test_a_folder_outside_of_the_engines_models_is_not_written(base: Path, cached: Path, tmp_path: Path) -> None:
    engine = Listing({"loras": [tmp_path / "outside"]})
    with pytest.raises(EngineError, match="outside of its folder of models only"):
        await Models(engine, Folders(base)).add("loras", KEY, cached)
    assert not (tmp_path / "outside").exists()


async def test_an_operator_may_link_a_folder_of_models_to_another_disk(
    base: Path, cached: Path, tmp_path: Path
) -> None:
    (tmp_path / "disk").mkdir()
    (base / "models").mkdir(parents=True)
    (base / "models" / "loras").symlink_to(tmp_path / "disk")
    await Models(listing(base), Folders(base)).add("loras", KEY, cached)
    assert (tmp_path / "disk" / KEY).read_bytes() == b"weights"


@pytest.mark.parametrize("name", ["../x.pt", "a/b.pt", "/x.pt", "", "..", "a\0.pt"])
async def test_a_name_that_leaves_the_folder_is_refused(base: Path, cached: Path, name: str) -> None:
    with pytest.raises(EngineError, match="cannot be the name of a model"):
        await Models(listing(base), Folders(base)).add("loras", name, cached)


async def test_an_unknown_kind_names_the_known_ones(base: Path, cached: Path) -> None:
    with pytest.raises(EngineError, match=r"no models of the kind 'nonsense'\. It has: loras, vae"):
        await Models(listing(base, "vae", "loras"), Folders(base)).add("nonsense", KEY, cached)
    offered = await Models(listing(base), Folders(base)).add("reactor/faces", KEY, cached)
    assert offered.link == base / "models" / "reactor" / "faces" / KEY


async def test_a_file_that_the_engine_does_not_list_leaves_no_link(base: Path, cached: Path) -> None:
    """A model that was refused stayed among the engine's for ever."""
    engine = listing(base)
    engine.misses = 9
    with pytest.raises(EngineError, match="does not offer the file"):
        await Models(engine, Folders(base)).add("loras", KEY, cached)
    assert list((base / "models" / "loras").iterdir()) == []


async def test_an_engine_that_listed_its_folder_a_moment_too_early_is_asked_again(base: Path, cached: Path) -> None:
    engine = listing(base)
    engine.misses = 1
    assert (await Models(engine, Folders(base)).add("loras", KEY, cached)).name == KEY
    engine.misses = 9
    with pytest.raises(EngineError, match="does not offer the file"):
        await Models(engine, Folders(base)).add("loras", KEY, cached)


async def test_an_old_engine_that_tells_no_folders_has_the_usual_ones(base: Path, cached: Path) -> None:
    engine = Listing({"controlnet": [base / "models" / "controlnet"]}, told={})
    offered = await Models(engine, Folders(base)).add("controlnet", KEY, cached)
    assert offered.link == base / "models" / "controlnet" / KEY


async def test_a_folder_that_takes_no_files_is_said(base: Path, cached: Path) -> None:
    (base / "models").mkdir(parents=True)
    (base / "models" / "loras").write_bytes(b"a file in the way")
    with pytest.raises(EngineError, match=r"takes no model: .*Make it writable"):
        await Models(listing(base), Folders(base)).add("loras", KEY, cached)


async def test_folders_out_of_reach_say_what_to_do(cached: Path) -> None:
    with pytest.raises(EngineError, match="Mount it"):
        await Models(Listing({"loras": []}), None, why_not="Mount it.").add("loras", KEY, cached)


@pytest.mark.parametrize("told", ["/opt/ComfyUI/models/loras", "C:\\ComfyUI\\models\\loras"])
async def test_an_engine_elsewhere_gets_a_file_that_needs_no_link(base: Path, cached: Path, told: str) -> None:
    mounted = base / "mounted"
    engine = Listing({"loras": [mounted / "loras"]}, told={"loras": [told]})
    models = Models(engine, Folders(mounted, {"models": mounted}), far=True)
    for _ in range(2):
        offered = await models.add("loras", KEY, cached)
        assert (offered.name, offered.link) == (KEY, mounted / "loras" / KEY)
    place = mounted / "loras" / KEY
    assert place.read_bytes() == b"weights" and not place.is_symlink()


@pytest.mark.parametrize("far", [True, False], ids=["elsewhere", "here"])
async def test_what_an_engine_was_given_goes_with_the_cached_file(base: Path, tmp_path: Path, far: bool) -> None:
    urls = [f"http://host.example/{number}.pt" for number in range(2)]
    source = ScriptedSource({url: File(b"x" * 100_000) for url in urls})
    store = Store(tmp_path / "downloads", 150_000)
    store.open()
    fetching = Fetching({"http": source}, store, Guard("off"), FetchingLimits(), clock=time.time)
    engine = Listing({"loras": [base / "models" / "loras"]})
    models = Models(engine, Folders(base), far=far)
    places = []
    for url in urls:
        async with fetching.fetch(url, purpose="model") as file:
            offered = await models.add("loras", file.path.name, file.path)
            assert offered.link is not None
            await fetching.link(file.path, offered.link)
            places.append(offered.link)
            assert offered.link.read_bytes() == b"x" * 100_000
    assert [place.exists() for place in places] == [False, True]
    await fetching.close()


def test_a_copy_on_another_disk_is_known_again(base: Path, cached: Path) -> None:
    shelf = Shelf(base, far=True)
    directory = base / "diffusers"
    repository = cached.parent / "repository"
    (repository / "unet").mkdir(parents=True)
    (repository / "model_index.json").write_text("{}")
    for is_new in (True, False):
        assert shelf.put(directory, "repository", repository) == ("repository", is_new)
    assert (directory / "repository" / "model_index.json").is_file()
    assert [entry.name for entry in directory.iterdir()] == ["repository"]


async def test_a_repository_is_offered_as_a_folder(base: Path, cached: Path) -> None:
    (cached.parent / "model_index.json").write_text("{}")
    offered = await Models(listing(base, "diffusers"), Folders(base)).add("diffusers", "repo", cached.parent)
    assert offered.link is not None and (offered.link / "model_index.json").is_file()


async def test_pictures_of_a_run_go_with_their_folder_and_others_stay(base: Path) -> None:
    ours, theirs = base / "input" / "comfyserve" / "run-1_0", base / "input" / "comfyserve" / "kept"
    for folder in (ours, theirs):
        folder.mkdir(parents=True)
        (folder / "0000.png").write_bytes(b"")
    files = [EngineFile("0000.png", f"comfyserve/{folder.name}", "input") for folder in (ours, theirs)]
    await Folders(base).remove(["run-1"], files)
    assert not ours.exists() and theirs.is_dir()
    assert Folders(base).input_path("comfyserve/run-1_0") == ours
    assert Folders(base).input_path("../x") is None
