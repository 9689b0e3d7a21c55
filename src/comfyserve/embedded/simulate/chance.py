"""Chance that is the same on every machine: a NumPy generator seeded from SHA-256, never from Python's hash()."""

import hashlib

import numpy as np


def generator(*parts: object) -> np.random.Generator:
    """A PCG64 generator decided by the text of `parts` alone."""
    text = "\x1f".join(str(part) for part in parts)
    return np.random.Generator(
        np.random.PCG64(int.from_bytes(hashlib.sha256(text.encode("utf-8", "replace")).digest()))
    )
