"""A log shows requests without their secrets."""

from typing import Any

import pytest

from comfyserve.core.redaction import HIDDEN, bare_text, redacted


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
        {"url": "s3://bucket/x.png?X-Amz-Signature=hush", "more": "see webdav+s://u:hu@sh:hush@h/"},
        {"api_token": ["hush"], "tokens": {"first": "hush"}, "accountKey": "hush"},
        {"credentials": "u:hush"},
        {"credentials": ["u:hush"]},
        {"credentials": [{"url_pattern": "https://x?sig=hush", "note": "hush", "auth": "hush"}]},
        {"auth": "hush", "other": {"auth": {"type": "https://x:hush@h"}}},
        {"https://me:hush@host/": 1},
        {"text": "x" * 180 + " https://user:hush-hush-hush-hush@host/"},
        {"text": "https://h/?" + "q" * 4080 + " https://hush:hush-hush-hush@host/"},
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
    wide = redacted({"list": list(range(5000)), "object": {str(number): number for number in range(5000)}})
    assert len(wide["list"]) == len(wide["object"]) == 1001 and wide["list"][-1] == "... (5000 in all)"
    assert len(str(redacted({"x": "://" * 2_000_000, "y": b"z" * 1_000_000}))) < 600


def test_a_program_s_line_has_no_login_and_no_query() -> None:
    assert bare_text("from https://a:b@h/x?key=k and s3://b/c?d") == f"from https://h/x?{HIDDEN} and s3://b/c?{HIDDEN}"
