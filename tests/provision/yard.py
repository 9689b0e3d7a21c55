"""A ComfyUI's folder with fake programs on PATH that write down how they were called."""

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from comfyserve.ports import Fetch, SystemEvent
from comfyserve.provision import Provision, provision

RECORDER = """#!{python} -S
import json, os, sys
with open({calls!r}, "a") as file:
    seen = {{name: os.environ.get(name) for name in {seen!r}}}
    file.write(json.dumps([os.path.basename(sys.argv[0]), sys.argv[1:], os.getcwd(), seen]) + "\\n")
if sys.argv[1:4] == ["-I", "-c", "import sys; print(sys.prefix)"]:
    print(os.path.dirname(os.path.dirname(os.path.abspath(sys.argv[0]))))
{more}
"""
SEEN = ("COMFYSERVE_SECRET_KEY", "DEBIAN_FRONTEND", "HTTPS_PROXY", "HOME")
Call = tuple[str, list[str], str, dict[str, str | None]]


class Yard:
    """`bin` is all that PATH has besides the system's own programs where `system` says so."""

    def __init__(self, root: Path) -> None:
        self.bin, self.home, self.calls_file = root / "bin", root / "ComfyUI", root / "calls"
        self.bin.mkdir()
        self.home.mkdir()
        self.events: list[SystemEvent] = []
        self.environment = {"PATH": str(self.bin), "HOME": str(root), "COMFYSERVE_SECRET_KEY": "s3cret"}

    def program(self, name: str, more: str = "", *, folder: Path | None = None) -> Path:
        """Put a program that records its calls on PATH, or into a folder."""
        path = (folder or self.bin) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(RECORDER.format(python=sys.executable, calls=str(self.calls_file), seen=SEEN, more=more))
        path.chmod(0o755)
        return path

    def system(self, *names: str) -> None:
        """Put programs of the system on PATH."""
        for name in names:
            found = next(path for part in os.environ["PATH"].split(":") if (path := Path(part, name)).exists())
            (self.bin / name).symlink_to(found)

    def calls(self) -> list[Call]:
        """How the programs were called, but for the question after a prefix."""
        lines = self.calls_file.read_text().splitlines() if self.calls_file.exists() else []
        return [tuple(call) for call in map(json.loads, lines) if "-I" not in call[1]]

    def words(self) -> list[str]:
        """The same, as command lines."""
        return [" ".join((name, *arguments)) for name, arguments, _, _ in self.calls()]

    def provision(
        self,
        manifest: str,
        fetch: Fetch | None = None,
        *,
        command: Sequence[str] = (),
        models: Path | None = None,
        own_prefix: Path | None = None,
        seconds: float = 60.0,
    ) -> Provision:
        """The provision of a manifest's JSON text."""
        found = provision(
            manifest_json=manifest,
            manifest="",
            comfy_home=self.home,
            comfy_command=command,
            models=models,
            fetch=fetch or NoFetch(),
            environment=self.environment,
            own_prefix=own_prefix,
            seconds=seconds,
            tell=self.events.append,
        )
        assert found is not None
        return found


class NoFetch:
    """A Fetch that nobody may use."""

    def fetch(self, url: str, **options: Any) -> Any:
        """Never."""
        raise AssertionError(url)

    async def link(self, path: Path, destination: Path) -> None:
        """Never."""
        raise AssertionError(path)
