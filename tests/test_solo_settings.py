"""Every variable of comfyui-api means to solo what it meant there (stateless-comfyui-api.md section 7.1)."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from comfyserve.cli.main import _wrong_settings
from comfyserve.originals import AMBIENT, WITHOUT_EFFECT
from comfyserve.settings import read_as, read_settings
from comfyserve.solo_settings import SYSTEM_EVENTS, SoloSettings, read_events, split_keys

MEANINGS: dict[str, tuple[str, str, Any]] = {
    "ALWAYS_RESTART_COMFYUI": ("True", "restart_engine", True),
    "CACHE_DIR": ("/cache", "cache_dir", "/cache"),
    "CMD": ("init.sh --listen", "comfy_command", "init.sh --listen"),
    "COMFY_HOME": ("/srv/ComfyUI", "comfy_home", "/srv/ComfyUI"),
    "COMFYUI_PORT_HOST": ("9188", "comfy_port", 9188),
    "DIRECT_ADDRESS": ("10.0.0.1", "comfy_host", "10.0.0.1"),
    "HOST": ("127.0.0.1", "host", "127.0.0.1"),
    "HF_TOKEN": ("hf_x", "hf_token", SecretStr("hf_x")),
    "INPUT_DIR": ("/in", "comfy_input", "/in"),
    "OUTPUT_DIR": ("/out", "comfy_output", "/out"),
    "LOG_LEVEL": ("TRACE", "log_level", "debug"),
    "LRU_CACHE_SIZE_GB": ("1.5", "cache_bytes", 3 * 2**29),
    "MANIFEST": (__file__, "manifest", __file__),
    "MANIFEST_JSON": ('{"apt": []}', "manifest_json", '{"apt": []}'),
    "MARKDOWN_SCHEMA_DESCRIPTIONS": ("True", "markdown_schema", False),
    "MAX_BODY_SIZE_MB": ("7", "max_body_bytes", 7 * 2**20),
    "MAX_QUEUE_DEPTH": ("3", "max_queue_depth", 3),
    "MODEL_DIR": ("/models", "comfy_models", "/models"),
    "PORT": ("4000", "port", 4000),
    "PREPEND_FILENAMES": ("false", "prepend_filenames", False),
    "PROMPT_WEBHOOK_RETRIES": ("3", "webhook_tries", 3),
    "STARTUP_CHECK_INTERVAL_S": ("2", "engine_start_seconds", 40),
    "STARTUP_CHECK_MAX_TRIES": ("30", "engine_start_seconds", 30),
    "SYSTEM_WEBHOOK_URL": ("http://hook/x?a=b", "system_webhook_url", "http://hook/x?a=b"),
    "SYSTEM_WEBHOOK_EVENTS": ("status,executed", "system_webhook_events", "status,executed"),
    "WARMUP_PROMPT_FILE": ("GRAPH", "warmup_file", "GRAPH"),
    "WARMUP_PROMPT_URL": ("https://host/w.json?k=1", "warmup_url", "https://host/w.json?k=1"),
    "WEBHOOK_SECRET": ("whsec_abc", "webhook_secret", SecretStr("whsec_abc")),
    "WORKFLOW_DIR": ("/w", "workflow_dir", "/w"),
}
"""Variable -> what is set, the setting of solo, and what it is then."""

READ_OTHERWISE = {
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AZURE_STORAGE_ACCOUNT",
    "AZURE_STORAGE_CONNECTION_STRING",
    "AZURE_STORAGE_KEY",
    "AZURE_STORAGE_SAS_TOKEN",
    "BASE",
    "CONDA_DEFAULT_ENV",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NO_PROXY",
    "SALAD_*",
    "SYSTEM_META_*",
    "VIRTUAL_ENV",
    "VIRTUAL_ENV_PROMPT",
}
IN_PAIRS = {"HTTP_AUTH_HEADER_NAME", "HTTP_AUTH_HEADER_VALUE"}
OURS = {"HF_ENDPOINT", "STRICT"}
"""Read like comfyui-api's, and not in its table."""

