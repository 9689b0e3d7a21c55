"""Files, information and manners of the HTTP side (spec sections 1, 4, 5 and 6)."""

import asyncio
import hashlib
import io
import json
from typing import Any

import aiohttp
import pytest
from PIL import Image, PngImagePlugin

from comfyserve.embedded.files.folders import Folders
from comfyserve.embedded.settings import ServerSettings
from tests.embedded.conftest import Seat, serve


def png(color: tuple[int, ...] = (10, 20, 30), mode: str = "RGB", size: tuple[int, int] = (8, 6), **text: str) -> bytes:
    info = PngImagePlugin.PngInfo()
    for key, value in text.items():
        info.add_text(key, value)
    buffer = io.BytesIO()
    Image.new(mode, size, color).save(buffer, "PNG", pnginfo=info)
    return buffer.getvalue()


def form(content: bytes, name: str = "x.png", **fields: str) -> aiohttp.FormData:
    data = aiohttp.FormData(quote_fields=False)
    for key, value in fields.items():
        data.add_field(key, value)
    data.add_field("image", content, filename=name, content_type="image/png")
    return data


class TestManners:
    async def test_malformed_json_is_told(self, seat: Seat) -> None:
        for body in (b"{", b"[1]", b"\xff", b"[" * 100_000, b'{"a": NaN}', b'{"a": -Infinity}', b'{"a": 1e999}'):
            status, answer = await seat.call("POST", "/prompt", data=body)
            assert (status, answer["error"]["type"], answer["node_errors"]) == (400, "invalid_json", {})

    async def test_no_prompt(self, seat: Seat) -> None:
        status, answer = await seat.call("POST", "/api/prompt", json={})
        assert status == 400
        message = "No prompt provided"
        error = {"type": "no_prompt", "message": message, "details": message, "extra_info": {}}
        assert answer == {"error": error, "node_errors": {}}

    @pytest.mark.parametrize(
        "fields",
        [
            {"prompt": []},
            {"prompt": {}, "number": "x"},
            {"prompt": {}, "number": "nan"},
            {"partial_execution_targets": 5},
        ],
    )
    async def test_wrong_fields_are_told(self, seat: Seat, fields: dict[str, Any]) -> None:
        assert (await seat.call("POST", "/prompt", json={"prompt": {}, **fields}))[0] == 400

    @pytest.mark.parametrize(
        ("fields", "words"),
        [
            ({"extra_data": [1]}, "extra_data must be an object"),
            ({"extra_data": {"extra_pnginfo": "x"}}, "extra_pnginfo must be an object"),
            ({"client_id": {"a": 1}}, "client_id must be a text or a number"),
            ({"extra_data": {"client_id": [1]}, "client_id": [1]}, "client_id must be a text or a number"),
            ({"prompt_id": 5}, "prompt_id must be a text"),
            ({"prompt_id": "x" * 201}, "prompt_id must be a text of at most 200 characters"),
        ],
    )
    async def test_what_goes_with_a_good_graph_is_looked_at(
        self, seat: Seat, fields: dict[str, Any], words: str
    ) -> None:
        graph = {"1": {"class_type": "Show", "inputs": {"value": "x"}}}
        status, answer = await seat.call("POST", "/prompt", json={"prompt": graph, **fields})
        assert status == 400
        assert words in answer["error"]["message"]
        given = {"prompt": graph, "prompt_id": "x" * 200, "client_id": 5, "extra_data": {"extra_pnginfo": None}}
        assert (await seat.call("POST", "/prompt", json=given))[0] == 200

    async def test_a_graph_over_the_limit(self, folders: Folders) -> None:
        graph = {str(i): {"class_type": "Show", "inputs": {"value": i}} for i in range(4)}
        async with serve(folders, ServerSettings(graph_nodes=3)) as seat:
            status, answer = await seat.submit(graph)
        assert (status, answer["error"]["message"]) == (400, "The graph has 4 nodes; at most 3 are taken")

    async def test_a_body_over_the_limit(self, folders: Folders) -> None:
        async with serve(folders, ServerSettings(body_bytes=1000)) as seat:
            assert (await seat.call("POST", "/prompt", data=b"x" * 2000))[0] == 413
            assert (await seat.call("POST", "/upload/image", data=form(b"x" * 2000)))[0] == 413
        assert list(folders.temp.iterdir()) == []

    async def test_a_page_of_another_origin_is_refused(self, seat: Seat) -> None:
        assert (await seat.call("GET", "/prompt", headers={"Origin": "http://evil.example"}))[0] == 403
        assert (await seat.call("GET", "/prompt", headers={"Origin": "http://[::1"}))[0] == 403
        assert (await seat.call("GET", "/prompt", headers={"Host": "[::1"}))[0] == 403
        assert (await seat.call("GET", "/prompt", headers={"Origin": seat.url}))[0] == 200

    async def test_a_name_that_was_bound_to_loopback_is_refused(self, seat: Seat) -> None:
        bound = {"Host": "evil.example:80", "Origin": "http://evil.example:80"}
        assert (await seat.call("GET", "/prompt", headers=bound))[0] == 403
        assert (await seat.call("OPTIONS", "/anything")) == (200, b"")


