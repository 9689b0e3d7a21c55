"""`convert_output` against the bytes that come of it: each option means what libvips means by it."""

import asyncio
import io
import os
import signal
import struct
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import pytest_asyncio
import pyvips  # type: ignore[import-untyped]  # it brings no types
from PIL import Image, PngImagePlugin

from comfyserve.core.conversion import read_conversion
from comfyserve.work.collect import Converter, ConvertLimits
from comfyserve.work.collect.convert import NotConverted
from comfyserve.work.collect.process import ConverterProcess, Crashed

SIZE = (96, 64)
SECONDS = 60


def photo(mode: str = "RGB", size: tuple[int, int] = SIZE) -> Image.Image:
    """Colours that change quickly, so that every option shows in the bytes."""
    random = np.random.default_rng(7)
    across, down = np.meshgrid(np.arange(size[0]), np.arange(size[1]))
    bands = [(across * 5 + down) % 256, (down * 7) % 256, (across * down) % 256, 40 + (across * 2) % 200]
    noisy = [np.clip(band + random.integers(-30, 30, band.shape), 0, 255).astype(np.uint8) for band in bands]
    return Image.fromarray(np.dstack(noisy)).convert(mode)


def saved(picture: Image.Image, kind: str = "png", **options: Any) -> bytes:
    """A picture as a file."""
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


class Press:
    """Converts bytes to bytes."""

    def __init__(self, folder: Path, **limits: Any) -> None:
        self.folder = folder
        self.converter = Converter(folder / "scratch", ConvertLimits(**limits))

    async def __call__(self, source: bytes, name: str, **options: Any) -> bytes:
        """The file that comes of it. Raises NotConverted."""
        original, made = self.folder / "original", self.folder / f"made.{name}"
        original.write_bytes(source)
        conversion = read_conversion({"format": name, "options": options})
        assert conversion is not None
        await asyncio.wait_for(self.converter.convert(original, made, conversion), SECONDS)
        return made.read_bytes()


@pytest_asyncio.fixture
async def press(tmp_path: Path) -> AsyncIterator[Press]:
    press = Press(tmp_path)
    yield press
    await press.converter.close()


def pixels(data: bytes, mode: str = "RGB") -> np.ndarray[Any, Any]:
    """What a picture shows."""
    return np.asarray(Image.open(io.BytesIO(data)).convert(mode))


def markers(jpeg: bytes) -> Iterator[tuple[int, bytes]]:
    """The segments of a JPEG up to its first scan, and of the later ones the start of each scan (ITU T.81, annex B)."""
    at = 2
    while at < len(jpeg) - 1:
        if jpeg[at] != 0xFF or jpeg[at + 1] in (0x00, 0xFF, *range(0xD0, 0xD8)):
            at += 1
            continue
        if jpeg[at + 1] == 0xD9:
            return
        length = struct.unpack_from(">H", jpeg, at + 2)[0]
        yield jpeg[at + 1], jpeg[at + 4 : at + 2 + length]
        at += 2 + length


def frame(jpeg: bytes) -> tuple[int, list[int]]:
    """The marker of its frame (0xC0 baseline, 0xC2 progressive) and the sampling factors of its components."""
    marker, body = next((marker, body) for marker, body in markers(jpeg) if marker in (0xC0, 0xC1, 0xC2))
    return marker, [body[6 + 3 * component + 1] for component in range(body[5])]


def first_table(jpeg: bytes) -> bytes:
    """The quantisation table of luminance."""
    return next(body for marker, body in markers(jpeg) if marker == 0xDB)[1:65]


def scans(jpeg: bytes) -> int:
    return sum(marker == 0xDA for marker, _ in markers(jpeg))


def chunks(webp: bytes) -> list[str]:
    """The names of a WebP's chunks (RFC 9649)."""
    assert webp[:4] == b"RIFF" and webp[8:12] == b"WEBP"
    names, at = [], 12
    while at < len(webp):
        names.append(webp[at : at + 4].decode())
        at += 8 + struct.unpack_from("<I", webp, at + 4)[0]
        at += at % 2
    return names


# ------------------------------------------------------------------------------------------------------ jpeg


