"""Names in the cache, as stateless-comfyui-api.md section 3.7 has them."""

import pytest

from comfyserve.core.credentials import AzureAuth, BearerAuth, QueryAuth, S3Auth
from comfyserve.fetch.cache.names import (
    Slot,
    ending_from_answer,
    ending_of,
    is_entry,
    place_of,
    slot_of,
    without_secrets,
)


@pytest.mark.parametrize(
    ("url", "slot"),
    [
        (
            "https://civitai.com/api/download/models/128713?type=Model&format=SafeTensor&size=pruned&fp=fp16",
            Slot("Pk6VSKLStckZydwGhX0bM8TqaqHEW9yt", ""),
        ),
        (
            "https://huggingface.co/Lykon/DreamShaper/resolve/main/"
            "DreamShaper_5_beta2_noVae_half_pruned.safetensors?download=true",
            Slot("Ourk-zJlAIK1IzkJV3eTfoVckxQ3fjQp", ".safetensors"),
        ),
        ("s3://salad-benchmark-test/test-image.png", Slot("4gwZE38IdOo2ntMaA741twg67ezLRPhZ", ".png")),
    ],
)
def test_the_documented_examples(url: str, slot: Slot) -> None:
    assert slot_of(url) == slot


def test_a_url_with_half_characters_has_a_name_too() -> None:
    assert len(slot_of("https://host/\ud800.png").key) == 32


@pytest.mark.parametrize(
    ("name", "ending"),
    [
        ("/a/b.png", ".png"),
        ("/a/b", ""),
        ("/a/.hidden", ""),
        ("/a/b.this-is-too-long-for-one", ""),
        ("/a/b.p g", ""),
        ("/a/b.png/", ".png"),
        ("/a/b.%2f", ""),
    ],
)
def test_endings_are_plain_and_short(name: str, ending: str) -> None:
    assert ending_of(name) == ending


def test_the_answer_tells_an_ending_that_the_url_does_not() -> None:
    assert ending_from_answer([None, "model.safetensors", "x.bin"], "image/png") == ".safetensors"
    assert ending_from_answer(["128713"], "image/png") == ".png"
    assert ending_from_answer([None, "../../x/.."], "application/x-unheard") == ""


def test_only_what_has_a_key_is_an_entry() -> None:
    key = "4gwZE38IdOo2ntMaA741twg67ezLRPhZ"
    assert [is_entry(name) for name in (key, f"{key}.png", f"{key}-2.png")] == [True] * 3
    assert [is_entry(name) for name in (f"{key}.png.meta", "README", ".locks", f"{key}x.png")] == [False] * 4


def test_credentials_that_lead_elsewhere_make_another_slot() -> None:
    own = S3Auth("a", "b", endpoint="https://mine.example")
    assert place_of(own) == "https://mine.example"
    assert place_of(S3Auth("a", "b")) == place_of(BearerAuth("t")) == place_of(None) == ""
    assert place_of(S3Auth("a", "b", region="x")) not in ("", place_of(S3Auth("a", "b", region="y")))
    assert place_of(AzureAuth("one", "k")) != place_of(AzureAuth("two", "k"))
    assert place_of(QueryAuth("token", "s")) == place_of(QueryAuth("token", "other")) != place_of(QueryAuth("id", "s"))
    assert slot_of("s3://b/k.png", place_of(own)) != slot_of("s3://b/k.png")


def test_no_words_of_a_caller_make_the_slot_of_other_words() -> None:
    words = [("u", "", ""), ("u\nanonymous", "", ""), ("u", "anonymous", ""), ("u", "", "anonymous"), ("u", "\n", "x"),
             ("u\n?token", "", ""), ("u", "?token", "")]  # fmt: skip
    assert len({slot_of(*each).key for each in words}) == len(words)


def test_the_side_car_keeps_no_secret() -> None:
    url = (
        "https://me:pass@host:8443/a.png?x=1&token=T0&X-Amz-Signature=T1&sig=T2&X-Amz-Credential=T3"
        "&x-amz-security-token=T4&code=T5&hdnts=exp=1~hmac=T6&T7#part"
    )
    assert without_secrets(url) == (
        "https://host:8443/a.png?x=&token=&X-Amz-Signature=&sig=&X-Amz-Credential=&x-amz-security-token=&code=&hdnts="
    )
