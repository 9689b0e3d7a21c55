"""What a caller wants besides a graph's own result."""

from dataclasses import dataclass

from comfyserve.core.conversion import Conversion
from comfyserve.core.credentials import Credential
from comfyserve.core.targets import TargetWish


@dataclass(frozen=True)
class RunOptions:
    """How a run's files are fetched, in which form its outputs are stored, and where else they go."""

    credentials: tuple[Credential, ...] = ()
    convert: Conversion | None = None
    target: TargetWish | None = None
