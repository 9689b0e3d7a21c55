"""Runs a program of ours that ends when its parent does: `program.py PROGRAM ARGUMENT...`. Imports nothing of ours, so
that it starts quickly."""

import runpy
import sys

PR_SET_PDEATHSIG, SIGKILL = 1, 9


def main() -> None:
    """Become the program."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0)
    sys.argv = sys.argv[1:]
    runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main()
