"""The real editor, where the extra `comfyserve[editor]` is installed: its pages, templates and node help (spec 7)."""

from __future__ import annotations

import pkgutil
from importlib.util import find_spec
from pathlib import Path

from comfyserve.embedded.routes.front_end import FrontEnd

PAGES_PACKAGE = "comfyui_frontend_package"
TEMPLATES_PREFIX = "comfyui_workflow_templates_"
DOCS_PACKAGE = "comfyui_embedded_docs"


def installed_editor(root: Path | None = None, *, networked: bool = False) -> FrontEnd:
    """The editor of the installed packages, its pages from `root` if given; a FrontEnd without folder if it is absent.

    The packages are looked up without being imported: they are folders of files to serve.
    """
    templates = tuple(
        folder
        for module in pkgutil.iter_modules()
        if module.name.startswith(TEMPLATES_PREFIX) and (folder := _folder(module.name, "templates"))
    )
    docs = _folder(DOCS_PACKAGE, "docs")
    mounts = {"/templates": templates, "/docs": (docs,) if docs else ()}
    return FrontEnd(root or _folder(PAGES_PACKAGE, "static"), mounts, networked)


def _folder(package: str, name: str) -> Path | None:
    spec = find_spec(package)
    places = spec.submodule_search_locations if spec is not None else None
    found = (Path(place) / name for place in places or ())
    return next((folder for folder in found if folder.is_dir()), None)
