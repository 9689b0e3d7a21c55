"""What a setting may be, and what is said when it may not."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from comfyserve.core.errors import Conflict
from comfyserve.settings import borrowed, read_headers, read_settings, secret_of, write_private


def test_how_a_real_comfyui_is_started() -> None:
    settings = read_settings(comfy_command="conda run python main.py --port {port}", comfy_args="--cpu --output 'a b'")
    assert settings.comfy_command.startswith("conda") and settings.comfy_args.endswith("'a b'")


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("comfy_command", "python 'main.py {port}", "no line of a shell"),
        ("comfy_args", "--cpu 'x", "no line of a shell"),
        ("gpus", "0;1", "numbers or ids of GPUs"),
        ("gpus", "banana", "numbers or ids of GPUs"),
        ("gpus", "auto,0", "numbers or ids of GPUs"),
        ("comfy_port", "0", "greater than 0"),
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


def test_headers_are_lines_or_json() -> None:
    lines = "Authorization: Bearer a:b\n X-Key :1 "
    assert read_headers(lines) == read_headers('{"Authorization": "Bearer a:b", "X-Key": "1"}')
    assert read_headers("") == {} and "hush" not in repr(read_settings(comfy_headers="X-Key: hush"))


@pytest.mark.parametrize("text", ["s3cret", "X Y: s3cret", '{"a": ["s3cret"]}', '{"a": "s3cret', '{"a": "s3cret\\n"}'])
def test_what_is_no_header_is_told_without_its_value(text: str) -> None:
    with pytest.raises(ValidationError) as caught:
        read_settings(comfy_headers=text)
    assert all("s3cret" not in problem["msg"] for problem in caught.value.errors())


def test_variables_of_comfyui_api_count_when_ours_say_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    said = {"CMD": "init.sh", "COMFY_HOME": "/opt/ComfyUI", "COMFYUI_PORT_HOST": "9000", "DIRECT_ADDRESS": ""}
    said |= {"STARTUP_CHECK_MAX_TRIES": "30", "STARTUP_CHECK_INTERVAL_S": "2", "OUTPUT_DIR": "/data/out"}
    for name, value in said.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("COMFYSERVE_COMFY_HOME", "/srv/ComfyUI")
    settings = read_settings(comfy_output="/flag/out")
    assert (settings.comfy_command, settings.comfy_home, settings.comfy_port) == ("init.sh", "/srv/ComfyUI", 9000)
    assert (settings.comfy_host, settings.engine_start_seconds) == ("127.0.0.1", 60)
    assert settings.comfy_output == "/flag/out"
    assert borrowed(settings) == {
        "comfy_command": "CMD",
        "comfy_port": "COMFYUI_PORT_HOST",
        "engine_start_seconds": "STARTUP_CHECK_MAX_TRIES, STARTUP_CHECK_INTERVAL_S",
    }


def test_a_wrong_value_of_such_a_variable_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STARTUP_CHECK_MAX_TRIES", "many")
    with pytest.raises(ValidationError, match="engine_start_seconds"):
        read_settings()
