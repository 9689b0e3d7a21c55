"""Users, their settings and their files (spec section 6)."""

import asyncio
import json
import pathlib
import posixpath
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from types import FrameType

import pytest

from comfyserve.core.errors import Conflict, TooLarge
from comfyserve.embedded.files import userdata
from comfyserve.embedded.files.folders import Folders
from comfyserve.embedded.files.userdata import UserFiles
from comfyserve.embedded.files.users import SETTINGS_BYTES, UNFINISHED, Users
from comfyserve.embedded.settings import ServerSettings
from tests.embedded.conftest import WAIT_SECONDS, Seat, serve

ANN = {"comfy-user": "nobody"}


class TestUsers:
    async def test_a_single_user_needs_no_name(self, seat: Seat) -> None:
        assert (await seat.call("GET", "/users"))[1] == {"storage": "server", "migrated": False}
        await seat.call("POST", "/settings", data=b'{"a": 1}', headers=ANN)
        assert (await seat.call("GET", "/users"))[1] == {"storage": "server", "migrated": True}
        assert (await seat.call("GET", "/settings"))[1] == {"a": 1}

    async def test_several_users_are_kept_apart(self, folders: Folders) -> None:
        async with serve(folders, ServerSettings(multi_user=True)) as seat:
            _, first = await seat.call("POST", "/users", json={"username": " Ann Lee "})
            _, second = await seat.call("POST", "/api/users", json={"username": "Bob"})
            assert first.startswith("Ann-Lee_")
            assert (await seat.call("GET", "/users"))[1] == {
                "storage": "server",
                "users": {first: "Ann Lee", second: "Bob"},
            }
            status, answer = await seat.call("POST", "/users", json={"username": "Bob"})
            assert (status, answer) == (400, {"error": "Duplicate username."})
            ann, bob = {"comfy-user": first}, {"comfy-user": second}
            await seat.call("POST", "/settings/theme", data=b'"dark"', headers=ann)
            await seat.call("POST", "/userdata/a.txt", data=b"of ann", headers=ann)
            assert (await seat.call("GET", "/settings", headers=bob))[1] == {}
            assert (await seat.call("GET", "/settings/theme", headers=ann))[1] == "dark"
            assert (await seat.call("GET", "/userdata/a.txt", headers=bob))[0] == 404
            assert (await seat.call("GET", "/userdata/a.txt", headers=ann)) == (200, b"of ann")
            for headers in (ANN, {}, {"comfy-user": "../" + first}):
                assert (await seat.call("GET", "/settings", headers=headers))[0] == 401
                assert (await seat.call("GET", "/userdata?dir=x", headers=headers))[0] == 401

    async def test_settings_outlive_the_engine_and_damage(self, folders: Folders) -> None:
        async with serve(folders) as seat:
            await seat.call("POST", "/settings/a", data=b"5")
        async with serve(folders) as seat:
            assert (await seat.call("GET", "/settings"))[1] == {"a": 5}
            (folders.user / "default" / "comfy.settings.json").write_text("{")
            assert (await seat.call("GET", "/settings")) == (200, {})

    async def test_settings_are_bounded(self, seat: Seat) -> None:
        status, answer = await seat.call("POST", "/settings/a", json="x" * SETTINGS_BYTES)
        assert (status, answer["error"]["type"]) == (413, "too_large")
        assert (await seat.call("GET", "/settings"))[1] == {}

    async def test_changes_that_meet_are_all_kept(self, seat: Seat) -> None:
        await asyncio.gather(*(seat.call("POST", f"/settings/k{i}", json=i) for i in range(20)))
        assert (await seat.call("GET", "/settings"))[1] == {f"k{i}": i for i in range(20)}

    def test_names_are_unique(self, folders: Folders) -> None:
        users = Users(folders.user, several=True)
        assert users.add("Ann", "1") == "Ann_1"
        with pytest.raises(Conflict):
            users.add("Ann", "2")


