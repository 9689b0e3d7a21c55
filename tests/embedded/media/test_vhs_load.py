import json
from pathlib import Path

import pytest
from PIL import Image as Pillow

from comfyserve.embedded.context import EngineSettings, NodeContext
from comfyserve.embedded.media.sound import NoSoundError
from comfyserve.embedded.nodes import vhs_images, vhs_info, vhs_load
from comfyserve.embedded.nodes.vhs_shared import FLOAT_OR_INT, local_path, plain
from comfyserve.embedded.pixels.arrays import TooLarge
from comfyserve.embedded.validate.node_check import types_fit

from .conftest import with_settings
from .files import grays, levels, tone, write_video, write_wav


@pytest.fixture
def clip(context: NodeContext) -> str:
    """The name of a video of 20 frames, 10 a second, with sound."""
    return write_video(context.folders.input / "a.mp4", grays(20), sound=tone(2.0)).name


def test_a_video_gives_frames_count_sound_and_information(clip: str) -> None:
    images, count, sound, info = vhs_load.load_video(clip)
    assert (levels(images), count) == (list(range(0, 200, 10)), 20)
    assert sound["sample_rate"] == 8000 and sound["waveform"].shape[:2] == (1, 1)
    assert info == {
        "source_fps": 10.0,
        "source_frame_count": 20,
        "source_duration": 2.0,
        "source_width": 32,
        "source_height": 16,
        "loaded_fps": 10.0,
        "loaded_frame_count": 20,
        "loaded_duration": 2.0,
        "loaded_width": 32,
        "loaded_height": 16,
    }


def test_rate_skip_nth_and_cap_choose_frames_and_the_sound_that_belongs_to_them(clip: str) -> None:
    images, count, sound, info = vhs_load.load_video(
        clip, force_rate=5, skip_first_frames=2, select_every_nth=2, frame_load_cap=3
    )
    assert (levels(images), count) == ([40, 80, 120], 3)
    assert info["loaded_fps"] == 2.5 and info["loaded_duration"] == pytest.approx(1.2)
    whole = vhs_load.load_video(clip)[2]["waveform"]
    # From the third frame at 5 a second on, for three frames at 2.5 a second.
    assert (sound["waveform"] == whole[..., 3200 : 3200 + 9600]).all()


@pytest.mark.parametrize(
    ("asked", "form", "size"),
    [
        ((0, 0), "None", (32, 16)),
        ((16, 0), "None", (16, 8)),
        ((0, 32), "None", (64, 32)),
        ((20, 20), "None", (20, 20)),
        ((20, 20), "AnimateDiff", (24, 24)),
        ((0, 0), "LTXV", (32, 32)),
    ],
)
def test_frames_get_the_asked_size_to_the_multiple_of_the_format(
    clip: str, asked: tuple[int, int], form: str, size: tuple[int, int]
) -> None:
    images, _, _, info = vhs_load.load_video(clip, custom_width=asked[0], custom_height=asked[1], format=form)
    assert (images.shape[2], images.shape[1]) == size == (info["loaded_width"], info["loaded_height"])


@pytest.mark.parametrize(("form", "count"), [("Wan", 17), ("Cosmos", 17), ("Mochi", 19), ("AnimateDiff", 20)])
def test_a_format_takes_as_many_frames_as_its_models_want(clip: str, form: str, count: int) -> None:
    images, given, _, info = vhs_load.load_video(clip, format=form)
    assert len(images) == given == info["loaded_frame_count"] == count


def test_a_turned_video_stands_upright(context: NodeContext) -> None:
    frames = grays(2)
    frames[:, :, :8] = 255  # white on the left
    path = write_video(context.folders.input / "a.mp4", frames, turned=90)
    images, _, _, info = vhs_load.load_video(path.name)
    assert images.shape[1:3] == (32, 16) and (info["source_width"], info["source_height"]) == (16, 32)
    assert images[0, -4:].mean() > 0.9 and images[0, :20].mean() < 0.1, "turned counterclockwise, left is at the bottom"


def test_a_gif_is_a_video_and_a_silent_one_has_no_sound(context: NodeContext) -> None:
    first, *rest = (Pillow.fromarray(frame) for frame in grays(3))
    first.save(context.folders.input / "a.gif", save_all=True, append_images=rest, duration=100)
    (context.folders.input / "b.txt").write_text("no video")
    images, _, sound, _ = vhs_load.load_video("a.gif")
    assert levels(images) == [0, 10, 20]
    with pytest.raises(NoSoundError):
        sound["waveform"]
    assert vhs_load.family.classes["VHS_LoadVideo"].INPUT_TYPES()["required"]["video"] == (["a.gif"],)


