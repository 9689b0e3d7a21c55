"""Where files are, and how they are named (spec sections 4, 5 and 11)."""

from pathlib import Path

import pytest

from comfyserve.embedded.folders import Folders


class TestCreate:
    def test_it_makes_what_is_absent_and_empties_temp(self, tmp_path: Path) -> None:
        folders = Folders(tmp_path / "new")
        folders.create()
        (folders.temp / "old.png").touch()
        (folders.output / "kept.png").touch()
        folders.create()
        assert sorted(path.name for path in folders.base.iterdir()) == [
            "custom_nodes",
            "input",
            "models",
            "output",
            "temp",
        ]
        assert list(folders.temp.iterdir()) == []
        assert (folders.output / "kept.png").exists()


class TestAnnotatedPath:
    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            ("x.png", "input/x.png"),
            ("x.png [output]", "output/x.png"),
            ("sub/x y.png [temp]", "temp/sub/x y.png"),
            ("x[output].png", "input/x[output].png"),
        ],
    )
    def test_it_resolves(self, folders: Folders, name: str, expected: str) -> None:
        assert folders.annotated_path(name) == folders.base / expected

    @pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/../../x [output]", "a\0b", "x" * 5000])
    def test_it_refuses_escapes(self, folders: Folders, name: str) -> None:
        with pytest.raises(ValueError, match=r"leaves its folder|cannot be a path"):
            folders.annotated_path(name)

    def test_it_refuses_a_link_out(self, folders: Folders) -> None:
        (folders.input / "out").symlink_to("/etc")
        with pytest.raises(ValueError, match="leaves its folder"):
            folders.annotated_path("out/passwd")


class TestModels:
    def test_a_path_stays_inside(self, folders: Folders) -> None:
        (folders.models / "vae").mkdir()
        (folders.models / "vae" / "v.pt").touch()
        assert folders.model_path("vae", "v.pt") == folders.models / "vae" / "v.pt"
        assert folders.model_path("vae", "w.pt") is None
        assert folders.model_path("vae", "x/../v.pt") == folders.models / "vae" / "v.pt"
        assert folders.model_path("vae", "../vae/v.pt") is None
        assert folders.model_path("vae", "x" * 5000) is None
        assert folders.model_path("vae", "../../input") is None
        assert folders.model_path("nope", "v.pt") is None


def test_input_files_by_kind(folders: Folders) -> None:
    for name in ("b.png", "a.JPG", "c.mp4", "d.mp3", "e.txt", "f.glb"):
        (folders.input / name).touch()
    assert folders.input_files() == ["a.JPG", "b.png"]
    assert folders.input_files(("video", "audio")) == ["c.mp4", "d.mp3"]
    assert folders.input_files(("3d",)) == ["f.glb"]


class TestNextOutput:
    def test_the_counter_follows_the_largest_file(self, folders: Folders) -> None:
        for name in ("x_00007_.png", "x_00002_.webp", "x_abc_.png", "xy_00099_.png", "x_00050.png"):
            (folders.output / name).touch()
        output = folders.next_output("x", "output")
        assert (output.counter, output.subfolder, output.folder) == (8, "", folders.output)
        assert [output.name(i, "png") for i in range(2)] == ["x_00008_.png", "x_00009_.png"]

    def test_the_first_is_one_and_five_digits_may_grow(self, folders: Folders) -> None:
        assert folders.next_output("new", "temp").name(0, ".webp") == "new_00001_.webp"
        (folders.output / "big_99999_.png").touch()
        assert folders.next_output("big", "output").name(0, "png") == "big_100000_.png"

    def test_folders_in_the_prefix_are_made(self, folders: Folders) -> None:
        output = folders.next_output("a/b/c", "output")
        assert (output.subfolder, output.stem) == ("a/b", "c")
        assert output.folder == folders.output / "a" / "b"
        assert output.folder.is_dir()

    def test_placeholders(self, folders: Folders) -> None:
        output = folders.next_output("s_%width%x%height%_%batch_num%_%date:yyyy%", "output", 640, 480)
        assert output.name(3, "png") == "s_640x480_3_%date:yyyy%_00004_.png"
        year = folders.next_output("%year%", "output").stem
        assert len(year) == 4
        assert year.isdigit()

    @pytest.mark.parametrize("prefix", ["../x", "a/../../x", "/tmp/x"])
    def test_it_refuses_escapes(self, folders: Folders, prefix: str) -> None:
        with pytest.raises(ValueError, match="leaves its folder"):
            folders.next_output(prefix, "output")