WRONG = [
    ("LRU_CACHE_SIZE_GB", "-1", "greater than or equal to 0"),
    ("LRU_CACHE_SIZE_GB", "much", "valid integer"),
    ("MAX_BODY_SIZE_MB", "0", "greater than 0"),
    ("MAX_BODY_SIZE_MB", "1.5", "valid integer"),
    ("MAX_QUEUE_DEPTH", "-1", "greater than or equal to 0"),
    ("STARTUP_CHECK_MAX_TRIES", "0", "greater than 0"),
    ("STARTUP_CHECK_INTERVAL_S", "soon", "valid integer"),
    ("PORT", "70000", "less than or equal to 65535"),
    ("COMFYUI_PORT_HOST", "0", "greater than 0"),
    ("LOG_LEVEL", "loud", "debug"),
    ("SYSTEM_WEBHOOK_URL", "ftp://x", "http or https"),
    ("SYSTEM_WEBHOOK_EVENTS", "status,,executed", "no system event"),
    ("SYSTEM_WEBHOOK_EVENTS", "status,", "no system event"),
    ("WARMUP_PROMPT_FILE", "/nowhere/w.json", "no file"),
    ("MANIFEST", "/nowhere/m.yml", "no file"),
    ("PROMPT_WEBHOOK_RETRIES", "-1", "greater than or equal to 0"),
]


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*MEANINGS, *IN_PAIRS, *OURS):
        monkeypatch.delenv(name, raising=False)


def test_the_whole_table_is_read() -> None:
    known = {original.variable for original in SoloSettings.originals}
    assert known == MEANINGS.keys() | IN_PAIRS | OURS
    assert AMBIENT.keys() | WITHOUT_EFFECT.keys() == READ_OTHERWISE


@pytest.mark.parametrize("variable", MEANINGS)
def test_a_variable_means_what_it_did(variable: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    given, setting, meant = MEANINGS[variable]
    graph = tmp_path / "warmup.json"
    graph.write_text("{}")
    given, meant = (str(graph), str(graph)) if given == "GRAPH" else (given, meant)
    monkeypatch.setenv(variable, given)
    assert getattr(read_as(SoloSettings), setting) == meant


@pytest.mark.parametrize("variable", MEANINGS)
def test_one_that_is_set_to_nothing_is_not_set(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = read_as(SoloSettings)
    monkeypatch.setenv(variable, "")
    assert read_as(SoloSettings) == plain


@pytest.mark.parametrize(("variable", "given", "said"), WRONG)
def test_a_value_that_cannot_be_is_told_with_its_variable(
    variable: str, given: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, given)
    with pytest.raises(ValidationError) as caught:
        read_as(SoloSettings)
    (sentence,) = _wrong_settings(caught.value)
    assert sentence.startswith(f"{variable}: ") and said in sentence


def test_half_a_header_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_AUTH_HEADER_NAME", "X-Key")
    with pytest.raises(ValidationError) as caught:
        read_as(SoloSettings)
    assert "HTTP_AUTH_HEADER_VALUE" in _wrong_settings(caught.value)[0]
    monkeypatch.setenv("HTTP_AUTH_HEADER_VALUE", "hush")
    settings = read_as(SoloSettings)
    assert settings.http_auth_header_name == "X-Key" and "hush" not in repr(settings)


def test_ours_win_and_the_platform_does_not_read_solo_s(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "4000")
    monkeypatch.setenv("COMFYSERVE_PORT", "4001")
    assert read_as(SoloSettings).port == 4001
    monkeypatch.delenv("COMFYSERVE_PORT")
    assert read_settings().port == 3011


def test_a_warm_up_that_is_no_graph_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for text, said in (("[]", "no graph"), ("{", "no JSON")):
        (tmp_path / "w.json").write_text(text)
        with pytest.raises(ValidationError, match=said):
            read_as(SoloSettings, warmup_file=str(tmp_path / "w.json"))


def test_keys_are_split_and_not_guessable() -> None:
    settings = read_as(SoloSettings, api_keys="first-key-1, second-key-2")
    assert split_keys(settings.api_keys) == ["first-key-1", "second-key-2"]
    with pytest.raises(ValidationError, match="at least 8"):
        read_as(SoloSettings, api_keys="a,second-key-2")


def test_names_of_system_events_may_have_blanks_around_them() -> None:
    assert read_events(" status , executed") == {"status", "executed"}
    assert read_events(" all ") == frozenset(SYSTEM_EVENTS)
    assert read_events(" ") == frozenset()
