"""All that a manifest asks for, in its order (stateless-comfyui-api.md section 5.1)."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from comfyserve.ports import Fetch, SystemEvent, TellSystem
from comfyserve.provision.apt import check_packages, install_packages
from comfyserve.provision.manifest import Manifest, read_manifest
from comfyserve.provision.models import AfterStart, ManifestModels
from comfyserve.provision.nodes import CustomNodes, check_nodes
from comfyserve.provision.programs import Programs
from comfyserve.provision.python import Packages

STEP_SECONDS = 3600.0
"""How long one program of a step may take."""


def nobody(event: SystemEvent) -> None:
    """Nobody is told."""


class Provision:
    """A manifest and where it goes. Call `before_start` before the engine starts, `after_start.begin` once, `close`
    at the end; `after_start.failures` tells which models did not come."""

    def __init__(
        self,
        manifest: Manifest,
        nodes: CustomNodes,
        packages: Packages,
        models: ManifestModels,
        programs: Programs,
        tell: TellSystem,
    ) -> None:
        self.manifest = manifest
        self.after_start = AfterStart(models, manifest.after_start, tell)
        self._nodes = nodes
        self._packages = packages
        self._models = models
        self._programs = programs

    async def before_start(self) -> None:
        """System packages, Python packages, custom nodes, then the models of `before_start`, each one after the
        other. Raises ProvisionFailed at the first that fails."""
        manifest = self.manifest
        await install_packages(manifest.apt, self._programs, is_root=os.geteuid() == 0)
        if manifest.pip:
            await self._packages.install("The manifest's Python packages", *manifest.pip)
        await self._nodes.install(manifest.custom_nodes)
        for file in manifest.before_start:
            await self._models.bring(file)

    async def close(self) -> None:
        """Stop what is under way in the background."""
        await self.after_start.close()


def provision(
    *,
    manifest_json: str,
    manifest: str,
    comfy_home: Path,
    comfy_command: Sequence[str],
    models: Path | None,
    fetch: Fetch,
    environment: Mapping[str, str],
    own_prefix: Path | None,
    seconds: float = STEP_SECONDS,
    tell: TellSystem = nobody,
) -> Provision | None:
    """Read the manifest (the JSON text, or else the file); None when there is none.

    `models`: None for the folder in `comfy_home`. `own_prefix`: our own environment, which nothing is installed into;
    None for the single file. `seconds`: the most that one program of a step may take. Raises InvalidInput."""
    found = read_manifest(manifest_json, manifest)
    if found is None:
        return None
    programs = Programs(environment, seconds)
    packages = Packages(programs, comfy_home, comfy_command, own_prefix)
    files = ManifestModels(fetch, comfy_home, models or comfy_home / "models")
    _check(found, files)
    return Provision(found, CustomNodes(programs, packages, comfy_home, tell), packages, files, programs, tell)


def _check(manifest: Manifest, files: ManifestModels) -> None:
    """Raise InvalidInput before anything is installed."""
    check_packages(manifest.apt)
    check_nodes(manifest.custom_nodes)
    files.check(manifest.before_start, "models.before_start")
    files.check(manifest.after_start, "models.after_start")
