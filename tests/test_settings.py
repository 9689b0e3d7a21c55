"""What a setting may be, and what is said when it may not."""

import pytest
from pydantic import ValidationError

from comfyserve.settings import read_settings


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
