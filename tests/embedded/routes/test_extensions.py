"""What packages add to the editor, model lists, and the pages (spec sections 1 and 5)."""

import base64
import io
import json
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from PIL import Image

from comfyserve.embedded.engine import build_engine
from comfyserve.embedded.files.folders import Folders
from comfyserve.embedded.files.pack_files import LOCALE_BYTES, merge
from comfyserve.embedded.graph.catalogue import Catalogue
from comfyserve.embedded.routes.app import build_app
from comfyserve.embedded.routes.front_end import FrontEnd
from tests.embedded.conftest import Seat, serve


def write(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def picture(color: str) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4), color).save(buffer, "PNG")
    return buffer.getvalue()


def safetensors(metadata: dict[str, str] | None) -> bytes:
    head = json.dumps({"__metadata__": metadata} if metadata is not None else {"weight": {}}).encode()
    return struct.pack("<Q", len(head)) + head


class Vanishing(Folders):
    """Folders whose model files are deleted as soon as they were found."""

    def model_path(self, folder: str, name: str) -> Path | None:
        path = super().model_path(folder, name)
        if path is not None:
            path.unlink()
        return path


@pytest.fixture
def pack(seat: Seat, folders: Folders) -> Path:
    """A package 'my pack' with scripts, texts and example workflows, as the loader of packages registers it."""
    root = folders.custom_nodes / "my pack"
    write(root / "web" / "main.js", "export default 1")
    write(root / "web" / "lib" / "deep.js", "")
    write(root / "web" / "style.css", "a{}")
    write(root / "locales" / "en" / "main.json", {"title": "T", "list": [1]})
    write(root / "locales" / "en" / "nodeDefs.json", {"A": {"x": 1}})
    write(root / "locales" / "fr" / "settings.json", {"s": "S"})
    write(root / "example_workflows" / "one.json", {"nodes": []})
    write(root / "examples" / "two.json", {"nodes": [2]})
    (root / "example_workflows" / "one.jpg").write_bytes(picture("red"))
    seat.engine.catalogue.pack_folders["my pack"] = root
    seat.engine.catalogue.web_folders["my pack"] = root / "web"
    return root


class TestPackages:
    async def test_their_scripts_are_listed_and_served(self, seat: Seat, pack: Path) -> None:
        _, listed = await seat.call("GET", "/extensions")
        assert listed == ["/extensions/my%20pack/lib/deep.js", "/extensions/my%20pack/main.js"]
        for url in listed:
            async with seat.session.get(seat.url + url) as response:
                assert (response.status, response.headers["Cache-Control"]) == (200, "no-cache")
                assert response.content_type in ("text/javascript", "application/javascript")
        assert (await seat.call("GET", "/extensions/my%20pack/style.css")) == (200, b"a{}")

    @pytest.mark.parametrize("name", ["..%2Flocales%2Fen%2Fmain.json", "none.js", "lib", "%2Fetc%2Fpasswd"])
    async def test_nothing_else_is_served(self, seat: Seat, pack: Path, name: str) -> None:
        assert (await seat.call("GET", f"/extensions/my%20pack/{name}"))[0] == 404
        assert (await seat.call("GET", f"/api/workflow_templates/my%20pack/{name}"))[0] == 404

    async def test_texts_are_merged(self, seat: Seat, pack: Path, folders: Folders) -> None:
        other = folders.custom_nodes / "other"
        write(other / "locales" / "en" / "main.json", {"title": "O", "list": [2], "more": True})
        write(other / "locales" / "en" / "commands.json", "{ damaged")
        write(other / "locales" / "de" / "main.json", " " * LOCALE_BYTES + "{}")
        seat.engine.catalogue.pack_folders["other"] = other
        assert (await seat.call("GET", "/i18n"))[1] == {
            "en": {"title": "O", "list": [1, 2], "nodeDefs": {"A": {"x": 1}}, "more": True},
            "fr": {"settings": {"s": "S"}},
        }

    async def test_example_workflows(self, seat: Seat, pack: Path) -> None:
        assert (await seat.call("GET", "/workflow_templates"))[1] == {"my pack": ["one", "two"]}
        assert (await seat.call("GET", "/api/workflow_templates/my%20pack/one.json"))[1] == {"nodes": []}
        assert (await seat.call("GET", "/api/workflow_templates/my%20pack/two.json"))[1] == {"nodes": [2]}
        async with seat.session.get(f"{seat.url}/api/workflow_templates/my%20pack/one.jpg") as response:
            assert (response.status, response.headers["Cache-Control"]) == (200, "public, max-age=86400")

    def test_of_two_different_kinds_the_later_wins(self) -> None:
        assert merge({"a": {"b": 1}, "c": [1]}, {"a": [2], "c": [3], "d": None}) == {"a": [2], "c": [1, 3], "d": None}