class TestView:
    @pytest.fixture
    def files(self, folders: Folders) -> Folders:
        (folders.output / "sub").mkdir()
        (folders.output / "a.png").write_bytes(png((10, 20, 30, 128), "RGBA"))
        (folders.output / "sub" / "b.png").write_bytes(png())
        (folders.output / "page.html").write_text("<script>")
        (folders.input / "in.txt").write_text("hello world")
        (folders.base / "secret.txt").write_text("secret")
        (folders.output / "out.txt").symlink_to(folders.base / "secret.txt")
        return folders

    @pytest.mark.parametrize(
        ("query", "status"),
        [
            ("", 404),
            ("filename=nope.png", 404),
            ("filename=", 400),
            ("filename=/etc/passwd", 400),
            ("filename=../secret.txt", 400),
            ("filename=a.png&type=other", 400),
            ("filename=secret.txt&subfolder=..", 403),
            ("filename=out.txt", 403),
            ("filename=a%00.png", 403),
            ("filename=a.png", 200),
            ("filename=b.png&subfolder=sub", 200),
            ("filename=elsewhere/b.png&subfolder=sub", 200),
            ("filename=in.txt [input]&type=output", 200),
            ("filename=in.txt&type=input&rand=1", 200),
            ("filename=page.html&preview=webp", 415),
        ],
    )
    async def test_what_is_found(self, seat: Seat, files: Folders, query: str, status: int) -> None:
        assert (await seat.call("GET", f"/view?{query}"))[0] == status

    async def test_a_file_with_its_headers(self, seat: Seat, files: Folders) -> None:
        async with seat.session.get(f"{seat.url}/api/view?filename=a.png") as response:
            assert await response.read() == (files.output / "a.png").read_bytes()
            assert response.headers["Content-Disposition"] == 'filename="a.png"'
            assert response.content_type == "image/png"
            assert "ETag" in response.headers
            assert "Cache-Control" not in response.headers

    async def test_only_the_headers(self, seat: Seat, files: Folders) -> None:
        async with seat.session.head(f"{seat.url}/view?filename=in.txt&type=input") as response:
            assert (response.status, response.headers["Content-Length"]) == (200, "11")

    async def test_a_range(self, seat: Seat, files: Folders) -> None:
        url = f"{seat.url}/view?filename=in.txt&type=input"
        async with seat.session.get(url, headers={"Range": "bytes=6-"}) as response:
            assert (response.status, await response.read()) == (206, b"world")

    async def test_a_file_that_has_not_changed_is_not_sent_again(self, seat: Seat, files: Folders) -> None:
        url = f"{seat.url}/view?filename=a.png"
        async with seat.session.get(url) as first:
            marks = {"If-None-Match": first.headers["ETag"]}, {"If-Modified-Since": first.headers["Last-Modified"]}
        for headers in marks:
            async with seat.session.get(url, headers=headers) as response:
                assert (response.status, await response.read()) == (304, b"")

    async def test_a_damaged_picture_is_told(self, seat: Seat, files: Folders) -> None:
        whole = png((1, 2, 3, 4), "RGBA", size=(64, 64))
        bomb = whole[:16] + (60_000).to_bytes(4, "big") * 2 + whole[24:]
        foreign = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n"
        for content in (whole[:60], bomb, b"GIF89a" + b"\0" * 20, b"", foreign):
            (files.output / "bad.png").write_bytes(content)
            for wish in ("preview=webp", "channel=rgb", "channel=a"):
                assert (await seat.call("GET", f"/view?filename=bad.png&{wish}"))[0] == 415

    async def test_a_page_is_never_rendered(self, seat: Seat, files: Folders) -> None:
        async with seat.session.get(f"{seat.url}/view?filename=page.html") as response:
            assert response.content_type == "application/octet-stream"

    @pytest.mark.parametrize("name", ["drawing.svg", "sheet.xml"])
    async def test_a_script_in_a_drawing_is_never_run(self, seat: Seat, files: Folders, name: str) -> None:
        (files.output / name).write_text('<svg xmlns="http://www.w3.org/2000/svg"><script>1</script></svg>')
        async with seat.session.get(f"{seat.url}/view?filename={name}") as response:
            assert response.status == 200
            assert response.headers["Content-Security-Policy"] == "sandbox"
        async with seat.session.post(f"{seat.url}/userdata/{name}", data=b"<svg/>") as stored:
            assert stored.status == 200
        async with seat.session.get(f"{seat.url}/userdata/{name}") as response:
            assert response.headers["Content-Security-Policy"] == "sandbox"

    @pytest.mark.parametrize(
        ("wish", "content_type", "mode"),
        [
            ("preview=jpeg;80", "image/jpeg", "RGB"),
            ("preview=webp;90", "image/webp", "RGBA"),
            ("preview=other", "image/webp", "RGBA"),
            ("preview=jpeg&channel=rgba", "image/webp", "RGBA"),
            ("preview=webp&channel=rgb", "image/webp", "RGB"),
            ("channel=rgb", "image/png", "RGB"),
            ("channel=a", "image/png", "RGBA"),
        ],
    )
    async def test_previews_and_channels(
        self, seat: Seat, files: Folders, wish: str, content_type: str, mode: str
    ) -> None:
        async with seat.session.get(f"{seat.url}/view?filename=a.png&{wish}") as response:
            assert response.content_type == content_type
            picture = Image.open(io.BytesIO(await response.read()))
        assert (picture.mode, picture.size) == (mode, (8, 6))

    async def test_channel_values(self, seat: Seat, files: Folders) -> None:
        _, body = await seat.call("GET", "/view?filename=a.png&channel=rgb")
        assert Image.open(io.BytesIO(body)).getpixel((0, 0)) == (10, 20, 30)
        _, body = await seat.call("GET", "/view?filename=a.png&channel=a")
        assert Image.open(io.BytesIO(body)).getpixel((0, 0)) == (0, 0, 0, 128)
        _, body = await seat.call("GET", "/view?filename=b.png&subfolder=sub&channel=a")
        assert Image.open(io.BytesIO(body)).getpixel((0, 0)) == (0, 0, 0, 255)


