"""Install a ComfyUI by comfy-cli, for users who have none. comfy-cli lives in an environment of its own."""

import asyncio
import fcntl
import hashlib
import json
import os
import platform
import re
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from comfyserve.core.errors import DomainError, InvalidInput, NotFound, Place
from comfyserve.engines.command import CommandFailed, OnLine, run

REQUIREMENTS = "comfy-cli.txt"
MARKER = ".comfyserve.json"
LATEST, NIGHTLY = "latest", "nightly"
DEVICES = ("nvidia", "amd", "m-series", "cpu")
VERSION = re.compile(r"v?(\d+)\.(\d+)\.(\d+)")
TAG = re.compile(r"refs/tags/(v\d+\.\d+\.\d+)(?:\^\{\})?$")
GIT_SECONDS, TOOL_SECONDS = 120.0, 1200.0
LOCK_PAUSE = 0.5
SHOWN_VERSIONS = 5
SHOWN_LINES = 5
CAUSES = ("fatal: ", "ERROR: ")
"""How git and pip begin the line with the reason."""

INHERITED = frozenset(
    {
        "ALL_PROXY",
        "CUDA_HOME",
        "CURL_CA_BUNDLE",
        "GIT_SSL_CAINFO",
        "HTTPS_PROXY",
        "HTTP_PROXY",
        "LANG",
        "LC_ALL",
        "LD_LIBRARY_PATH",
        "NO_PROXY",
        "PATH",
        "REQUESTS_CA_BUNDLE",
        "ROCM_PATH",
        "SSL_CERT_DIR",
        "SSL_CERT_FILE",
        "TMPDIR",
        "USER",
        "all_proxy",
        "http_proxy",
        "https_proxy",
        "no_proxy",
    }
)
INHERITED_PREFIXES = ("PIP_", "UV_")
"""All that git, pip and comfy-cli see of our environment: how to reach the network, and nothing of ours."""

QUIET = {
    "COMFY_NO_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    "PIP_NO_INPUT": "1",
    "PYTHONUNBUFFERED": "1",
}


class InstallFailed(DomainError):
    """A step of the installation failed; `details.lines` are the last that it said."""

    code = "install_failed"


@dataclass(frozen=True)
class Installation:
    """What is wanted where. `version`: `latest` (the newest release), `nightly` (the newest commit), or a number."""

    folder: Path
    version: str = LATEST
    device: str = "cpu"
    skip_torch: bool = False
    seconds: float = 3600.0


@dataclass(frozen=True)
class Installed:
    """A ComfyUI that is there. `already`: nothing had to be done."""

    folder: str
    version: str
    commit: str
    device: str
    source: str
    already: bool = False


