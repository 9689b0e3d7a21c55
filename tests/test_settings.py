"""What a setting may be, and what is said when it may not."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from comfyserve.core.errors import Conflict
from comfyserve.settings import read_settings, secret_of, write_private


def test_how_a_real_comfyui_is_started() -> None:
    settings = read_settings(comfy_command="conda run python main.py --port {port}", comfy_args="--cpu --output 'a b'")
    assert settings.comfy_command.startswith("conda") and settings.comfy_args.endswith("'a b'")


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("comfy_command", "python main.py", r"put \{port\} there"),
        ("comfy_command", "python 'main.py {port}", "no line of a shell"),
        ("comfy_args", "--cpu 'x", "no line of a shell"),
    ],
)
def test_a_command_that_cannot_work_is_refused(name: str, value: str, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        read_settings(**{name: value})


def test_a_secret_is_made_once_and_is_private(tmp_path: Path) -> None:
    settings = read_settings(data_dir=tmp_path)
    secret = secret_of(settings)
    assert len(secret) >= 32 and secret_of(settings) == secret
    assert settings.secret_file.stat().st_mode & 0o077 == 0
    assert secret_of(read_settings(data_dir=tmp_path, secret_key="given")) == "given"


def test_an_empty_secret_signs_nothing(tmp_path: Path) -> None:
    settings = read_settings(data_dir=tmp_path)
    settings.secret_file.touch()
    with pytest.raises(Conflict, match="empty"):
        secret_of(settings)


def test_a_private_file_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "kept" / "a.key"
    write_private(path, "old")
    path.parent.chmod(0o755)
    with pytest.raises(UnicodeEncodeError):
        write_private(path, "\udc80")
    assert path.read_text() == "old"


def test_a_guessable_admin_key_is_refused() -> None:
    with pytest.raises(ValidationError, match="at least 8"):
        read_settings(admin_key="a")


def test_sites_are_origins() -> None:
    for good in ("", "*", "http://127.0.0.1:8188, https://app.example"):
        assert read_settings(cors_origins=good).cors_origins == good
    for bad in ("app.example", "https://app.example/path", "ftp://app.example"):
        with pytest.raises(ValidationError, match="no origin"):
            read_settings(cors_origins=bad)