async def test_a_jpeg_of_the_defaults(press: Press) -> None:
    made = await press(saved(photo()), "jpeg")
    assert frame(made) == (0xC0, [0x22, 0x11, 0x11])
    assert abs(pixels(made).astype(int) - np.asarray(photo())).mean() < 25
    assert made == await press(saved(photo()), "jpg")
    assert made == await press(saved(photo()), "jpeg", quality=80, optimizeCoding=True, quantisationTable=0)


async def test_chroma_subsampling_is_what_was_asked_for_whatever_the_quality(press: Press) -> None:
    for quality in (50, 95):
        assert frame(await press(saved(photo()), "jpeg", quality=quality))[1] == [0x22, 0x11, 0x11]
        full = await press(saved(photo()), "jpeg", quality=quality, chromaSubsampling="4:4:4")
        assert frame(full)[1] == [0x11, 0x11, 0x11]


async def test_quality_changes_the_size(press: Press) -> None:
    sizes = [len(await press(saved(photo()), "jpeg", quality=quality)) for quality in (10, 60, 100)]
    assert sizes == sorted(sizes) and sizes[2] > 2 * sizes[0]


async def test_progressive(press: Press) -> None:
    made = await press(saved(photo()), "jpeg", progressive=True)
    assert frame(made)[0] == 0xC2 and scans(made) > 1


async def test_coding_is_optimised_unless_told_otherwise(press: Press) -> None:
    assert len(await press(saved(photo()), "jpeg", optimizeCoding=False)) > len(await press(saved(photo()), "jpeg"))


async def test_the_quantisation_table(press: Press) -> None:
    tables = {first_table(await press(saved(photo()), "jpeg", quantisationTable=number)) for number in range(9)}
    assert len(tables) >= 8  # two of the nine are equal for luminance


@pytest.mark.parametrize("option", ["trellisQuantisation", "overshootDeringing"])
async def test_single_options_of_mozjpeg_change_the_bytes(press: Press, option: str) -> None:
    harsh = Image.fromarray(np.kron(np.eye(16, dtype=np.uint8) * 255, np.ones((5, 5), np.uint8))).convert("RGB")
    plain, given = await press(saved(harsh), "jpeg"), await press(saved(harsh), "jpeg", **{option: True})
    assert plain != given and frame(given)[0] == 0xC0


async def test_optimised_scans_make_it_progressive(press: Press) -> None:
    assert frame(await press(saved(photo()), "jpeg", optimizeScans=True, progressive=False))[0] == 0xC2


async def test_mozjpeg_is_all_of_them_unless_said_otherwise(press: Press) -> None:
    source, every = saved(photo()), {"trellisQuantisation": True, "overshootDeringing": True, "optimizeScans": True}
    strong = await press(source, "jpeg", mozjpeg=True)
    assert strong == await press(source, "jpeg", **every, quantisationTable=3)
    assert len(strong) < len(await press(source, "jpeg", progressive=True))
    other = await press(source, "jpeg", mozjpeg=True, quantisationTable=0, optimizeScans=False, progressive=False)
    assert frame(other)[0] == 0xC0 and first_table(other) == first_table(await press(source, "jpeg"))


async def test_transparency_becomes_black_in_a_jpeg(press: Press) -> None:
    clear = Image.new("RGBA", (32, 32), (255, 0, 0, 0))
    assert pixels(await press(saved(clear), "jpeg")).max() <= 2


# ------------------------------------------------------------------------------------------------------ webp


async def test_a_webp_of_the_defaults_is_lossy(press: Press) -> None:
    assert chunks(await press(saved(photo()), "webp")) == ["VP8 "]


async def test_lossless_is_exact(press: Press) -> None:
    made = await press(saved(photo("RGBA")), "webp", lossless=True)
    assert "VP8L" in chunks(made)
    assert (pixels(made, "RGBA") == np.asarray(photo("RGBA"))).all()


async def test_nearly_lossless_is_nearly_so(press: Press) -> None:
    made = await press(saved(photo()), "webp", nearLossless=True, quality=40)
    assert chunks(made) == ["VP8L"]
    off = abs(pixels(made).astype(int) - np.asarray(photo())).max()
    assert 0 < off <= 32


