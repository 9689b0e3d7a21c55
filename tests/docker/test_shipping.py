"""Images, compose and Kubernetes files cannot be built here: their form is checked, and what they name."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "docker"
TOOLS = Path(sys.executable).parent
DOCKERFILES = sorted(DOCKER.glob("*.dockerfile"))
SCRIPTS = ("build", "push", "versions")


def _checked(tool: str, *arguments: str | Path) -> None:
    done = subprocess.run([TOOLS / tool, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("file", DOCKERFILES, ids=lambda file: file.name)
def test_a_dockerfile_is_clean(file: Path) -> None:
    _checked("hadolint", file)


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_is_clean(name: str) -> None:
    _checked("shellcheck", "-x", "-P", ROOT, DOCKER / name)


def test_the_kubernetes_file_fits_its_schemas() -> None:
    _checked("kubernetes-validate", DOCKER / "kubernetes.yaml")


def test_the_compose_file_fits_its_schema() -> None:
    _checked("check-jsonschema", "--builtin-schema", "vendor.compose-spec", DOCKER / "compose.yaml")


def test_the_dev_profile_has_the_emulators() -> None:
    services = yaml.safe_load((DOCKER / "compose.yaml").read_text())["services"]
    assert {name for name, one in services.items() if one.get("profiles") == ["dev"]} == {"s3", "azurite", "files"}
    assert "profiles" not in services["solo"]


def test_what_compose_mounts_is_there() -> None:
    services = yaml.safe_load((DOCKER / "compose.yaml").read_text())["services"]
    places = [mount.split(":")[0] for one in services.values() for mount in one.get("volumes", ())]
    assert [place for place in places if place.startswith(".") and not (DOCKER / place).exists()] == []


@pytest.mark.parametrize(("what", "variant"), [("base", "runtime"), ("base", "devel"), ("api", "runtime")])
def test_what_is_built_is_what_is_pushed(tmp_path: Path, what: str, variant: str) -> None:
    """The scripts are run with a program in docker's place that writes down how it was called."""
    called = tmp_path / "called"
    fake = tmp_path / "docker"
    fake.write_text(f'#!/bin/sh\necho "$@" >> {called}\n')
    fake.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "COMFY_VERSION": "9.9.9"}
    for script in ("build", "push"):
        subprocess.run([DOCKER / script, what, variant], env=environment, check=True, timeout=30)
    built, pushed, *tagged = called.read_text().splitlines()
    image = re.search(r"-t (\S+)", built)
    assert image is not None
    assert image.group(1).endswith(variant)
    assert "comfy9.9.9" in image.group(1)
    assert f"--build-arg base={variant}" in built
    assert pushed == f"push {image.group(1)}"
    assert bool(tagged) == (variant == "runtime")


def test_an_image_that_is_none_is_refused() -> None:
    done = subprocess.run([DOCKER / "build", "cake"], capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stderr) == (2, "docker/build base|api [runtime|devel]\n")


@pytest.mark.parametrize("file", DOCKERFILES, ids=lambda file: file.name)
def test_every_version_can_be_chosen(file: Path) -> None:
    """What docker/build passes on is an argument of the file."""
    declared = set(re.findall(r"^ARG (\w+)", file.read_text(), re.MULTILINE))
    assert {"base", "comfy_version", "pytorch_version", "cuda_version"} <= declared
