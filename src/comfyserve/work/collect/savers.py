"""What the options of `convert_output` mean to libvips: names, values and defaults (specification section 8)."""

from collections.abc import Mapping
from dataclasses import dataclass

from comfyserve.core.conversion import Conversion, OptionValue

Arguments = dict[str, OptionValue]
SUBSAMPLE = {"4:2:0": "on", "4:4:4": "off"}
EIGHT_BITS = 8
PALETTE_OPTIONS = ("quality", "effort", "colours", "dither")
"""Options of png that only a palette has: each of them asks for one."""


@dataclass(frozen=True)
class Saver:
    """A saving operation of libvips with its arguments, and what the picture must be before it: whether the format has
    transparency and animation, and how many bits a sample has (8 or 16)."""

    operation: str
    arguments: Arguments
    alpha: bool = True
    animated: bool = False
    bits: int = EIGHT_BITS


def saver_for(conversion: Conversion) -> Saver:
    """How libvips makes what was asked for."""
    return SAVERS[conversion.format](conversion.options)


def _jpeg(given: Mapping[str, OptionValue]) -> Saver:
    """`mozjpeg` sets what mozjpeg is about, but for what is given one by one. Scans that are optimised are the scans of
    a progressive picture."""
    strong = bool(given.get("mozjpeg", False))
    scans = bool(given.get("optimizeScans", strong))
    arguments: Arguments = {
        "Q": given.get("quality", 80),
        "interlace": scans or bool(given.get("progressive", strong)),
        "subsample_mode": SUBSAMPLE[str(given.get("chromaSubsampling", "4:2:0"))],
        "optimize_coding": given.get("optimizeCoding", True),
        "trellis_quant": given.get("trellisQuantisation", strong),
        "overshoot_deringing": given.get("overshootDeringing", strong),
        "optimize_scans": scans,
        "quant_table": given.get("quantisationTable", 3 if strong else 0),
    }
    return Saver("jpegsave", arguments, alpha=False)


def _webp(given: Mapping[str, OptionValue]) -> Saver:
    arguments: Arguments = {
        "Q": given.get("quality", 80),
        "alpha_q": given.get("alphaQuality", 100),
        "lossless": given.get("lossless", False),
        "near_lossless": given.get("nearLossless", False),
        "smart_subsample": given.get("smartSubsample", False),
        "preset": given.get("preset", "default"),
        "effort": given.get("effort", 4),
    }
    return Saver("webpsave", arguments, animated=True)


def _avif(given: Mapping[str, OptionValue]) -> Saver:
    depth = int(given.get("bitdepth", EIGHT_BITS))
    arguments: Arguments = {
        "compression": "av1",
        "Q": given.get("quality", 50),
        "lossless": given.get("lossless", False),
        "effort": given.get("effort", 4),
        "subsample_mode": SUBSAMPLE[str(given.get("chromaSubsampling", "4:4:4"))],
        "bitdepth": depth,
    }
    return Saver("heifsave", arguments, bits=EIGHT_BITS if depth == EIGHT_BITS else 16)


def _png(given: Mapping[str, OptionValue]) -> Saver:
    arguments: Arguments = {
        "compression": given.get("compressionLevel", 6),
        "interlace": given.get("progressive", False),
    }
    palette = given.get("palette", any(name in given for name in PALETTE_OPTIONS))
    depth = int(given.get("bitdepth", EIGHT_BITS))
    if palette:
        depth = min(depth, _palette_bits(int(given.get("colours", 256))))
        arguments |= {
            "palette": True,
            "Q": given.get("quality", 100),
            "effort": given.get("effort", 7),
            "dither": given.get("dither", 1.0),
        }
    return Saver("pngsave", arguments | {"bitdepth": depth}, bits=16 if depth == 16 else EIGHT_BITS)


def _palette_bits(colours: int) -> int:
    """The bits of a sample with at most so many colours; png knows 1, 2, 4 and 8."""
    return max(bits for bits in (1, 2, 4, EIGHT_BITS) if bits == 1 or 2**bits <= colours)


SAVERS = {"jpeg": _jpeg, "jpg": _jpeg, "webp": _webp, "avif": _avif, "png": _png}