class TestUpload:
    async def test_equal_content_is_stored_once(self, seat: Seat, folders: Folders) -> None:
        first, second = png((1, 1, 1)), png((2, 2, 2))
        names = [
            (await seat.call("POST", "/upload/image", data=form(body)))[1] for body in (first, first, second, second)
        ]
        assert [answer["name"] for answer in names] == ["x.png", "x.png", "x (1).png", "x (1).png"]
        assert names[0] == {"name": "x.png", "subfolder": "", "type": "input"}
        assert (folders.input / "x (1).png").read_bytes() == second
        assert sorted(path.name for path in folders.input.iterdir()) == ["x (1).png", "x.png"]
        assert list(folders.temp.iterdir()) == []

    async def test_overwrite_type_and_subfolder(self, seat: Seat, folders: Folders) -> None:
        for body in (b"one", b"two"):
            data = form(body, "a.bin", overwrite="1", type="temp", subfolder="deep/er")
            assert (await seat.call("POST", "/api/upload/image", data=data)) == (
                200,
                {"name": "a.bin", "subfolder": "deep/er", "type": "temp"},
            )
        assert (folders.temp / "deep" / "er" / "a.bin").read_bytes() == b"two"

    @pytest.mark.parametrize(
        ("name", "fields"),
        [("../x.png", {}), ("x.png", {"subfolder": "../.."}), ("a/x.png", {}), ("x.png", {"type": "other"})],
    )
    async def test_escapes_are_refused(self, seat: Seat, folders: Folders, name: str, fields: dict[str, str]) -> None:
        assert (await seat.call("POST", "/upload/image", data=form(b"x", name, **fields)))[0] == 400
        assert not (folders.base / "x.png").exists()

    async def test_a_form_without_a_file(self, seat: Seat) -> None:
        assert (await seat.call("POST", "/upload/image", data={"type": "input"}))[0] == 400
        data = aiohttp.FormData({"type": "input"})
        data.add_field("image", "text only")
        assert (await seat.call("POST", "/upload/image", data=data))[0] == 400
        headers = {"Content-Type": "multipart/form-data"}
        assert (await seat.call("POST", "/upload/image", data=b"junk", headers=headers))[0] == 400

    async def test_a_large_file_arrives_whole(self, seat: Seat, folders: Folders) -> None:
        content = bytes(range(256)) * 20_000
        await seat.call("POST", "/upload/image", data=form(content, "big.bin"))
        stored = (folders.input / "big.bin").read_bytes()
        assert hashlib.sha256(stored).digest() == hashlib.sha256(content).digest()

    async def test_a_mask_replaces_the_alpha(self, seat: Seat, folders: Folders) -> None:
        (folders.input / "o.png").write_bytes(png((9, 8, 7), workflow="{}"))
        ref = json.dumps({"filename": "o.png", "type": "input"})
        data = form(png((0, 0, 0, 77), "RGBA"), "m.png", original_ref=ref)
        assert (await seat.call("POST", "/upload/mask", data=data))[1]["name"] == "m.png"
        masked = Image.open(folders.input / "m.png")
        assert isinstance(masked, PngImagePlugin.PngImageFile)
        assert (masked.getpixel((0, 0)), masked.text) == ((9, 8, 7, 77), {"workflow": "{}"})

    async def test_the_original_may_lie_deeper(self, seat: Seat, folders: Folders) -> None:
        (folders.input / "clip").mkdir()
        (folders.input / "clip" / "o.png").write_bytes(png((9, 8, 7)))
        for ref in ({"filename": "clip/o.png [input]"}, {"filename": "o.png", "subfolder": "clip", "type": "input"}):
            data = form(png((0, 0, 0, 77), "RGBA"), "m.png", original_ref=json.dumps(ref), overwrite="1")
            assert (await seat.call("POST", "/upload/mask", data=data))[0] == 200
            assert Image.open(folders.input / "m.png").getpixel((0, 0)) == (9, 8, 7, 77)
            (folders.input / "m.png").unlink()

    async def test_an_original_that_is_absent_writes_nothing(self, seat: Seat, folders: Folders) -> None:
        data = form(png(), "m.png", original_ref=json.dumps({"filename": "absent.png"}))
        assert (await seat.call("POST", "/upload/mask", data=data))[0] == 200
        assert list(folders.input.iterdir()) == []

    async def test_a_mask_must_fit_and_name_its_original(self, seat: Seat, folders: Folders) -> None:
        (folders.input / "o.png").write_bytes(png(size=(3, 3)))
        ref = json.dumps({"filename": "o.png", "type": "input"})
        data = form(png((0, 0, 0, 77), "RGBA"), "m.png", original_ref=ref)
        assert (await seat.call("POST", "/upload/mask", data=data))[0] == 400
        assert (await seat.call("POST", "/upload/mask", data=form(png(), "m.png")))[0] == 400
        assert not (folders.input / "m.png").exists()


