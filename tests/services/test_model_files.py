"""Models under names that callers choose: nobody's file changes, names stay in their folder, the engine lists them."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import pytest

from comfyserve.core.credentials import BearerAuth
from comfyserve.core.errors import Conflict, EngineError, FetchFailed, FetchRefused, InvalidInput, Place
from comfyserve.engines.folders import Folders
from comfyserve.engines.models import Models, untold_models
from comfyserve.fetch.cache.store import Store
from comfyserve.fetch.fetching import Fetching, FetchingLimits
from comfyserve.fetch.guard import Guard
from comfyserve.ports import OfferedModel
from comfyserve.services.model_files import ModelFiles, ModelOrder
from comfyserve.testing import ScriptedEngine
from tests.engines.test_models import Listing
from tests.fetch.cache.scripted import File, ScriptedSource

URL = "http://host.example/models/one.safetensors"
OTHER = "http://host.example/models/two.safetensors"
SAFE = (2).to_bytes(8, "little") + b"{}"


class ModelEngine(ScriptedEngine):
    """An engine with real folders of models."""

    def __init__(self, base: Path, *kinds: str) -> None:
        super().__init__([])
        self.listing = Listing({kind: [base / "models" / kind] for kind in kinds})
        self._models = Models(self.listing, Folders(base))

    async def model_folders(self) -> Mapping[str, Sequence[str]]:
        """As ComfyUI tells them."""
        return await self._models.offered()

    async def add_model(self, folder: str, name: str, path: Path, *, exact: bool = False) -> OfferedModel:
        """A link."""
        return await self._models.add(folder, name, path, exact=exact)


class Shop:
    """The use case over a scripted origin."""

    def __init__(self, folder: Path, cache_bytes: int = 0) -> None:
        self.base = folder / "comfy"
        self.source = ScriptedSource({URL: File(SAFE + b"one"), OTHER: File(SAFE + b"two!")})
        store = Store(folder / "cache", cache_bytes)
        store.open()
        self.fetching = Fetching({"http": self.source}, store, Guard("off"), FetchingLimits(), clock=time.time)
        engine = ModelEngine(self.base, "checkpoints", "loras", "text_encoders", "diffusion_models", "unet_gguf")
        root = self.base / "models"
        self.files = ModelFiles(self.fetching, engine, clock=time.monotonic, on_disk=partial(untold_models, root))

    def place(self, name: str, kind: str = "loras") -> Path:
        return self.base / "models" / kind / name


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    made = Shop(tmp_path)
    yield made
    await made.fetching.close()


async def test_a_model_has_the_callers_name_and_is_listed(shop: Shop) -> None:
    arrived = await shop.files.download(ModelOrder(URL, "loras", "mine.safetensors"))
    assert (arrived.filename, arrived.size) == ("mine.safetensors", 13) and arrived.seconds >= 0
    assert shop.place("mine.safetensors").read_bytes() == SAFE + b"one"
    assert (await shop.files.models())["loras"] == ["mine.safetensors"]


async def test_one_download_serves_many_names(shop: Shop) -> None:
    names = ("a.safetensors", "b.safetensors", "a.safetensors")
    arrived = await asyncio.gather(*(shop.files.download(ModelOrder(URL, "loras", name)) for name in names))
    assert [one.filename for one in arrived] == [*names]
    assert shop.source.downloads == {URL: 1}


async def test_two_addresses_with_one_name_never_change_each_other(shop: Shop) -> None:
    """The second download changed the bytes of the first one's model."""
    await shop.files.download(ModelOrder(URL, "loras", "m.safetensors"))
    with pytest.raises(Conflict, match=r"Another file has the name m\.safetensors in the folder loras"):
        await shop.files.download(ModelOrder(OTHER, "loras", "m.safetensors"))
    assert shop.place("m.safetensors").read_bytes() == SAFE + b"one"
    await shop.files.download(ModelOrder(OTHER, "checkpoints", "m.safetensors"))
    assert shop.place("m.safetensors", "checkpoints").read_bytes() == SAFE + b"two!"


async def test_two_addresses_with_one_name_at_once_leave_one_of_them_whole(shop: Shop) -> None:
    orders = [ModelOrder(url, "loras", "m.safetensors") for url in (URL, OTHER)]
    ended = await asyncio.gather(*map(shop.files.download, orders), return_exceptions=True)
    assert sorted(type(one).__name__ for one in ended) == ["Conflict", "ModelArrived"]
    winner = URL if isinstance(ended[1], Conflict) else OTHER
    assert shop.place("m.safetensors").read_bytes() == shop.source.files[winner].content


async def test_the_file_of_an_operator_is_left_alone(shop: Shop) -> None:
    shop.place("m.safetensors").parent.mkdir(parents=True)
    shop.place("m.safetensors").write_bytes(b"theirs")
    with pytest.raises(Conflict):
        await shop.files.download(ModelOrder(URL, "loras", "m.safetensors"))
    assert shop.place("m.safetensors").read_bytes() == b"theirs"


