"""A log shows requests without their secrets."""

from typing import Any

import pytest

from comfyserve.core.redaction import HIDDEN, redacted


@pytest.mark.parametrize(
    "secret",
    [
        {"auth": {"type": "basic", "username": "me", "password": "hush"}},
        {"auth": {"type": "header", "header_name": "X", "header_value": "hush"}},
        {"auth": {"type": "query", "query_param": "k", "query_value": "hush"}},
        {"auth": {"type": "s3", "access_key_id": "hush", "secret_access_key": "hush", "session_token": "hush"}},
        {"auth": {"type": "new", "unheard_of": {"deep": "hush"}}},
        {"credentials": [{"url_pattern": "https://a:hush@x/**", "auth": {"type": "bearer", "token": "hush"}}]},
        {"webhook": "https://user:hush@host/x"},
        {"url": "https://bucket/x.png?X-Amz-Signature=hush#frag"},
        {"text": "see http://a/b?key=hush and https://c:hush@d"},
        {"api_key": "hush", "Authorization": "Bearer hush", "account_key": "hush", "sas_token": "hush"},
        {"a": [[{"password": "hush"}]], "b": ({"WEBHOOK_SECRET": "hush"},)},
    ],
)
def test_secrets_are_hidden(secret: Any) -> None:
    assert "hush" in str(secret) and "hush" not in str(redacted(secret))


def test_all_else_is_shown() -> None:
    graph = {
        "1": {"class_type": "KSampler", "inputs": {"seed": 3, "cfg": 7.5, "model": ["2", 0], "ok": True, "n": None}}
    }
    assert redacted(graph) == graph
    asked = {"auth": {"type": "s3", "region": "eu", "endpoint": "https://s3"}, "url_pattern": "https://x/**"}
    assert redacted(asked) == asked


def test_long_texts_are_cut_and_depth_is_bounded() -> None:
    assert redacted("a" * 1000) == "a" * 200 + "... (1000 characters)"
    deep: Any = "end"
    for _ in range(5000):
        deep = [deep]
    assert HIDDEN in str(redacted(deep))