class TestInformation:
    async def test_a_v1_node(self, seat: Seat) -> None:
        _, info = await seat.call("GET", "/object_info/Words")
        assert info["Words"] == {
            "input": {
                "required": {"text": ["STRING", {}], "mode": [["upper", "lower"], {"default": "upper"}]},
                "optional": {"ratio": ["FLOAT", {"min": 0.0, "max": 1.0}], "flag": ["BOOLEAN", {}]},
            },
            "input_order": {"required": ["text", "mode"], "optional": ["ratio", "flag"]},
            "output": ["STRING"],
            "output_is_list": [False],
            "output_name": ["STRING"],
            "name": "Words",
            "display_name": "Words",
            "description": "",
            "python_module": "nodes",
            "category": "test",
            "output_node": False,
        }

    async def test_a_v3_node(self, seat: Seat) -> None:
        _, info = await seat.call("GET", "/object_info/V3Choice")
        assert info["V3Choice"]["input"] == {
            "required": {"mode": ["COMBO", {"multiselect": False, "options": ["a", "b"], "default": "a"}]},
            "hidden": {"prompt": ["PROMPT"]},
        }
        assert info["V3Choice"]["display_name"] is None
        extras = ("output_tooltips", "deprecated", "experimental", "api_node")
        assert [info["V3Choice"][key] for key in extras] == [[None], False, False, False]

    async def test_all_nodes_and_an_unknown_one(self, seat: Seat) -> None:
        status, info = await seat.call("GET", "/api/object_info")
        assert (status, set(info)) == (200, set(seat.engine.catalogue))
        assert info["Number"]["display_name"] == "A number"
        assert (await seat.call("GET", "/object_info/Nope")) == (200, {})

    async def test_a_class_that_cannot_be_declared_is_left_out(self, seat: Seat) -> None:
        class Broken:
            RETURN_TYPES = ()
            FUNCTION = "run"

            @classmethod
            def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802 - a name of ComfyUI's contract
                raise ValueError("no")

        seat.engine.catalogue.add({"Broken": Broken}, {}, "custom_nodes.broken")
        assert (await seat.call("GET", "/object_info/Broken")) == (200, {})
        status, info = await seat.call("GET", "/object_info")
        assert (status, "Broken" in info, "Number" in info) == (200, False, True)

    async def test_system_stats(self, seat: Seat) -> None:
        _, stats = await seat.call("GET", "/system_stats")
        assert stats["system"]["comfyui_version"] == "0.3.64"
        assert stats["system"]["ram_total"] > stats["system"]["ram_free"] > 0
        assert [device["type"] for device in stats["devices"]] == ["cpu"]

    async def test_models(self, seat: Seat, folders: Folders) -> None:
        (folders.models / "text_encoders" / "sub").mkdir(parents=True)
        for name in ("b.safetensors", "a.sft", "sub/c.gguf", "sub/d.pt", "notes.txt"):
            (folders.models / "text_encoders" / name).touch()
        (folders.models / "embeddings").mkdir()
        (folders.models / "embeddings" / "easy.v2.pt").touch()
        assert "checkpoints" in (await seat.call("GET", "/models"))[1]
        expected = ["a.sft", "b.safetensors", "sub/d.pt"]
        assert (await seat.call("GET", "/models/text_encoders"))[1] == expected
        assert (await seat.call("GET", "/models/clip"))[1] == expected
        assert (await seat.call("GET", "/models/loras")) == (200, [])
        assert (await seat.call("GET", "/models/nope")) == (404, b"")
        assert (await seat.call("GET", "/embeddings"))[1] == ["easy.v2"]

    async def test_settings_are_kept(self, seat: Seat) -> None:
        assert (await seat.call("GET", "/settings")) == (200, {})
        headers = {"Content-Type": "text/plain"}
        assert (await seat.call("POST", "/api/settings", data=b'{"a": 1}', headers=headers)) == (200, b"")
        assert (await seat.call("POST", "/settings/b.c", data=b"[true]")) == (200, b"")
        assert (await seat.call("GET", "/settings"))[1] == {"a": 1, "b.c": [True]}
        assert (await seat.call("GET", "/settings/b.c"))[1] == [True]
        assert (await seat.call("GET", "/settings/none"))[1] is None
        assert (await seat.call("POST", "/settings/b", data=b"{"))[0] == 400

    async def test_small_answers(self, seat: Seat) -> None:
        assert (await seat.call("GET", "/extensions"))[1] == []
        assert (await seat.call("GET", "/users"))[1] == {"storage": "server", "migrated": False}
        assert (await seat.call("GET", "/features"))[1]["supports_preview_metadata"] is True