class TestFiles:
    async def test_write_list_read_move_delete(self, seat: Seat, folders: Folders) -> None:
        assert (await seat.call("GET", "/userdata?dir=workflows")) == (404, b"Directory not found")
        assert (await seat.call("POST", "/userdata/workflows%2Fa.json", data=b"{}")) == (200, "workflows/a.json")
        _, info = await seat.call("POST", "/userdata/workflows%2Fsub%2Fb.json?full_info=true", data=b"[1]")
        assert (info["path"], info["size"]) == ("workflows/sub/b.json", 3)
        assert (await seat.call("GET", "/userdata?dir=workflows"))[1] == ["a.json"]
        _, names = await seat.call("GET", "/userdata?dir=workflows&recurse=true")
        assert sorted(names) == ["a.json", "sub/b.json"]
        _, split = await seat.call("GET", "/userdata?dir=workflows&recurse=true&split=true")
        assert sorted(split) == [["a.json", "a.json"], ["sub/b.json", "sub", "b.json"]]
        _, infos = await seat.call("GET", "/userdata?dir=workflows&full_info=true&split=true")
        assert [(one["path"], one["size"]) for one in infos] == [("a.json", 2)]
        assert (await seat.call("GET", "/api/userdata/workflows%2Fsub%2Fb.json")) == (200, [1])
        status, name = await seat.call("POST", "/userdata/workflows%2Fa.json/move/workflows%2Fsub%2Fc.json")
        assert (status, name) == (200, "workflows/sub/c.json")
        _, tree = await seat.call("GET", "/v2/userdata")
        assert [(one["type"], one["path"]) for one in tree] == [
            ("directory", "workflows/sub"),
            ("directory", "workflows"),
            ("file", "workflows/sub/b.json"),
            ("file", "workflows/sub/c.json"),
        ]
        assert (await seat.call("DELETE", "/userdata/workflows%2Fsub%2Fc.json")) == (204, b"")
        assert (await seat.call("DELETE", "/userdata/workflows%2Fsub%2Fc.json"))[0] == 404
        assert (folders.user / "default" / "workflows" / "sub" / "b.json").read_bytes() == b"[1]"

    async def test_nothing_is_overwritten_unasked(self, seat: Seat) -> None:
        for name in ("a", "b"):
            await seat.call("POST", f"/userdata/{name}", data=name.encode())
        assert (await seat.call("POST", "/userdata/a?overwrite=false", data=b"x")) == (409, b"File already exists")
        assert (await seat.call("POST", "/userdata/a/move/b?overwrite=false")) == (409, b"File already exists")
        assert (await seat.call("GET", "/userdata/b"))[1] == b"b"
        assert (await seat.call("POST", "/userdata/a/move/b"))[0] == 200
        assert (await seat.call("GET", "/userdata/b"))[1] == b"a"

    async def test_names_stay_inside(self, seat: Seat, folders: Folders) -> None:
        (folders.user / "default").mkdir(parents=True)
        (folders.base / "secret").write_text("secret")
        (folders.user / "default" / "link").symlink_to(folders.base / "secret")
        for name in ("..%2Fx", "%2Fetc%2Fpasswd", "link", "%252e%252e%252Fsecret"):
            assert (await seat.call("GET", f"/userdata/{name}"))[0] == 403
            assert (await seat.call("POST", f"/userdata/{name}", data=b"x"))[0] == 403
            assert (await seat.call("DELETE", f"/userdata/{name}"))[0] == 403
        await seat.call("POST", "/userdata/a", data=b"x")
        assert (await seat.call("POST", "/userdata/a/move/..%2F..%2Fx"))[0] == 403
        assert (await seat.call("GET", "/userdata?dir=.."))[0] == 403
        assert (await seat.call("GET", "/v2/userdata?path=.."))[0] == 400
        assert (folders.base / "secret").read_text() == "secret"
        assert not (folders.base / "x").exists()

    async def test_names_that_cannot_be_files(self, seat: Seat) -> None:
        await seat.call("POST", "/userdata/a", data=b"x")
        for name in ("x%2F..", "a%2Fb"):
            assert (await seat.call("POST", f"/userdata/{name}", data=b"x"))[0] == 400
        assert (await seat.call("GET", "/userdata/a%2Fb"))[0] == 404
        assert (await seat.call("POST", "/userdata/a%2Fb%2Fc/move/d"))[0] == 404
        assert (await seat.call("POST", "/userdata/a/move/a%2Fb"))[0] == 400

    async def test_a_file_over_the_limit_leaves_nothing(self, folders: Folders) -> None:
        async with serve(folders, ServerSettings(body_bytes=1000)) as seat:
            assert (await seat.call("POST", "/userdata/big", data=b"x" * 2000))[0] == 413
            assert (await seat.call("GET", "/userdata/big"))[0] == 404
        assert list(folders.temp.iterdir()) == []

    async def test_number_and_bytes_are_bounded(self, folders: Folders) -> None:
        async with serve(folders, ServerSettings(user_files=2)) as seat:
            assert [(await seat.call("POST", f"/userdata/{name}", data=b"x"))[0] for name in "abca"] == [
                200,
                200,
                413,
                200,
            ]
        files = UserFiles(folders.user / "default", most_files=10, most_bytes=2, writing=threading.Lock())
        with pytest.raises(TooLarge, match="2 bytes"):
            files.check_room("c", overwrite=True)

    async def test_what_comes_meanwhile_counts_too(self, folders: Folders) -> None:
        together = Together(folders, 4)
        async with serve(folders, ServerSettings(user_files=2)) as seat:
            answers = await asyncio.gather(
                *(seat.call("POST", f"/userdata/f{number}", data=together.body()) for number in range(4))
            )
        assert sorted(status for status, _ in answers) == [200, 200, 413, 413]
        assert len(list((folders.user / "default").iterdir())) == 2

    async def test_one_of_two_that_meet_keeps_the_name(self, seat: Seat, folders: Folders) -> None:
        together = Together(folders, 2)
        answers = await asyncio.gather(
            *(seat.call("POST", "/userdata/a?overwrite=false", data=together.body()) for _ in range(2))
        )
        assert sorted(answers, key=str) == sorted([(200, "a"), (409, b"File already exists")], key=str)

    async def test_bytes_are_counted_when_they_are_there(self, folders: Folders) -> None:
        async with serve(folders, ServerSettings(user_bytes=10)) as seat:
            assert (await seat.call("POST", "/userdata/a", data=b"x" * 8))[0] == 200
            assert (await seat.call("POST", "/userdata/b", data=b"x" * 3))[0] == 413
            assert (await seat.call("POST", "/userdata/a", data=b"x" * 10))[0] == 200

    async def test_nothing_hides_from_the_count(self, seat: Seat) -> None:
        await seat.call("POST", "/userdata/a", data=b"x")
        for name in (f"b{UNFINISHED}", f"c{UNFINISHED}%2Fd"):
            assert (await seat.call("POST", f"/userdata/{name}", data=b"x"))[0] == 400
            assert (await seat.call("POST", f"/userdata/a/move/{name}"))[0] == 400

    async def test_no_folder_is_left_for_nothing(self, seat: Seat, folders: Folders) -> None:
        assert (await seat.call("GET", "/userdata?dir=p%2Fq%2Fr")) == (404, b"Directory not found")
        await seat.call("POST", "/userdata/a%2Fb%2Fc", data=b"x")
        await seat.call("POST", "/userdata/a%2Fb%2Fc/move/d%2Fe")
        await seat.call("DELETE", "/userdata/d%2Fe")
        assert list((folders.user / "default").iterdir()) == []

    async def test_a_long_list_does_not_hold_the_loop(self, seat: Seat, folders: Folders) -> None:
        folder = folders.user / "default" / "many"
        folder.mkdir(parents=True)
        for number in range(50):
            (folder / f"{number}").touch()
        for path in ("/userdata?dir=many", "/userdata?dir=many&full_info=true", "/v2/userdata"):
            with calls_in_this_thread(posixpath.__file__, userdata.__file__, pathlib.__file__) as calls:
                _, found = await seat.call("GET", path)
            assert len(found) >= 50
            assert len(calls) < 50

    async def test_hidden_files_are_kept_but_not_listed(self, seat: Seat) -> None:
        await seat.call("POST", "/userdata/workflows%2F.index.json", data=json.dumps({"favorites": []}).encode())
        assert (await seat.call("GET", "/userdata?dir=workflows&recurse=true"))[1] == []
        assert (await seat.call("GET", "/userdata/workflows%2F.index.json"))[1] == {"favorites": []}

    async def test_a_page_is_never_rendered_and_a_style_sheet_works(self, seat: Seat) -> None:
        for name, kind in (("p.html", "application/octet-stream"), ("user.css", "text/css")):
            await seat.call("POST", f"/userdata/{name}", data=b"x")
            async with seat.session.get(f"{seat.url}/userdata/{name}") as response:
                assert response.content_type == kind


class Together:
    """Request bodies whose ends are sent when every one of them has begun, and the engine looked at the name."""

    def __init__(self, folders: Folders, callers: int) -> None:
        self._temp = folders.temp
        self._callers = callers

    async def body(self) -> AsyncIterator[bytes]:
        yield b"x"
        async with asyncio.timeout(WAIT_SECONDS):
            while len(list(self._temp.iterdir())) < self._callers:  # noqa: ASYNC110 - a folder has no event
                await asyncio.sleep(0)
        yield b"y"


@contextmanager
def calls_in_this_thread(*files: str) -> Iterator[list[str]]:
    """The names of the functions of these source files that this thread calls meanwhile."""
    seen: list[str] = []

    def note(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_code.co_filename in files:
            seen.append(frame.f_code.co_name)

    sys.setprofile(note)
    try:
        yield seen
    finally:
        sys.setprofile(None)
