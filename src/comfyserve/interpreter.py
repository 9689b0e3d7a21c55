"""How programs of ours get our packages. In the single file those lie apart from every environment, so an interpreter
that is started anew does not find them; the real ComfyUI, which is no program of ours, never gets them.
"""

import os
import site
from collections.abc import Mapping
from pathlib import Path

PACKAGES = Path(__file__).parents[1]
DEPENDENCY = "structlog"
"""It lies beside us wherever we are installed, but not in a checkout."""


def packages_folder() -> Path | None:
    """The folder of our packages when they lie apart from the environment of the interpreter, as those of the single
    file do; None when it finds them by itself."""
    own = {Path(path).resolve() for path in (*site.getsitepackages(), site.getusersitepackages())}
    apart = (PACKAGES / DEPENDENCY).is_dir() and PACKAGES.resolve() not in own
    return PACKAGES if apart else None


def packages_variables(environment: Mapping[str, str]) -> dict[str, str]:
    """What a Python program of ours must see besides this environment; nothing where it finds our packages itself."""
    folder = packages_folder()
    if folder is None:
        return {}
    others = environment.get("PYTHONPATH")
    return {"PYTHONPATH": os.pathsep.join([str(folder), *([others] if others else [])])}