def test_nothing_left_and_too_much_are_errors(clip: str, context: NodeContext) -> None:
    with pytest.raises(ValueError, match="gives no frames"):
        vhs_load.load_video(clip, skip_first_frames=99)
    with_settings(context, EngineSettings(media_bytes=32 * 16 * 3 * 4 * 4))
    assert len(vhs_load.load_video(clip, frame_load_cap=4)[0]) == 4
    with pytest.raises(ValueError, match="20 frames of 32 x 16"):
        vhs_load.load_video(clip)
    with pytest.raises(ValueError, match="4 frames of 8192 x 8192"):
        vhs_load.load_video(clip, frame_load_cap=4, custom_width=8192, custom_height=8192)


def test_latents_and_meta_batches_are_refused_with_the_way_out(clip: str) -> None:
    with pytest.raises(ValueError, match="VAE Encode"):
        vhs_load.load_video(clip, vae=object())
    with pytest.raises(ValueError, match="Remove the batch manager"):
        vhs_load.load_video(clip, meta_batch=object())


def test_paths_are_read_inside_the_engines_folders_only(clip: str, context: NodeContext, tmp_path: Path) -> None:
    inside = context.folders.input / clip
    assert vhs_load.load_video_path(f' "input/{clip}"\n')[1] == 20
    assert vhs_load.load_video_path(str(inside))[1] == 20
    outside = write_video(tmp_path / "b.mp4", grays(2))
    for path in (str(outside), "../b.mp4", "input/../../b.mp4", "/etc/passwd"):
        with pytest.raises(ValueError, match="outside of the folders"):
            vhs_load.load_video_path(path)
    (context.folders.input / "link.mp4").symlink_to(outside)
    with pytest.raises(ValueError, match="outside of the folders"):
        vhs_load.load_video_path("input/link.mp4")
    with_settings(context, EngineSettings(media_folders=(tmp_path,)))
    assert vhs_load.load_video_path(str(outside))[1] == 2


@pytest.mark.parametrize("address", ["http://127.0.0.1/a.mp4", "HTTPS://example.com/a.mp4"])
def test_addresses_are_never_opened(context: NodeContext, address: str) -> None:
    with pytest.raises(ValueError, match="no addresses"):
        local_path(address)


def test_a_path_is_checked_at_validation(clip: str, context: NodeContext) -> None:
    check = vhs_load.family.classes["VHS_LoadVideoPath"].VALIDATE_INPUTS
    assert check(f"input/{clip}") is True
    assert check(None) is True, "it comes through a link"
    assert check("input/none.mp4") == "There is no such file: input/none.mp4"
    assert "outside of the folders" in check("/etc/passwd")
    assert plain(' "a b" ') == "a b"


def test_the_fingerprint_follows_the_file(clip: str, context: NodeContext) -> None:
    changed = vhs_load.family.classes["VHS_LoadVideo"].IS_CHANGED
    before = changed(clip, force_rate=0)
    write_video(context.folders.input / clip, grays(3))
    assert changed(clip, force_rate=0) != before


def test_a_float_input_takes_a_whole_number_from_a_link() -> None:
    assert types_fit("FLOAT", FLOAT_OR_INT) and types_fit("INT", FLOAT_OR_INT)
    assert not types_fit("STRING", FLOAT_OR_INT)
    assert json.dumps(FLOAT_OR_INT) == '"FLOAT"'


def picture(folder: Path, name: str, level: int, size: tuple[int, int] = (8, 4), alpha: int | None = None) -> None:
    folder.mkdir(exist_ok=True)
    colour = (level,) * 3 if alpha is None else (level, level, level, alpha)
    Pillow.new("RGB" if alpha is None else "RGBA", size, colour).save(folder / name)


def test_the_pictures_of_a_folder_come_by_name_in_the_most_common_size(context: NodeContext) -> None:
    folder = context.folders.input / "set"
    for name, level, size in [("c.png", 200, (8, 4)), ("a.png", 0, (8, 4)), ("b.JPG", 100, (4, 4))]:
        picture(folder, name, level, size)
    (folder / "notes.txt").write_text("not a picture")
    images, masks, count = vhs_images.load_images("set")
    assert (images.shape, masks.shape, count) == ((3, 4, 8, 3), (3, 64, 64), 3)
    assert [round(float(image.mean()) * 255) for image in images] == [0, 100, 200]
    assert not masks.any()
    some = vhs_images.load_images("set", skip_first_images=1, select_every_nth=2, image_load_cap=1)[0]
    assert round(float(some.mean()) * 255) == 100


