import numpy as np
import pytest

from comfyserve.embedded.media.resample import resample


def sine(rate: int, seconds: float = 0.5, frequency: float = 440.0) -> np.ndarray:
    return np.sin(2 * np.pi * frequency * np.arange(round(rate * seconds)) / rate).astype(np.float32)[None]


@pytest.mark.parametrize(("rate", "target"), [(8000, 16000), (44100, 48000), (48000, 44100), (48000, 8000)])
def test_a_tone_stays_the_same_tone(rate: int, target: int) -> None:
    given, wanted = resample(sine(rate), rate, target), sine(target)
    assert given.shape == wanted.shape
    inside = slice(target // 20, -target // 20)
    assert np.abs(given - wanted)[:, inside].max() < 2e-3


def test_what_the_new_rate_cannot_hold_is_taken_out() -> None:
    high = resample(sine(48000, frequency=15000), 48000, 8000)
    assert np.abs(high[:, 400:-400]).max() < 0.02


def test_the_weights_are_those_of_a_windowed_sinc() -> None:
    # One impulse at sample 20, read at twice the rate: the response is the filter itself, centred at output sample 40.
    impulse = np.zeros((1, 64), np.float32)
    impulse[0, 20] = 1
    away = (np.arange(128) - 40) / 2 * 0.99
    window = np.where(np.abs(away) < 6, np.cos(away * np.pi / 12) ** 2, 0)
    assert resample(impulse, 8000, 16000)[0] == pytest.approx(np.sinc(away) * window * 0.99, abs=1e-6)


def test_the_same_rate_changes_nothing_and_the_length_is_rounded_up() -> None:
    wave = np.ones((2, 3, 10), np.float32)
    assert resample(wave, 8000, 8000) is wave
    assert resample(wave, 3, 2).shape == (2, 3, 7)


def test_impossible_rates_are_refused() -> None:
    with pytest.raises(ValueError, match="Use 1 or more"):
        resample(np.ones((1, 4), np.float32), 0, 8000)
    with pytest.raises(ValueError, match="too far apart"):
        resample(np.ones((1, 4), np.float32), 1_000_003, 9_999_991)