class Installer:
    """Installs from one source."""

    def __init__(self, source: str, tools: Path, environment: Mapping[str, str], *, comfy: str = "") -> None:
        """`tools`: the folder of our own comfy-cli, made when it is needed first. `comfy`: an existing one to use."""
        self._source = source
        self._tools = tools
        self._environment = _allowed(environment) | QUIET | _home(environment, tools / "home")
        self._comfy = comfy

    async def answer(self, wish: Installation, on_line: OnLine = lambda line: None) -> dict[str, Any]:
        """What is installed now, or `{"error": ...}`, as JSON. A wish without a device gets that of this machine."""
        try:
            return asdict(await self.install(replace(wish, device=wish.device or device_here()), on_line))
        except DomainError as error:
            return {"error": error.as_dict()}

    async def install(self, wish: Installation, on_line: OnLine = lambda line: None) -> Installed:
        """Install, or say that it is there. Raises InvalidInput, NotFound, InstallFailed; then nothing new
        lies in the folder."""
        _check(wish)
        with _claimed(wish.folder):
            if (there := _there(wish)) is not None:
                return there
            if shutil.which("git", path=self._environment.get("PATH")) is None:
                raise InstallFailed("ComfyUI is fetched by git, and there is none. On Debian: apt-get install git.")
            version = await self._version(wish.version)
            comfy = self._comfy or await self._own_comfy(on_line)
            try:
                return await self._install(wish, version, comfy, on_line)
            except BaseException:
                await asyncio.to_thread(shutil.rmtree, wish.folder, ignore_errors=True)
                raise

    async def _version(self, wanted: str) -> str:
        """The tag of a release that the source has; `nightly` stays itself."""
        said: list[str] = []
        await self._run(
            f"git cannot read {self._source}. Check the network and the setting comfy_source",
            *("git", "ls-remote", "--tags", "--", self._source),
            seconds=GIT_SECONDS,
            on_line=said.append,
        )
        releases = sorted({tag[1] for line in said if (tag := TAG.search(line))}, key=_order)
        if wanted == NIGHTLY:
            return wanted
        if wanted == LATEST and releases:
            return releases[-1]
        if (named := f"v{wanted.removeprefix('v')}") in releases:
            return named
        newest = ", ".join(release.removeprefix("v") for release in releases[: -SHOWN_VERSIONS - 1 : -1])
        raise NotFound(f"{self._source} has no version {wanted}; its newest are: {newest or 'none at all'}.")

    async def _own_comfy(self, on_line: OnLine) -> str:
        """Our comfy-cli, installed when it is not there or another one is pinned; by one at a time."""
        waiting = False
        while True:
            with _locked(self._tools / ".installing") as ours:
                if ours:
                    return await self._make_comfy(on_line)
            if not waiting:
                on_line("Waiting for another installation of comfy-cli")
            waiting = True
            await asyncio.sleep(LOCK_PAUSE)

    async def _make_comfy(self, on_line: OnLine) -> str:
        requirements = _requirements()
        pinned = hashlib.sha256(requirements.read_bytes()).hexdigest()
        home, stamp = self._tools / "venv", self._tools / "installed"
        if not stamp.is_file() or stamp.read_text() != pinned:
            on_line(f"Installing comfy-cli into {home}")
            failed = "The environment of comfy-cli cannot be made. On Debian: apt-get install python3-venv"
            await self._run(failed, sys.executable, "-m", "venv", "--clear", str(home), on_line=on_line)
            pip = (str(home / "bin" / "python"), "-m", "pip", "install", "-q", "--require-hashes", "-r")
            await self._run("comfy-cli cannot be installed", *pip, str(requirements), on_line=on_line)
            stamp.write_text(pinned)
        return str(home / "bin" / "comfy")

    async def _install(self, wish: Installation, version: str, comfy: str, on_line: OnLine) -> Installed:
        choices = [*("--skip-manager", f"--{wish.device}"), *(["--skip-torch-or-directml"] if wish.skip_torch else [])]
        await self._run(
            "ComfyUI cannot be installed",
            *(comfy, "--skip-prompt", "--no-enable-telemetry", "--workspace", str(wish.folder)),
            *("install", "--url", self._source, "--version", version.removeprefix("v"), *choices),
            seconds=wish.seconds,
            on_line=on_line,
        )
        if not (wish.folder / "main.py").is_file():
            raise InstallFailed(f"comfy-cli said that it is done, and there is no main.py in {wish.folder}.")
        commit: list[str] = []
        await self._run("git failed", "git", "-C", str(wish.folder), "rev-parse", "HEAD", on_line=commit.append)
        made = Installed(str(wish.folder), version.removeprefix("v"), commit[-1], wish.device, self._source)
        (wish.folder / MARKER).write_text(json.dumps(asdict(made), indent=2) + "\n")
        return made

    async def _run(self, failure: str, *command: str, on_line: OnLine, seconds: float = TOOL_SECONDS) -> None:
        """Run a command. Raises InstallFailed, which begins with `failure`."""
        try:
            await run(command, environment=self._environment, seconds=seconds, on_line=on_line)
        except CommandFailed as error:
            said = f": {_telling(error.lines)}" if error.lines else ""
            raise InstallFailed(f"{failure}. {error}{said}", details={"lines": error.lines[-SHOWN_LINES:]}) from error


