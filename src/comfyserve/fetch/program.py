"""Runs a program of ours that ends when its parent does: `program.py PROGRAM ARGUMENT...`. Imports nothing of ours, so
that it starts quickly."""

import os
import runpy
import sys

PR_SET_PDEATHSIG, SIGKILL = 1, 9
PACKAGES = os.path.abspath(os.path.join(__file__, *[os.pardir] * 3))  # noqa: PTH100, PTH118  (pathlib costs time)
"""Where our packages lie: an isolated interpreter does not find those of the single file by itself."""


def main() -> None:
    """Become the program."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0)
    if PACKAGES not in sys.path:
        sys.path.insert(0, PACKAGES)
    sys.argv = sys.argv[1:]
    runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main()
