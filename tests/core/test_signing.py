"""Signatures are those of Standard Webhooks, with comfyui-api's reading of the secret."""

import base64
import json
import time

import pytest
import standardwebhooks
import svix.webhooks
from hypothesis import given
from hypothesis import strategies as st

from comfyserve.core.signing import Signature, header_text, read_key

BODY = b'{"a":1}'
SECRET = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def signed(key: bytes) -> str:
    """The signature of the specification's example."""
    made = Signature(key, "V2", 1700000000)
    for start in range(len(BODY)):
        made.add(BODY[start : start + 1])
    return made.headers()["webhook-signature"]


def test_the_vectors_of_the_specification() -> None:
    assert read_key("testsecret").hex() == "b5eb2db1e72b7a"
    assert signed(read_key("testsecret")) == "v1,MWNcIV80AEFwUam5w2KI8uP3T02uNdDJVL7X8vktbjA="
    good = "v1,BIbcbyjXRw3oCFrwwTDYfMWIWx914xgSjwHMBSF/aFM="
    assert signed(read_key(SECRET)) == signed(read_key(f"whsec_{SECRET}")) == good
    assert signed(read_key(f"whsec_{SECRET}", "keep")) == "v1,vncyX1M2iOQenI8w7i5kCLtMXUmxcgGIWrXDyVatIt8="
    assert signed(read_key("")) == "v1,h7dlZrPPW+wkA3uEGaHprigkWcpLdzvwIY3eHCpAQY0="


@pytest.mark.parametrize(
    ("secret", "key"),
    [
        ("_-8", b"\xff\xef"),
        ("/+8=", b"\xff\xef"),
        ("/ +\n8", b"\xff\xef"),
        ("/+8=AAAA", b"\xff\xef"),
        ("/+8A/", b"\xff\xef\x00"),
        ("A", b""),
        ("\u00e9\u4e16", b""),
        (" whsec_/+8= ", b"\xff\xef"),
    ],
)
def test_a_secret_is_read_leniently(secret: str, key: bytes) -> None:
    assert read_key(secret) == key


@given(st.text())
def test_any_secret_gives_some_key(secret: str) -> None:
    assert isinstance(read_key(secret), bytes)


@given(st.binary())
def test_base64_is_read_as_it_was_written(key: bytes) -> None:
    assert read_key(base64.b64encode(key).decode()) == read_key(base64.urlsafe_b64encode(key).decode()) == key


@given(st.text())
def test_an_id_fits_into_a_header(text: str) -> None:
    shown = header_text(text)
    assert shown.isascii() and "\n" not in shown and shown == shown.strip()


def test_an_id_that_a_header_can_hold_stays_as_it_is() -> None:
    assert header_text("a/../b c") == "a/../b c"
    assert header_text("a\r\nx: y") == "a%0D%0Ax%3A%20y"


@pytest.mark.parametrize("call_id", ["r-1", "with blank and \u00e9"])
def test_receivers_take_it(call_id: str) -> None:
    secret = f"whsec_{base64.b64encode(b'k' * 24).decode()}"
    body = json.dumps({"text": "\u00e9"}, ensure_ascii=False)
    made = Signature(read_key(secret), call_id, round(time.time()))
    made.add(body.encode())
    for verifier in (standardwebhooks.Webhook, svix.webhooks.Webhook):
        verifier(secret).verify(body, made.headers())
        with pytest.raises(Exception, match="No matching signature"):
            verifier(secret).verify(body + " ", made.headers())
