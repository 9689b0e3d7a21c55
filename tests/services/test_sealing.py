"""What is sealed is opened by the same key only."""

import pytest

from comfyserve.services.sealing import SealBroken, Sealing

TEXT = '{"token": "hf_sesame \u00fc"}'


def test_what_is_sealed_is_opened_again_and_never_looks_the_same() -> None:
    first, second = Sealing(b"key").seal(TEXT), Sealing(b"key").seal(TEXT)
    assert first != second
    assert "sesame" not in first
    assert Sealing(b"key").open(first) == Sealing(b"key").open(second) == TEXT


@pytest.mark.parametrize("change", [lambda text: text[:-3] + "abc", lambda text: "2" + text[1:], lambda text: ""])
def test_what_was_changed_is_not_opened(change: object) -> None:
    sealing = Sealing(b"key")
    assert callable(change)
    with pytest.raises(SealBroken):
        sealing.open(change(sealing.seal(TEXT)))


def test_another_key_opens_nothing_and_compares_nothing() -> None:
    with pytest.raises(SealBroken) as broken:
        Sealing(b"another").open(Sealing(b"key").seal(TEXT))
    assert "secret key" in broken.value.message
    assert Sealing(b"key").digest(TEXT) == Sealing(b"key").digest(TEXT) != Sealing(b"another").digest(TEXT)