async def test_the_quality_of_alpha(press: Press) -> None:
    poor = await press(saved(photo("RGBA")), "webp", alphaQuality=0)
    full = await press(saved(photo("RGBA")), "webp")
    assert "ALPH" in chunks(poor) and len(poor) < len(full)
    assert (pixels(full, "RGBA")[..., 3] == np.asarray(photo("RGBA"))[..., 3]).all()
    assert (pixels(poor, "RGBA")[..., 3] != np.asarray(photo("RGBA"))[..., 3]).any()


@pytest.mark.parametrize(
    "options", [{"smartSubsample": True}, {"preset": "text"}, {"effort": 0}, {"effort": 6}, {"quality": 20}]
)
async def test_other_options_of_webp_change_the_bytes(press: Press, options: dict[str, Any]) -> None:
    made = await press(saved(photo()), "webp", **options)
    assert chunks(made) == ["VP8 "] and made != await press(saved(photo()), "webp")


# ----------------------------------------------------------------------------------------------- avif and png


async def test_avif(press: Press) -> None:
    made = await press(saved(photo()), "avif", effort=0)
    assert made[4:12] == b"ftypavif"
    sizes = [len(await press(saved(photo()), "avif", effort=0, quality=quality)) for quality in (10, 90)]
    assert sizes[0] < len(made) < sizes[1]


async def test_lossless_avif_is_exact(press: Press) -> None:
    made = await press(saved(photo()), "avif", lossless=True, effort=0)
    assert (pixels(await press(made, "png")) == np.asarray(photo())).all()


@pytest.mark.parametrize(
    ("options", "depth", "subsampled"),
    [({}, 8, 0), ({"bitdepth": 10}, 10, 0), ({"bitdepth": 12, "chromaSubsampling": "4:2:0"}, 12, 1)],
)
async def test_depth_and_sampling_of_avif(press: Press, options: dict[str, Any], depth: int, subsampled: int) -> None:
    made = await press(saved(photo()), "avif", effort=0, **options)
    flags = made[made.index(b"av1C") + 6]  # AV1 in ISO-BMFF, section 2.3.3
    twelve, high = flags >> 5 & 1, flags >> 6 & 1
    assert (12 if twelve else 10 if high else 8, flags >> 3 & 1, flags >> 2 & 1) == (depth, subsampled, subsampled)


def png_head(png: bytes) -> tuple[int, int, int]:
    """Bit depth, colour type and interlace of a PNG."""
    return png[24], png[25], png[28]


async def test_png_is_exact_and_loses_its_metadata(press: Press) -> None:
    about = PngImagePlugin.PngInfo()
    about.add_text("workflow", '{"secret": 1}')
    made = await press(saved(photo("RGBA"), pnginfo=about, dpi=(300, 300)), "png")
    assert (pixels(made, "RGBA") == np.asarray(photo("RGBA"))).all() and b"secret" not in made
    assert png_head(made) == (8, 6, 0)


async def test_options_of_png(press: Press) -> None:
    source = saved(photo())
    sizes = [len(await press(source, "png", compressionLevel=level)) for level in (0, 9)]
    assert sizes[0] > sizes[1]
    assert png_head(await press(source, "png", progressive=True)) == (8, 2, 1)
    assert png_head(await press(source, "png", bitdepth=16)) == (16, 2, 0)
    assert png_head(await press(source, "png", palette=True)) == (8, 3, 0)
    assert png_head(await press(source, "png", colours=20)) == (4, 3, 0)
    hard, soft = [await press(source, "png", colours=16, dither=dither) for dither in (0, 1.0)]
    assert hard != soft


# ----------------------------------------------------------------------------------------------- what comes in


async def test_sixteen_bits_become_eight(press: Press) -> None:
    deep = Image.fromarray((np.arange(4096, dtype=np.uint16) * 16).reshape(64, 64))
    made = await press(saved(deep), "png")
    assert png_head(made)[0] == 8
    assert abs(pixels(made)[..., 0].astype(int) - (np.asarray(deep) >> 8)).max() <= 1


async def test_the_profile_is_applied_and_removed(press: Press) -> None:
    red = pyvips.Image.black(16, 16, bands=3).linear(1, [255, 0, 0])
    wide = red.cast("uchar").copy(interpretation="srgb").icc_transform("p3", input_profile="srgb").pngsave_buffer()
    assert pixels(wide)[0, 0, 1] > 40
    made = await press(wide, "webp", lossless=True)
    assert "ICCP" not in chunks(made) and abs(pixels(made)[0, 0].astype(int) - [255, 0, 0]).max() <= 2


