"""Whatever words a caller finds for credentials, targets and addresses: they are taken, or there is a domain error."""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import fields
from typing import Any

import pytest

from comfyserve.core.credentials import AUTH_TYPES, read_auth, read_credentials, write_auth
from comfyserve.core.errors import DomainError, InvalidInput
from comfyserve.core.graph import Graph, Node
from comfyserve.core.logins import lift_logins
from comfyserve.core.models import model_places, split_wish
from comfyserve.core.targets import TARGET_TYPES, read_target

GOOD: Mapping[str, str] = {
    "endpoint": "https://store.example:9000",
    "url_prefix": "https://h/in",
    "repo": "me/pictures",
    "repo_type": "dataset",
    "names": "plain",
    "service_account_json": '{\r\n\t"client_email": "a@b", "private_key_id": "1", "private_key": "x"\n}',
}
UNCARRIED = ["\0", "a\x07", "a\nb", "\x7f", "\ud800", "a\udfffb", "\u2028", "\u202e"]
"""Control characters, halves of characters, and what turns a line around."""
BROKEN = [
    "http://[::1",
    "http://[x]/",
    "http://h:99999/",
    "http://h:x/",
    "http://",
    "//h/",
    "h",
    "ftp://h/",
    "http://h:0/",
]
ODD: list[Any] = [*UNCARRIED, *BROKEN, "", " ", "a:b", "a b", "\U0001f600", "*" * 5000, None, 7, [], {}, True]


def auth_of(kind: str, **changes: Any) -> dict[str, Any]:
    """All fields of a kind of credentials, and what shall be other than fine."""
    return {"type": kind, **{one.name: GOOD.get(one.name, "word") for one in fields(AUTH_TYPES[kind])}, **changes}


def target_of(kind: str, **changes: Any) -> dict[str, Any]:
    """All fields of a kind of target but its credentials."""
    names = [one.name for one in fields(TARGET_TYPES[kind]) if one.name != "auth"]
    return {"type": kind, **{name: GOOD.get(name, "word") for name in names}, **changes}


AUTH_FIELDS = [(kind, one.name) for kind, cls in AUTH_TYPES.items() for one in fields(cls)]
TARGET_FIELDS = [(kind, one.name) for kind, cls in TARGET_TYPES.items() for one in fields(cls) if one.name != "auth"]


@pytest.mark.parametrize(("kind", "name"), AUTH_FIELDS)
def test_each_word_of_credentials(kind: str, name: str) -> None:
    read = read_auth(auth_of(kind))
    assert read_auth(write_auth(read)) == read
    for odd in ODD:
        with suppress(DomainError):
            read_auth(auth_of(kind, **{name: odd}))
    for odd in [one for one in UNCARRIED if name != "service_account_json" or "\n" not in one]:
        with pytest.raises(InvalidInput, match="printable") as caught:
            read_auth(auth_of(kind, **{name: odd}))
        assert caught.value.place.field == f"auth.{name}"


@pytest.mark.parametrize(("kind", "name"), TARGET_FIELDS)
def test_each_word_of_a_target(kind: str, name: str) -> None:
    assert read_target(target_of(kind))
    for odd in ODD:
        with suppress(DomainError):
            read_target(target_of(kind, **{name: odd}))
    for odd in UNCARRIED:
        with pytest.raises(InvalidInput, match="printable"):
            read_target(target_of(kind, **{name: odd}))


@pytest.mark.parametrize("odd", [None, 7, "x", [], {}, {"type": []}, {"type": {}}, {"type": None}, {"type": "\ud800"}])
def test_no_credentials_and_no_target_at_all(odd: Any) -> None:
    for read in (read_auth, read_target):
        with pytest.raises(InvalidInput, match="type must be one of"):
            read(odd)
    for value in ([odd], [{"url_pattern": "**", "auth": odd}], [{"url_pattern": odd, "auth": auth_of("bearer")}]):
        with suppress(DomainError):
            read_credentials(value)


@pytest.mark.parametrize("text", BROKEN)
def test_broken_addresses_in_credentials_and_targets(text: str) -> None:
    for kind in ("s3", "azure", "gcs"):
        with pytest.raises(InvalidInput, match=r"auth\.endpoint must be an http or https URL"):
            read_auth(auth_of(kind, endpoint=text))
    with pytest.raises(InvalidInput, match=r"target\.url_prefix must be an http or https URL"):
        read_target(target_of("http", url_prefix=text))


def test_no_colon_in_a_user_s_name() -> None:
    """The header of RFC 7617 could not say where the password begins."""
    with pytest.raises(InvalidInput, match="colon") as caught:
        read_auth(auth_of("basic", username="a:b"))
    assert caught.value.place.field == "auth.username"


@pytest.mark.parametrize(
    ("kind", "name", "odd"),
    [
        ("s3", "region", "evil.com/a"),
        ("s3", "region", "eu west"),
        ("s3", "region", ""),
        ("azure", "account_name", "evil.com/a"),
        ("azure", "account_name", "127.0.0.1:80/x"),
        ("azure", "account_name", ""),
        ("gcs", "service_account_json", "x"),
        ("gcs", "service_account_json", "[" * 9000),
        ("gcs", "service_account_json", '{"client_email": 1}'),
        ("header", "header_name", "Host"),
        ("header", "header_name", "a b"),
        ("header", "header_value", "\u20ac"),
    ],
)
def test_words_that_cannot_be_used_are_refused_with_their_place(kind: str, name: str, odd: str) -> None:
    """A region or an account that is no plain word made another host of the provider's, whose answers got into the
    cache as if they were the provider's."""
    with pytest.raises(InvalidInput) as caught:
        read_auth(auth_of(kind, **{name: odd}))
    assert caught.value.place.field == f"auth.{name}"


WISHES = [
    "http://[::1#folder=loras",
    "http://h/x#folder=%ud800&folder=%ff",
    "http://h/x#folder=\ud800",
    "http://h/x#" + "&" * 5000,
    "http://h/x#" + "a=b&" * 5000,
    "http://a..b/x#folder=loras",
    "http://u:p@[x#folder=loras",
    "http://u%00:p%0a@h/x",
    "http://a%3Ab:p@h/x",
    "http://u\ud800:p@h/x",
    "http://u:p@h/" + "*a" * 20,
]


@pytest.mark.parametrize("text", WISHES, ids=range(len(WISHES)))
def test_broken_addresses_of_models(text: str) -> None:
    """What is lifted out of one can be read again from where it is kept."""
    split_wish(text)
    graph = Graph({"1": Node("LoraLoader", {"lora_name": text})})
    with suppress(DomainError):
        model_places(graph)
    lifted = lift_logins(graph, None, ())
    kept = [{"url_pattern": one.url_pattern, "auth": write_auth(one.auth)} for one in lifted.credentials]
    assert read_credentials(json.loads(json.dumps(kept))) == lifted.credentials


def test_the_kind_of_a_model_that_an_address_asks_for() -> None:
    assert split_wish("http://[::1#folder=x") == ("http://[::1", "x")
    assert split_wish("http://h/a?#folder=x") == ("http://h/a?", "x")
    assert split_wish("http://h/a#page=2") == ("http://h/a#page=2", "")
    assert split_wish("http://h/a#folder=x&folder=y") == ("http://h/a#folder=x&folder=y", "")
