"""`convert_output`: in which form pictures are stored (stateless-comfyui-api.md section 8)."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Conversion:
    """A format (`jpeg`, `jpg`, `webp`, `avif`, `png`) and those of its options that the caller gave, checked."""

    format: str
    options: Mapping[str, int | bool | str] = field(default_factory=dict)