async def test_a_link_that_leads_nowhere_gives_its_name_away(shop: Shop) -> None:
    shop.place("m.safetensors").parent.mkdir(parents=True)
    shop.place("m.safetensors").symlink_to(shop.base / "evicted")
    assert (await shop.files.download(ModelOrder(URL, "loras", "m.safetensors"))).filename == "m.safetensors"


@pytest.mark.parametrize(
    ("wanted", "file", "given"),
    [
        ("555", File(b"pickled", name="m.ckpt"), "555.ckpt"),
        ("555", File(SAFE), "555.safetensors"),
        ("v1.5", File(SAFE, name="m.bin"), "v1.5.safetensors"),
        ("", File(b"pickled", name="real name.pt"), "real name.pt"),
        ("m.ckpt", File(SAFE), "m.ckpt"),
    ],
)
async def test_a_name_without_an_ending_gets_one(shop: Shop, wanted: str, file: File, given: str) -> None:
    """The file in the cache had an ending, and the link had none, so that the engine did not list it."""
    shop.source.files["http://host.example/noext/555"] = file
    arrived = await shop.files.download(ModelOrder("http://host.example/noext/555", "loras", wanted))
    assert arrived.filename == given
    assert (await shop.files.models())["loras"] == [given]


@pytest.mark.parametrize(
    "name", ["../x.pt", "..", "a/b.pt", "/etc/x.pt", "a\\b.pt", "C:x.pt", ".hidden.pt", "a\0.pt", "x" * 300 + ".pt"]
)
async def test_a_name_that_leaves_its_folder_is_refused_before_anything_is_fetched(shop: Shop, name: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        await shop.files.download(ModelOrder(URL, "loras", name))
    assert caught.value.place == Place(field="filename")
    assert not shop.source.downloads


async def test_an_unknown_kind_names_the_known_ones(shop: Shop) -> None:
    wanted = "Unknown model type: ../x. Available types: checkpoints, loras, text_encoders, diffusion_models, unet_gguf"
    with pytest.raises(InvalidInput) as caught:
        await shop.files.check(ModelOrder(URL, "../x", "m.pt"))
    assert caught.value.message == wanted


@pytest.mark.parametrize(
    ("kind", "name", "where"),
    [("clip", "m.safetensors", "text_encoders"), ("unet", "m.safetensors", "diffusion_models")],
)
async def test_old_words_for_kinds_are_known(shop: Shop, kind: str, name: str, where: str) -> None:
    await shop.files.download(ModelOrder(URL, kind, name))
    assert shop.place(name, where).exists()


async def test_an_address_that_needs_a_login_says_so(shop: Shop) -> None:
    shop.source.files[URL] = File(SAFE, token="secret")
    with pytest.raises((FetchFailed, FetchRefused)):
        await shop.files.download(ModelOrder(URL, "loras", "m.safetensors"))
    arrived = await shop.files.download(ModelOrder(URL, "loras", "m.safetensors", BearerAuth("secret")))
    assert arrived.size == len(SAFE)
    with pytest.raises((FetchFailed, FetchRefused)):
        await shop.files.download(ModelOrder(URL, "loras", "again.safetensors"))


async def test_a_kind_that_the_engine_cannot_load_is_told_and_leaves_nothing(shop: Shop) -> None:
    url = "http://host.example/notes.txt"
    shop.source.files[url] = File(b"text", mime="text/plain")
    with pytest.raises(EngineError, match="does not offer the file"):
        await shop.files.download(ModelOrder(url, "loras", "notes.txt"))
    assert not shop.place("notes.txt").exists()


async def test_folders_that_the_engine_does_not_tell_of_are_listed_too(shop: Shop) -> None:
    """A stock ComfyUI has folders for kinds that it reports under other names; the whole call failed."""
    for name in ("clip/old.pt", "clip/put_clip_here", "sub/deep/model.ckpt"):
        path = shop.base / "models" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    models = await shop.files.models()
    assert models["clip"] == ["old.pt"] and models["sub"] == ["deep/model.ckpt"]
    assert models["loras"] == []


async def test_a_name_of_the_download_cache_is_neither_told_nor_given(shop: Shop) -> None:
    kept = "Pk6VSKLStckZydwGhX0bM8TqaqHEW9yt.safetensors"
    shop.place(kept).parent.mkdir(parents=True)
    shop.place(kept).write_bytes(b"")
    assert (await shop.files.models())["loras"] == []
    with pytest.raises(InvalidInput, match="download cache"):
        await shop.files.check(ModelOrder(URL, "loras", kept))


async def test_an_evicted_model_leaves_the_engines_folder(tmp_path: Path) -> None:
    shop = Shop(tmp_path, cache_bytes=3_000_000)
    for url, fill in ((URL, b"1"), (OTHER, b"2")):
        shop.source.files[url] = File(SAFE + fill * 2_000_000)
        await shop.files.download(ModelOrder(url, "loras", f"{fill.decode()}.safetensors"))
    assert not shop.place("1.safetensors").is_symlink() and shop.place("2.safetensors").exists()
    await shop.fetching.close()
