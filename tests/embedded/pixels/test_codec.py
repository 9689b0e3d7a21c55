from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from comfyserve.embedded.pixels.codec import load_channel, load_frames, save_png, to_pillow


def test_alpha_becomes_an_inverted_mask_and_colour_is_not_composited(tmp_path: Path) -> None:
    Pillow.new("RGBA", (3, 2), (255, 0, 51, 102)).save(tmp_path / "a.png")
    image, mask = load_frames(tmp_path / "a.png")
    assert image.shape == (1, 2, 3, 3)
    assert image[0, 0, 0].tolist() == pytest.approx([1, 0, 0.2])
    assert mask.shape == (1, 2, 3)
    assert mask[0, 0, 0] == pytest.approx(0.6)


def test_a_picture_without_alpha_has_the_small_empty_mask(tmp_path: Path) -> None:
    Pillow.new("RGB", (300, 200)).save(tmp_path / "a.png")
    _, mask = load_frames(tmp_path / "a.png")
    assert mask.shape == (1, 64, 64)
    assert not mask.any()


def test_frames_become_a_batch_and_other_sizes_are_skipped(tmp_path: Path) -> None:
    pages = [Pillow.new("RGB", size, color) for size, color in (((4, 4), "red"), ((5, 4), "lime"), ((4, 4), "blue"))]
    pages[0].save(tmp_path / "a.tiff", save_all=True, append_images=pages[1:])
    image, mask = load_frames(tmp_path / "a.tiff")
    assert image[:, 0, 0].tolist() == [[1, 0, 0], [0, 0, 1]]
    assert mask.shape == (2, 64, 64)


def test_of_an_mpo_only_the_first_picture_counts(tmp_path: Path) -> None:
    first, second = Pillow.new("RGB", (8, 8), "red"), Pillow.new("RGB", (8, 8), "blue")
    first.save(tmp_path / "a.mpo", save_all=True, append_images=[second])
    image, _ = load_frames(tmp_path / "a.mpo")
    assert image.shape == (1, 8, 8, 3)


def test_integer_gray_is_scaled_down_to_eight_bits(tmp_path: Path) -> None:
    Pillow.fromarray(np.full((2, 2), 255 * 100, np.int32)).save(tmp_path / "a.tiff")
    image, _ = load_frames(tmp_path / "a.tiff")
    assert image[0, 0, 0].tolist() == pytest.approx([100 / 255] * 3)


def test_the_alpha_channel_of_an_opaque_file_is_an_empty_mask(tmp_path: Path) -> None:
    Pillow.new("RGB", (5, 3), (10, 20, 30)).save(tmp_path / "a.png")
    assert not load_channel(tmp_path / "a.png", "alpha").any()
    assert load_channel(tmp_path / "a.png", "green")[0, 0, 0] == pytest.approx(20 / 255)
    assert load_channel(tmp_path / "a.png", "green").shape == (1, 3, 5)


@pytest.mark.parametrize("content", [b"", b"not a picture", b"\x89PNG\r\n\x1a\n" + b"\0" * 40])
def test_a_file_that_is_no_picture_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bad.png").write_bytes(content)
    with pytest.raises(ValueError, match=r"bad\.png is not a picture"):
        load_frames(tmp_path / "bad.png")


def test_a_cut_off_file_is_named(tmp_path: Path) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8)
    Pillow.fromarray(noise).save(tmp_path / "whole.png")
    (tmp_path / "half.png").write_bytes((tmp_path / "whole.png").read_bytes()[:4000])
    with pytest.raises(ValueError, match=r"half\.png is not a picture"):
        load_frames(tmp_path / "half.png")
    with pytest.raises(ValueError, match=r"half\.png is not a picture"):
        load_channel(tmp_path / "half.png", "red")


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (3, "RGB"), (4, "RGBA")])
def test_channels_choose_the_mode_of_the_file(channels: int, mode: str) -> None:
    assert to_pillow(np.zeros((2, 2, channels), np.float32)).mode == mode


def test_other_channel_counts_are_refused() -> None:
    with pytest.raises(ValueError, match="2 channels"):
        to_pillow(np.zeros((2, 2, 2), np.float32))


def test_texts_are_written_as_text_chunks(tmp_path: Path) -> None:
    save_png(tmp_path / "a.png", np.zeros((2, 2, 3), np.float32), {"prompt": '{"1": "\\u00e9"}'})
    assert b"tEXtprompt\0" in (tmp_path / "a.png").read_bytes()
    with Pillow.open(tmp_path / "a.png") as picture:
        assert picture.info["prompt"] == '{"1": "\\u00e9"}'


@pytest.mark.parametrize("key", ["", "x" * 80, "schlüssel", "a\nb"])
def test_a_keyword_that_png_forbids_is_refused(tmp_path: Path, key: str) -> None:
    with pytest.raises(ValueError, match="metadata name"):
        save_png(tmp_path / "a.png", np.zeros((2, 2, 3), np.float32), {key: "x"})


def test_an_empty_picture_is_refused() -> None:
    with pytest.raises(ValueError, match="empty picture"):
        to_pillow(np.zeros((0, 2, 3), np.float32))
