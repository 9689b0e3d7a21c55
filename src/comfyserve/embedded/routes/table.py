"""All routes: (method, path, function). `http` adds each at its path and under the prefix (spec section 1)."""

from __future__ import annotations

from comfyserve.embedded.routes import files, info, prompts

ROUTES = (*prompts.ROUTES, *files.ROUTES, *info.ROUTES)
