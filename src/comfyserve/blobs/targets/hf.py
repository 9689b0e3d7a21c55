"""A caller's Hugging Face repository, by huggingface_hub in a child process."""

import asyncio
import os
import re
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import quote

from comfyserve.blobs.targets import hf_upload
from comfyserve.blobs.targets.names import join
from comfyserve.blobs.targets.outside import Programs
from comfyserve.core.credentials import BearerAuth
from comfyserve.core.errors import InvalidInput, Place, StorageFailed, TargetFailed
from comfyserve.core.headers import is_value
from comfyserve.core.targets import REPO_TYPES, HfTarget
from comfyserve.ports import ByteStream

HUB = "https://huggingface.co"
REPO = re.compile(r"[\w.-]{1,96}/[\w.-]{1,96}", re.ASCII)
REVISION = re.compile(r"[\w][\w./-]{0,199}", re.ASCII)
START_SECONDS = 30.0
SLOWEST_BYTES = 256 * 1024
"""Bytes a second: an upload that is slower on the whole is ended, for nobody sees how far it is."""

PLAIN = {"HF_HUB_DISABLE_XET": "1"}
"""Xet spares what a repository has already, but outputs are new; plain HTTP is what our proxy and our tests see."""

SENTENCES: Mapping[int, str] = {
    hf_upload.DENIED: "Hugging Face refuses to write to {repo}. Give a token with the right to write in target.auth.",
    hf_upload.ABSENT: "There is no repository {repo} with the revision {revision}, or the token in target.auth may not "
    "see it.",
    hf_upload.REFUSED: "Hugging Face refuses the file for {repo}. Check repo, revision and directory of the target.",
    hf_upload.NOT_INSTALLED: "This server cannot write to Hugging Face. Install it with the extra hf: "
    "pip install 'comfyserve[hf]'.",
    hf_upload.BUSY: "Hugging Face does not work at the moment.",
    hf_upload.FAILED: "The upload to {repo} on Hugging Face broke off.",
}
RETRYABLE = frozenset({hf_upload.BUSY, hf_upload.FAILED})


class HfWriter:
    """The Target port on a repository. Each file is a commit; it lies in `folder` until it is there."""

    at_once = 1
    """Commits at once fail as conflicts."""

    def __init__(self, wish: HfTarget, programs: Programs, folder: Path, endpoint: str, idle_seconds: float) -> None:
        """Raises InvalidInput for a wish that cannot be."""
        self._wish = wish
        self._token = check_hf(wish)
        self._programs = programs
        self._folder = folder
        self._endpoint = endpoint.rstrip("/")
        self._seconds = idle_seconds

    def address(self, name: str) -> str:
        """The file's address on the hub."""
        path, kind = in_directory(self._wish, name), "datasets/" if self._wish.repo_type == "dataset" else ""
        return f"{self._endpoint}/{kind}{self._wish.repo}/resolve/{quote(self._wish.revision, safe='')}/{quote(path)}"

    async def put(self, name: str, content: ByteStream, *, size: int, mime: str) -> str:
        """Commit a file; the answer is its address on the hub. Raises TargetFailed, StorageFailed (our disk)."""
        path = in_directory(self._wish, name)
        async with _spooled(content, size, self._folder) as file:
            try:
                async with asyncio.timeout(START_SECONDS + self._seconds + size / SLOWEST_BYTES):
                    status = await self._upload(path, file)
            except TimeoutError:
                raise TargetFailed("Hugging Face did not take the file in time.", retryable=True) from None
        if status != hf_upload.DONE:
            raise self._failed(status)
        return self.address(name)

    async def _upload(self, path: str, file: Path) -> int:
        wish = self._wish
        own = PLAIN | {"HF_TOKEN": self._token, "HF_ENDPOINT": self._endpoint, "HF_HOME": str(file.parent)}
        arguments = (wish.repo_type, wish.repo, wish.revision, path, str(file))
        return await self._programs.run(Path(hf_upload.__file__), arguments, own, file.parent)

    def _failed(self, status: int) -> TargetFailed:
        if self._programs.trouble:
            return TargetFailed(self._programs.trouble, retryable=not self._programs.refused)
        sentence = SENTENCES.get(status, SENTENCES[hf_upload.FAILED])
        retryable = status in RETRYABLE or status not in SENTENCES
        return TargetFailed(sentence.format(repo=self._wish.repo, revision=self._wish.revision), retryable=retryable)


def check_hf(wish: HfTarget) -> str:
    """The token of a wish that can be. Raises InvalidInput."""
    if not REPO.fullmatch(wish.repo) or ".." in wish.repo:
        raise _wrong("repo", "must be owner/name.")
    if not REVISION.fullmatch(wish.revision) or ".." in wish.revision:
        raise _wrong("revision", "must be a branch of the repository.")
    if wish.repo_type not in REPO_TYPES:
        raise _wrong("repo_type", f"must be {' or '.join(REPO_TYPES)}.")
    if not isinstance(wish.auth, BearerAuth) or not is_value(wish.auth.token):
        raise _wrong("auth", "must be a token of Hugging Face: auth of the type bearer.")
    in_directory(wish, "name")
    return wish.auth.token


def in_directory(wish: HfTarget, name: str) -> str:
    """The path of a file in the repository. Raises InvalidInput."""
    directory = wish.directory.strip("/")
    return join(f"{directory}/" if directory else "", name, "directory")


@asynccontextmanager
async def _spooled(content: ByteStream, size: int, folder: Path) -> AsyncIterator[Path]:
    """The stream as a file in a folder of its own, both of which go afterwards. Raises StorageFailed, TargetFailed."""
    try:
        await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
        own = await asyncio.to_thread(tempfile.TemporaryDirectory, dir=folder, ignore_cleanup_errors=True)
    except OSError as error:
        raise _not_kept(error) from error
    try:
        file = Path(own.name, "file")
        if await _write(content, file) != size:
            raise TargetFailed("The file has another size than was announced.", retryable=True)
        yield file
    finally:
        await asyncio.to_thread(own.cleanup)


async def _write(content: ByteStream, path: Path) -> int:
    """Write a stream; how many bytes it had. Raises StorageFailed."""
    size = 0
    try:
        with await asyncio.to_thread(path.open, "wb") as file:
            async for chunk in content:
                size += len(chunk)
                await asyncio.to_thread(file.write, chunk)
    except OSError as error:
        raise _not_kept(error) from error
    return size


def _not_kept(error: OSError) -> StorageFailed:
    return StorageFailed(f"A file on its way to a target cannot be kept: {os.strerror(error.errno or 0)}.")


def _wrong(field: str, sentence: str) -> InvalidInput:
    return InvalidInput(f"target.{field} {sentence}", place=Place(field=f"target.{field}"))