class TestSockets:
    async def test_too_many_are_refused(self, folders: Folders) -> None:
        async with serve(folders, ServerSettings(sockets=1)) as seat:
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await seat.session.ws_connect(f"{seat.url}/ws")
            assert refused.value.status == 503

    async def test_a_client_that_does_not_read_is_closed_and_the_others_go_on(self, folders: Folders) -> None:
        settings = ServerSettings(socket_backlog=50)
        async with serve(folders, settings) as seat:
            stuck = await seat.session.ws_connect(f"{seat.url}/ws?clientId=stuck")
            long = {"1": {"class_type": "Show", "inputs": {"value": "x" * 1_000_000}}}
            # Waits until the server itself lets go of the client; the test's timeout is the bound.
            while seat.engine.hub.listens("stuck"):
                await seat.queue(
                    {"1": {"class_type": "Show", "inputs": {"value": f"{id(object())}" + "x" * 500_000}}},
                    client_id="stuck",
                )
                await asyncio.sleep(0)
            _, record = await seat.run(long)
            assert record["status"]["completed"]
            await stuck.close()

    async def test_only_the_first_object_counts(self, seat: Seat) -> None:
        for text in ("nonsense", "[" * 100_000, "[1]", '{"type": "other"}'):
            await seat.socket.send_str(text)
        await seat.socket.send_json({"type": "feature_flags", "data": {"supports_preview_metadata": True}})
        events, _ = await seat.run({"1": {"class_type": "Show", "inputs": {"value": "x"}}})
        assert "feature_flags" not in [name for name, _ in events]