class TestModels:
    async def test_files_with_times(self, seat: Seat, folders: Folders) -> None:
        path = write(folders.models / "loras" / "sub" / "a.safetensors", "12345")
        _, files = await seat.call("GET", "/experiment/models/loras")
        stat = path.stat()
        assert files == [
            {
                "name": "sub/a.safetensors",
                "pathIndex": 0,
                "modified": stat.st_mtime,
                "created": stat.st_ctime,
                "size": 5,
            }
        ]

    async def test_folders_have_paths(self, seat: Seat, folders: Folders) -> None:
        _, answer = await seat.call("GET", "/experiment/models")
        names = [one["name"] for one in answer]
        assert {"loras", "checkpoints"} <= set(names)
        assert not {"configs", "custom_nodes"} & set(names)
        _, paths = await seat.call("GET", "/internal/folder_paths")
        assert paths["loras"] == [str(folders.models / "loras"), str(folders.output / "loras")]
        assert paths["custom_nodes"] == [str(folders.custom_nodes)]

    async def test_pictures_beside_and_inside(self, seat: Seat, folders: Folders) -> None:
        root = folders.models / "loras"
        root.mkdir()
        for name in ("beside", "inside", "damaged", "bare"):
            covers = json.dumps([base64.b64encode(picture("blue")).decode()])
            metadata = {"ssmd_cover_images": covers} if name == "inside" else {}
            (root / f"{name}.safetensors").write_bytes(safetensors(metadata))
        (root / "beside.preview.png").write_bytes(picture("red"))
        (root / "damaged.png").write_bytes(b"no picture")
        for name, colour in (("beside", (255, 0, 0)), ("inside", (0, 0, 255))):
            status, body = await seat.call("GET", f"/experiment/models/preview/loras/0/{name}.safetensors")
            assert status == 200
            shown = Image.open(io.BytesIO(body))
            assert shown.format == "WEBP"
            pixel = shown.convert("RGB").getpixel((1, 1))
            assert isinstance(pixel, tuple)
            assert all(abs(one - other) < 40 for one, other in zip(pixel, colour, strict=True))
        for path in (
            "0/damaged.safetensors",
            "0/bare.safetensors",
            "1/beside.safetensors",
            "x/beside.safetensors",
            "0/..",
        ):
            assert (await seat.call("GET", f"/experiment/models/preview/loras/{path}"))[0] == 404

    async def test_a_file_that_cannot_be_read_is_absent(self, seat: Seat, folders: Folders) -> None:
        root = folders.models / "loras"
        root.mkdir()
        # The first page of a process's memory is nobody's.
        (root / "a.safetensors").symlink_to("/proc/self/mem")
        assert (await seat.call("GET", "/experiment/models/preview/loras/0/a.safetensors"))[0] == 404
        assert (await seat.call("GET", "/view_metadata/loras?filename=a.safetensors"))[0] == 404

    async def test_a_file_that_is_deleted_after_it_was_listed(self, tmp_path: Path) -> None:
        folders = Vanishing(tmp_path)
        folders.create()
        write(folders.models / "loras" / "a.safetensors", "12345")
        async with serve(folders) as seat:
            _, files = await seat.call("GET", "/experiment/models/loras")
        assert [(one["name"], one["size"]) for one in files] == [("a.safetensors", 0)]

    async def test_what_a_file_says_of_itself(self, seat: Seat, folders: Folders) -> None:
        root = folders.models / "loras"
        root.mkdir()
        (root / "good.safetensors").write_bytes(safetensors({"author": "Ann"}))
        (root / "none.safetensors").write_bytes(safetensors(None))
        (root / "short.safetensors").write_bytes(b"12")
        (root / "long.safetensors").write_bytes(struct.pack("<Q", 2**62) + b"{")
        (root / "text.safetensors").write_bytes(struct.pack("<Q", 3) + b"{x}")
        (folders.models / "out.safetensors").write_bytes(safetensors({"a": "b"}))
        assert (await seat.call("GET", "/view_metadata/loras?filename=good.safetensors")) == (200, {"author": "Ann"})
        for name in ("none", "short", "long", "text", "absent", "../out"):
            assert (await seat.call("GET", f"/view_metadata/loras?filename={name}.safetensors"))[0] == 404
        assert (await seat.call("GET", "/view_metadata/nope?filename=good.safetensors"))[0] == 404


class TestPages:
    @pytest.fixture
    def editor(self, tmp_path: Path) -> FrontEnd:
        root = tmp_path / "editor"
        write(root / "index.html", "<title>editor</title>")
        write(root / "assets" / "main.js", "1")
        write(root / "extensions" / "core" / "a.js", "2")
        write(tmp_path / "templates" / "index.json", [])
        write(tmp_path / "docs" / "LoadImage" / "en.md", "# Load")
        mounts = {"/templates": [tmp_path / "templates"], "/docs": [tmp_path / "docs"]}
        return FrontEnd(root, mounts)

    async def test_an_editor_is_served(self, folders: Folders, editor: FrontEnd) -> None:
        async with served(folders, editor) as (session, url):
            async with session.get(url) as response:
                assert "editor" in await response.text()
                assert response.headers["Expires"] == "0"
            for path, cached in (("/assets/main.js", "no-cache"), ("/templates/index.json", "no-cache")):
                async with session.get(url + path) as response:
                    assert (response.status, response.headers["Cache-Control"]) == (200, cached)
            for path, status in (
                ("/docs/LoadImage/en.md", 200),
                ("/docs/None/en.md", 404),
                ("/..%2Ftemplates%2Findex.json", 404),
                ("/extensions/core/a.js", 200),
                ("/api/assets/main.js", 404),
            ):
                async with session.get(url + path) as response:
                    assert response.status == status, path
            async with session.get(f"{url}/extensions") as response:
                assert await response.json() == ["/extensions/core/a.js"]


@asynccontextmanager
async def served(folders: Folders, editor: FrontEnd) -> AsyncIterator[tuple[aiohttp.ClientSession, str]]:
    runner = web.AppRunner(build_app(build_engine(folders, Catalogue()), editor), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        async with aiohttp.ClientSession() as session:
            yield session, f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