def _telling(lines: Sequence[str]) -> str:
    """The line that says why: comfy-cli repeats at length what git and pip say first."""
    return next((line for line in lines if line.startswith(CAUSES)), lines[-1])


def _check(wish: Installation) -> None:
    if wish.device not in DEVICES:
        raise InvalidInput(f"The device must be one of {', '.join(DEVICES)}.", place=Place(field="device"))
    if wish.version not in (LATEST, NIGHTLY) and not VERSION.fullmatch(wish.version):
        sentence = f"A version is {LATEST}, {NIGHTLY} or a number such as 0.3.64, not {wish.version!r}."
        raise InvalidInput(sentence, place=Place(field="version"))


@contextmanager
def _claimed(folder: Path) -> Iterator[None]:
    """Nobody else installs there meanwhile. Raises InstallFailed."""
    with _locked(folder.with_name(f".{folder.name}.installing")) as ours:
        if not ours:
            raise InstallFailed(f"Another installation into {folder} is under way.")
        yield


@contextmanager
def _locked(lock: Path) -> Iterator[bool]:
    """Whether the lock is ours until the context is left. Its file goes at the end, so one that went before we had its
    lock is nobody's."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            ours = os.path.samestat(os.fstat(file.fileno()), lock.stat())
        except (BlockingIOError, FileNotFoundError):
            ours = False
        try:
            yield ours
        finally:
            if ours:
                lock.unlink(missing_ok=True)


def _there(wish: Installation) -> Installed | None:
    """What an earlier call has installed, when it is what is wanted; an empty folder goes. Raises InvalidInput."""
    folder = wish.folder
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        if folder.exists():
            folder.rmdir()
        return None
    try:
        installed = Installed(**json.loads((folder / MARKER).read_text()) | {"already": True})
    except (OSError, ValueError, TypeError):
        sentence = f"{folder} is not empty. Choose another folder by --dir"
        if (folder / "main.py").is_file():
            sentence += f", or use the ComfyUI in it: COMFYSERVE_COMFY_HOME={folder}"
        raise InvalidInput(f"{sentence}.", place=Place(field="dir")) from None
    if wish.version not in (LATEST, NIGHTLY, installed.version, f"v{installed.version}"):
        sentence = f"{folder} has version {installed.version}. Remove it, or choose another folder by --dir."
        raise InvalidInput(sentence, place=Place(field="dir"), details=asdict(installed))
    return installed


def _requirements() -> Path:
    """The pinned comfy-cli: in a wheel inside the package, in a checkout beside the sources."""
    packaged = Path(__file__).parents[1] / "_requirements" / REQUIREMENTS
    return packaged if packaged.is_file() else Path(__file__).parents[3] / "requirements" / REQUIREMENTS


def _order(tag: str) -> tuple[int, ...]:
    return tuple(map(int, tag.removeprefix("v").split(".")))


def _allowed(environment: Mapping[str, str]) -> dict[str, str]:
    return {
        name: value for name, value in environment.items() if name in INHERITED or name.startswith(INHERITED_PREFIXES)
    }


def _home(environment: Mapping[str, str], home: Path) -> dict[str, str]:
    """A home of its own, so that a comfy-cli that the user has keeps its settings; what tells pip and git how to reach
    the network, and the cache, stay the user's."""
    user = Path(environment.get("HOME") or Path.home())
    kept = {"XDG_CONFIG_HOME": user / ".config", "XDG_CACHE_HOME": user / ".cache"}
    places = {name: environment.get(name) or str(path) for name, path in kept.items()}
    gitconfig = user / ".gitconfig"
    return {"HOME": str(home)} | places | ({"GIT_CONFIG_GLOBAL": str(gitconfig)} if gitconfig.is_file() else {})


def device_here() -> str:
    """The device of this machine, as far as one can see without asking it."""
    if sys.platform == "darwin":
        return "m-series" if platform.machine() == "arm64" else "cpu"
    if shutil.which("nvidia-smi") or Path("/dev/nvidiactl").exists():
        return "nvidia"
    return "amd" if Path("/dev/kfd").exists() else "cpu"
