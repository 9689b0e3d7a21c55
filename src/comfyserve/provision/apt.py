"""Packages of the operating system, by apt-get."""

import re
from collections.abc import Sequence

from comfyserve.core.errors import InvalidInput, Place
from comfyserve.provision.programs import Programs, ProvisionFailed

PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]*(?<!-)(:[a-z0-9-]+)?(=[A-Za-z0-9.+:~-]+|/[A-Za-z0-9.-]+)?")
"""A name, perhaps with an architecture, and a version or a release (apt-get(8)). A `-` at its end would remove."""
UNASKED = {"DEBIAN_FRONTEND": "noninteractive"}


def check_packages(names: Sequence[str]) -> None:
    """Raise InvalidInput for what is no name of a package, an option of apt-get for one."""
    for index, name in enumerate(names):
        if not PACKAGE.fullmatch(name):
            place = Place(field=f"apt[{index}]")
            raise InvalidInput(f"apt[{index}]: {name!r} is no name of a Debian package.", place=place)


async def install_packages(names: Sequence[str], programs: Programs, *, is_root: bool) -> None:
    """Install packages, after a look for new lists. Nothing for none. Raises ProvisionFailed."""
    if not names:
        return
    apt = programs.find("apt-get")
    if apt is None:
        raise ProvisionFailed(
            "The manifest has `apt`, and this system has no apt-get. Put the packages into the image."
        )
    if not is_root:
        raise ProvisionFailed(
            "The manifest has `apt`, and only root installs packages. Run as root, or put them into the image."
        )
    await programs.run("apt-get update", apt, "update", env=UNASKED)
    await programs.run("apt-get install", apt, "install", "-y", *names, env=UNASKED)