def test_alpha_becomes_a_mask_for_all(context: NodeContext) -> None:
    folder = context.folders.input / "set"
    picture(folder, "a.png", 10)
    picture(folder, "b.png", 20, alpha=51)
    images, masks, _ = vhs_images.load_images_path("input/set")
    assert images.shape == (2, 4, 8, 3)
    assert [round(float(mask.mean()), 3) for mask in masks] == [0.0, 0.8]


def test_a_lying_photo_counts_as_it_is_seen(context: NodeContext) -> None:
    folder = context.folders.input / "set"
    folder.mkdir()
    exif = Pillow.Exif()
    exif[0x0112] = 6
    Pillow.new("RGB", (8, 4)).save(folder / "a.jpg", exif=exif)
    assert vhs_images.load_images("set")[0].shape == (1, 8, 4, 3)


def test_folders_are_listed_checked_and_watched(context: NodeContext) -> None:
    for name in ("set", "clipspace"):
        picture(context.folders.input / name, "a.png", 0)
    node = vhs_images.family.classes["VHS_LoadImages"]
    assert node.INPUT_TYPES()["required"]["directory"] == (["set"],)
    assert node.VALIDATE_INPUTS("set") is True
    assert node.VALIDATE_INPUTS("none") == "The input folder has no folder 'none'"
    assert node.VALIDATE_INPUTS("../output") == "The input folder has no folder '../output'"
    before = node.IS_CHANGED("set")
    picture(context.folders.input / "set", "b.png", 0)
    assert node.IS_CHANGED("set") != before


def test_an_empty_folder_and_a_broken_picture_are_said(context: NodeContext) -> None:
    folder = context.folders.input / "set"
    folder.mkdir()
    with pytest.raises(ValueError, match="No pictures in the folder set"):
        vhs_images.load_images("set")
    (folder / "a.png").write_bytes(b"no picture")
    with pytest.raises(ValueError, match=r"a\.png is not a picture"):
        vhs_images.load_images("set")


def test_a_picture_that_another_program_would_read_is_refused(context: NodeContext) -> None:
    folder = context.folders.input / "set"
    folder.mkdir()
    Pillow.new("RGB", (8, 4)).save(folder / "a.png", "EPS")
    with pytest.raises(ValueError, match=r"a\.png is not a picture") as refused:
        vhs_images.load_images("set")
    assert str(refused.value.__cause__) == "EPS is not read here"


def test_each_picture_of_a_folder_is_bounded_by_its_head(context: NodeContext) -> None:
    folder = context.folders.input / "set"
    for name in ("a.png", "b.png"):
        picture(folder, name, 0)
    picture(folder, "c.png", 0, (400, 400))
    with_settings(context, EngineSettings(picture_bytes=2**18))
    with pytest.raises(TooLarge, match=r"c\.png is too large.*--picture-megabytes"):
        vhs_images.load_images("set")


def test_what_is_known_of_a_video_comes_apart(clip: str) -> None:
    info = vhs_load.load_video(clip, select_every_nth=2)[3]
    source, loaded = vhs_info.video_info_source(info), vhs_info.video_info_loaded(info)
    assert (source, loaded) == ((10.0, 20, 2.0, 32, 16), (5.0, 10, 2.0, 32, 16))
    assert vhs_info.video_info(info) == source + loaded


def test_sound_is_loaded_by_path_and_by_name(context: NodeContext) -> None:
    write_wav(context.folders.input / "a.wav", tone(1.0))
    sound, seconds = vhs_info.load_audio("input/a.wav", seek_seconds=0.25, duration=0.5)
    assert (sound["waveform"].shape, seconds) == ((1, 1, 4000), 0.5)
    assert vhs_info.load_audio_upload("a.wav", start_time=0.75)[1] == 0.25


def test_a_file_is_selected_from_both_ends() -> None:
    names = (True, ["a.png", "a.mp4"])
    assert (vhs_info.select_filename(names, -1), vhs_info.select_filename(names, 0)) == ("a.mp4", "a.png")
    with pytest.raises(ValueError, match="none with index 2"):
        vhs_info.select_filename(names, 2)