async def test_a_profile_that_is_none_changes_nothing(press: Press) -> None:
    plain = await press(saved(photo(), "jpeg"), "png")
    assert await press(saved(photo(), "jpeg", icc_profile=b"not a profile"), "png") == plain


async def test_four_inks_become_srgb(press: Press) -> None:
    made = Image.open(io.BytesIO(await press(saved(photo("CMYK"), "jpeg"), "webp")))
    assert made.mode == "RGB"


async def test_the_orientation_is_neither_applied_nor_kept(press: Press) -> None:
    turned = Image.Exif()
    turned[0x0112] = 6
    made = Image.open(io.BytesIO(await press(saved(photo(), "jpeg", exif=turned), "jpeg")))
    assert made.size == SIZE and not made.getexif()


# ---------------------------------------------------------------------------------------------------- animated

FRAMES = [Image.new("RGB", (24, 16), colour) for colour in ("red", "green", "blue")]


def moving(kind: str) -> bytes:
    return saved(FRAMES[0], kind, save_all=True, append_images=FRAMES[1:], duration=[40, 80, 120], loop=2)


@pytest.mark.parametrize("kind", ["gif", "webp", "png"])
async def test_a_picture_that_moves_keeps_moving_in_webp(press: Press, kind: str) -> None:
    made = await press(moving(kind), "webp")
    assert "ANIM" in chunks(made) and chunks(made).count("ANMF") == 3
    picture = Image.open(io.BytesIO(made))
    durations = []
    for index in range(3):
        picture.seek(index)
        picture.load()
        durations.append(picture.info["duration"])
    assert durations == [40, 80, 120] and picture.info["loop"] in (2, 3)  # GIF counts the repetitions


@pytest.mark.parametrize(("kind", "name"), [("gif", "jpeg"), ("gif", "png"), ("webp", "avif"), ("png", "png")])
async def test_a_picture_that_moves_does_not_become_a_still(press: Press, kind: str, name: str) -> None:
    with pytest.raises(NotConverted, match="animated"):
        await press(moving(kind), name)


async def test_the_frames_of_a_moving_png(press: Press) -> None:
    made = Image.open(io.BytesIO(await press(moving("png"), "webp", lossless=True)))
    for index, colour in enumerate([(255, 0, 0), (0, 128, 0), (0, 0, 255)]):
        made.seek(index)
        assert made.convert("RGB").getpixel((5, 5)) == colour


async def test_a_moving_png_that_is_cut_or_too_large_stays_as_it_is(tmp_path: Path, press: Press) -> None:
    with pytest.raises(NotConverted):
        await press(moving("png")[:-60], "webp")
    with pytest.raises(NotConverted, match="more than 1000 pixels"):
        await Press(tmp_path, pixels=1000)(moving("png"), "webp")


async def test_a_still_gif_is_a_picture_like_others(press: Press) -> None:
    assert frame(await press(saved(photo(), "gif"), "jpeg"))[0] == 0xC0


# ------------------------------------------------------------------------------------- what cannot be converted


