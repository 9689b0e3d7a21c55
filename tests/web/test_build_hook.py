"""The build hook: when it builds, when it does not, and what it says when it cannot."""

import os
import stat
from pathlib import Path

import hatch_build
import pytest
from hatch_build import PagesNotBuilt, build_pages, find_node, sources_hash

NPM = """#!/bin/sh
echo "$@" >> "$(dirname "$0")/calls"
if [ "$1" = ci ]; then mkdir -p node_modules; fi
if [ "$1" = run ]; then mkdir -p ../src/comfyserve/_pages; echo built > ../src/comfyserve/_pages/index.html; fi
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    web = tmp_path / "web"
    (web / "src").mkdir(parents=True)
    (web / "package.json").write_text("{}")
    (web / "package-lock.json").write_text("{}")
    (web / "src" / "main.tsx").write_text("export {}")
    return tmp_path


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH that leads to a Node of the oldest version we take, and to an npm that notes how it was called."""
    folder = tmp_path / "tools"
    folder.mkdir()
    program(folder / "node", f"#!/bin/sh\necho v{'.'.join(map(str, hatch_build.OLDEST_NODE))}.0\n")
    program(folder / "npm", NPM)
    monkeypatch.setenv("PATH", os.pathsep.join([str(folder), "/usr/bin", "/bin"]))
    monkeypatch.delenv("COMFYSERVE_SKIP_PAGES", raising=False)
    return folder


def program(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def calls(tools: Path) -> list[str]:
    return (tools / "calls").read_text().splitlines() if (tools / "calls").exists() else []


def test_builds_once_and_again_only_when_a_source_changed(checkout: Path, tools: Path) -> None:
    assert build_pages(checkout)
    assert calls(tools) == ["ci --no-audit --no-fund", "run build"]
    assert not build_pages(checkout)
    (checkout / "web" / "src" / "main.tsx").write_text("export const changed = true")
    assert build_pages(checkout)
    assert calls(tools) == ["ci --no-audit --no-fund", "run build", "run build"]


def test_installs_again_when_the_lock_changed(checkout: Path, tools: Path) -> None:
    build_pages(checkout)
    (checkout / "web" / "package-lock.json").write_text('{"changed": true}')
    build_pages(checkout)
    assert calls(tools).count("ci --no-audit --no-fund") == 2


def test_skips_when_told_to(checkout: Path, tools: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMFYSERVE_SKIP_PAGES", "1")
    assert not build_pages(checkout)
    assert calls(tools) == []


def test_an_old_node_does_not_count(checkout: Path, tools: Path) -> None:
    program(tools / "node", "#!/bin/sh\necho v18.19.0\n")
    found = find_node()
    assert found is None or found.folder != tools


def test_a_failed_build_says_what_npm_said_and_is_tried_again(checkout: Path, tools: Path) -> None:
    program(tools / "npm", "#!/bin/sh\necho 'the sources do not compile' >&2\nexit 2\n")
    for _ in range(2):
        with pytest.raises(PagesNotBuilt, match="the sources do not compile"):
            build_pages(checkout)


def test_the_hash_sees_names_and_bytes_but_not_packages(checkout: Path) -> None:
    web = checkout / "web"
    before = sources_hash(web)
    (web / "node_modules").mkdir()
    (web / "node_modules" / "left-pad.js").write_text("")
    assert sources_hash(web) == before
    (web / "src" / "main.tsx").rename(web / "src" / "other.tsx")
    assert sources_hash(web) != before


def test_the_lock_names_no_registry() -> None:
    lock = (Path(hatch_build.__file__).parent / "web" / "package-lock.json").read_text()
    assert '"resolved"' not in lock
