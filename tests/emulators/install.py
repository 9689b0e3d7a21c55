"""Installs azurite beside this file: `python -m tests.emulators.install`, part of `script/setup test`."""

import sys
from pathlib import Path

from hatch_build import PagesNotBuilt, find_node, install_packages

HERE = Path(__file__).parent


def main() -> int:
    """Install what package-lock.json names, unless it is there; 1 when there is no Node or npm fails."""
    node = find_node()
    if node is None:
        sys.stderr.write("The tests need Node for the Azure storage emulator; install it.\n")
        return 1
    try:
        install_packages(HERE, node)
    except PagesNotBuilt as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
