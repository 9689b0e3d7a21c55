"""The programs that install: what they see of our environment, how long they may take, what they say in the log."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import structlog

from comfyserve.core.errors import DomainError
from comfyserve.core.redaction import bare_text
from comfyserve.engines.command import CommandFailed, run
from comfyserve.engines.install import INHERITED, INHERITED_PREFIXES, QUIET

log = structlog.get_logger(__name__)

SEEN = INHERITED | {
    "CONDA_DEFAULT_ENV",
    "CONDA_PREFIX",
    "HOME",
    "SSH_AUTH_SOCK",
    "VIRTUAL_ENV",
    "VIRTUAL_ENV_PROMPT",
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
}
SEEN_PREFIXES = (*INHERITED_PREFIXES, "CUDA_", "TORCH_")
"""All that they see of our environment: how to reach the network and where to install, nothing of ours."""

LINES_LOGGED = 5000
"""How many lines of one program are logged; the last ones are in the error when it fails."""
LINES_SHOWN = 5
CAUSES = ("fatal: ", "ERROR: ", "E: ", "error: ")
"""How git, pip, apt and uv begin the line with the reason."""


class ProvisionFailed(DomainError):
    """A step of the manifest failed; `details.lines` are the last that its program said."""

    code = "provision_failed"


class Programs:
    """Runs programs of the operator's machine, each for at most so many seconds; all of them end with us."""

    def __init__(self, environment: Mapping[str, str], seconds: float) -> None:
        self.environment = {
            name: value for name, value in environment.items() if name in SEEN or name.startswith(SEEN_PREFIXES)
        } | QUIET
        self._seconds = seconds

    def find(self, name: str) -> str | None:
        """The path of a program; None when there is none."""
        return shutil.which(name, path=self.environment.get("PATH"))

    async def run(
        self, step: str, *command: str, folder: Path | None = None, env: Mapping[str, str] | None = None
    ) -> list[str]:
        """Run a program to its end; what it said last. Raises ProvisionFailed, whose sentence begins with `step`."""
        name, said = Path(command[0]).name, 0

        def tell(line: str) -> None:
            nonlocal said
            said += 1
            if said <= LINES_LOGGED:
                log.info("provision", program=name, line=bare_text(line))

        log.info("provision_step", step=step)
        environment = self.environment | dict(env or {})
        try:
            return await run(command, environment=environment, seconds=self._seconds, on_line=tell, folder=folder)
        except CommandFailed as error:
            lines = [bare_text(line) for line in error.lines]
            cause = f": {_telling(lines)}" if lines else ""
            sentence = f"{step}: {error}{cause}"
            raise ProvisionFailed(sentence, details={"lines": lines[-LINES_SHOWN:]}) from error


def _telling(lines: Sequence[str]) -> str:
    """The line that says why, or else the last."""
    return next((line for line in lines if line.startswith(CAUSES)), lines[-1])