@pytest.mark.parametrize(
    "data",
    [b"", b"no picture", b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>', saved(photo())[:2000]],
    ids=["empty", "text", "svg", "cut"],
)
async def test_what_is_no_whole_picture_of_pixels_stays_as_it_is(press: Press, data: bytes) -> None:
    with pytest.raises(NotConverted) as reason:
        await press(data, "webp")
    assert str(press.folder) not in str(reason.value)


async def test_too_many_pixels(tmp_path: Path) -> None:
    with pytest.raises(NotConverted, match="more than 6143 pixels"):
        await Press(tmp_path, pixels=96 * 64 - 1)(saved(photo()), "webp")


async def test_more_than_the_format_can_hold(press: Press) -> None:
    with pytest.raises(NotConverted):
        await press(saved(Image.new("RGB", (16_400, 2))), "webp")


async def test_a_conversion_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    with pytest.raises(NotConverted, match=r"longer than 0\.01 s"):
        await Press(tmp_path, seconds=0.01)(saved(photo()), "avif", effort=9)


@pytest.mark.parametrize("megabytes", [1, 64])
async def test_a_conversion_that_needs_too_much_memory_takes_nobody_with_it(press: Press, megabytes: int) -> None:
    with pytest.raises(NotConverted):
        await Press(press.folder, memory_bytes=megabytes * 1024**2)(saved(photo()), "png", palette=True)
    assert await press(saved(photo()), "png", palette=True)


async def test_a_conversion_that_writes_too_much_is_ended(tmp_path: Path) -> None:
    with pytest.raises(NotConverted):
        await Press(tmp_path, output_bytes=2048)(saved(photo()), "png", compressionLevel=0)


# ------------------------------------------------------------------------------------------------- its processes


def processes(parent: int | None = None) -> list[psutil.Process]:
    """The converters that a process has started, this one if none is named."""
    children = psutil.Process(parent).children()
    return [
        child for child in children if child.status() != psutil.STATUS_ZOMBIE and "pixels.py" in child.cmdline()[-1]
    ]


async def gone(*ended: psutil.Process) -> bool:
    _, alive = await asyncio.to_thread(psutil.wait_procs, ended, timeout=SECONDS)
    return not alive


async def test_pictures_go_to_one_process_one_by_one(press: Press) -> None:
    await press(saved(photo()), "webp")
    before = processes()
    made = pixels(await press(saved(photo().rotate(180)), "png"))
    assert len(before) == 1 and processes() == before
    assert (made == np.asarray(photo().rotate(180))).all()  # the file has the name of the one before


async def test_a_process_converts_so_many_pictures(tmp_path: Path) -> None:
    press = Press(tmp_path, pictures=2)
    await press(saved(photo()), "webp")
    (first,) = processes()
    await press(saved(photo()), "webp")
    assert processes() == []
    await press(saved(photo()), "webp")
    assert processes() not in ([], [first])
    await press.converter.close()
    assert processes() == []


async def test_a_process_without_pictures_ends(tmp_path: Path) -> None:
    press = Press(tmp_path, idle_seconds=0.05)
    await press(saved(photo()), "webp")
    assert await gone(*processes())


async def test_a_process_that_was_killed_while_it_waited_costs_nothing(press: Press) -> None:
    await press(saved(photo()), "webp")
    (killed,) = processes()
    killed.kill()
    assert await press(saved(photo()), "webp")
    assert processes() != [killed]


async def test_a_process_that_dies_of_an_order_says_so() -> None:
    process = await ConverterProcess.start()
    (child,) = processes()
    child.kill()
    with pytest.raises(Crashed) as crash:
        await process.obey({})
    assert crash.value.code == -signal.SIGKILL


async def test_a_process_knows_no_secret(press: Press, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "do not tell")
    await press(saved(photo()), "webp")
    (process,) = processes()
    assert "PATH" in process.environ() and "AWS_SECRET_ACCESS_KEY" not in process.environ()


SERVER = """
import asyncio, sys
from pathlib import Path
from comfyserve.core.conversion import Conversion
from comfyserve.work.collect import Converter

async def main():
    folder = Path(sys.argv[1])
    await Converter(folder / "scratch").convert(folder / "original", folder / "made", Conversion("webp"))
    print("made", flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


async def test_a_process_ends_with_a_server_that_is_killed(tmp_path: Path) -> None:
    (tmp_path / "original").write_bytes(saved(photo()))
    pipe = asyncio.subprocess.PIPE
    server = await asyncio.create_subprocess_exec(sys.executable, "-c", SERVER, str(tmp_path), stdout=pipe)
    assert server.stdout is not None
    assert await asyncio.wait_for(server.stdout.readline(), SECONDS) == b"made\n"
    ours = processes(server.pid)
    server.kill()
    await server.wait()
    assert len(ours) == 1 and await gone(*ours)


async def test_what_a_killed_server_left_is_removed(tmp_path: Path) -> None:
    old, young = tmp_path / "scratch" / "old", tmp_path / "scratch" / "young"
    for folder in (old, young):
        folder.mkdir(parents=True)
        (folder / "original.png").write_bytes(b"x")
    os.utime(old, (0, 0))
    Converter(tmp_path / "scratch")
    assert not old.exists() and young.exists()
