"""Where files are, and how they are named (spec sections 4, 5 and 11)."""

from pathlib import Path

import pytest

from comfyserve.embedded.files.folders import Folders, file_below


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

    def test_the_counter_goes_on_with_the_batch_number(self, folders: Folders) -> None:
        for expected in (["a0_0_00001_.png", "a1_1_00002_.png"], ["a0_0_00003_.png", "a1_1_00004_.png"]):
            output = folders.next_output("a%batch_num%_%batch_num%", "output")
            names = [output.name(index, "png") for index in range(2)]
            assert names == expected
            for name in names:
                (folders.output / name).touch()

    def test_a_name_of_digits_does_not_use_up_the_counters(self, folders: Folders) -> None:
        (folders.output / f"x_{'9' * 240}_.png").touch()
        assert folders.next_output("x", "output").name(0, "png") == "x_00001_.png"

    @pytest.mark.parametrize("ending", ["", "/../x.py", "png/x", "..", "p\0ng", "a.b.c", "a b", "\\x"])
    def test_a_strange_ending_is_refused(self, folders: Folders, ending: str) -> None:
        output = folders.next_output("x", "output")
        with pytest.raises(ValueError, match="no ending of a file"):
            output.name(0, ending)

    @pytest.mark.parametrize("prefix", ["a\0b", "x" * 240, "sub/" + "ä" * 120, "a\ud800"])
    def test_what_cannot_be_a_name_is_refused_without_a_path(self, folders: Folders, prefix: str) -> None:
        with pytest.raises(ValueError, match="cannot be a file name") as refused:
            folders.next_output(prefix, "output")
        assert str(folders.base) not in str(refused.value)

    def test_a_folder_that_is_a_file_is_refused_without_a_path(self, folders: Folders) -> None:
        (folders.output / "x.png").touch()
        with pytest.raises(ValueError, match="cannot be made") as refused:
            folders.next_output("x.png/y", "output")
        assert str(folders.base) not in str(refused.value)

    @pytest.mark.parametrize("prefix", ["../x", "a/../../x", "/tmp/x"])
    def test_it_refuses_escapes(self, folders: Folders, prefix: str) -> None:
        with pytest.raises(ValueError, match="leaves its folder"):
            folders.next_output(prefix, "output")


class TestFileBelow:
    def test_only_files_below_the_folder_are_found(self, tmp_path: Path) -> None:
        folder = tmp_path / "served"
        (folder / "sub").mkdir(parents=True)
        for path in (folder / "sub" / "a.js", tmp_path / "secret"):
            path.touch()
        (folder / "link").symlink_to(tmp_path / "secret")
        assert file_below(folder, "sub/a.js") == folder / "sub" / "a.js"
        for name in ("sub", "b.js", "../secret", "link", str(tmp_path / "secret"), "a\0.js", "x" * 5000, ""):
            assert file_below(folder, name) is None
