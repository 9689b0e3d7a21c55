"""Where model files lie: several folders for a kind, links, old names, and names that would leave."""

from pathlib import Path

import pytest

from comfyserve.embedded.files.extra_models import add_extra_folders
from comfyserve.embedded.files.model_folders import ModelFolders


@pytest.fixture
def table(tmp_path: Path) -> ModelFolders:
    return ModelFolders(tmp_path / "models", tmp_path / "custom_nodes", tmp_path / "output")


def put(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def test_a_kind_may_have_two_folders_and_an_old_name(table: ModelFolders, tmp_path: Path) -> None:
    old = put(tmp_path / "models" / "unet" / "deep" / "a.safetensors")
    put(tmp_path / "models" / "diffusion_models" / "b.sft")
    put(tmp_path / "models" / "diffusion_models" / "readme.md")
    put(tmp_path / "output" / "diffusion_models" / "saved.safetensors")
    names = {"deep/a.safetensors", "b.sft", "saved.safetensors"}
    assert table.files("diffusion_models") == table.files("unet") == names
    assert table.find("unet", "deep/a.safetensors") == old
    assert "clip" in table and "nothing" not in table


def test_added_folders(table: ModelFolders, tmp_path: Path) -> None:
    one, two = str(tmp_path / "one"), str(tmp_path / "two")
    for path in (one, two, one):
        table.extend("mine", path)
    assert table["mine"] == ([one, two], set())
    table.extend("mine", two, first=True)
    assert table["mine"][0] == [two, one]


def test_links_are_followed_once(table: ModelFolders, tmp_path: Path) -> None:
    elsewhere = put(tmp_path / "elsewhere" / "x.pt").parent
    (tmp_path / "models" / "loras").mkdir(parents=True)
    (tmp_path / "models" / "loras" / "linked").symlink_to(elsewhere)
    (elsewhere / "back").symlink_to(tmp_path / "models" / "loras")
    assert table.files("loras") == {"linked/x.pt"}
    assert table.find("loras", "linked/x.pt") is not None


@pytest.mark.parametrize("name", ["../../secret", "/etc/hostname", "a\0b", "x" * 5000, "", ".."])
def test_a_name_cannot_leave(table: ModelFolders, tmp_path: Path, name: str) -> None:
    put(tmp_path / "secret")
    put(tmp_path / "models" / "vae" / "v.pt")
    assert table.find("vae", name) is None


def test_a_file_of_more_folders(table: ModelFolders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELS_AT", "/big")
    file = tmp_path / "extra_model_paths.yaml"
    file.write_text(
        """
empty:
other_program:
    base_path: $MODELS_AT/webui
    is_default: true
    checkpoints: models/Stable-diffusion
    loras: |
        models/Lora
        models/LyCORIS
here:
    custom_nodes: more_nodes
    own_kind: /absolute/
"""
    )
    add_extra_folders(table, file)
    assert table["checkpoints"][0][0] == "/big/webui/models/Stable-diffusion"
    assert table["loras"][0][:2] == ["/big/webui/models/LyCORIS", "/big/webui/models/Lora"]
    assert table["custom_nodes"][0] == [str(tmp_path / "custom_nodes"), str(tmp_path / "more_nodes")]
    assert table["own_kind"] == (["/absolute"], set())


@pytest.mark.parametrize("content", [None, "a: [", "- a list", "section: text", "\x00"])
def test_a_file_that_cannot_be_read(table: ModelFolders, tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "extra.yaml"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ValueError, match=r"extra\.yaml"):
        add_extra_folders(table, file)
