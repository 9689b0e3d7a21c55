"""Where ComfyUI answers what; each path also exists under PREFIX (spec sections 1 to 6)."""

from __future__ import annotations

from typing import Final

PREFIX: Final = "/api"

PROMPT: Final = "/prompt"
QUEUE: Final = "/queue"
INTERRUPT: Final = "/interrupt"
FREE: Final = "/free"
HISTORY: Final = "/history"
HISTORY_ONE: Final = "/history/{prompt_id}"
WEBSOCKET: Final = "/ws"
VIEW: Final = "/view"
UPLOAD_IMAGE: Final = "/upload/image"
UPLOAD_MASK: Final = "/upload/mask"
OBJECT_INFO: Final = "/object_info"
OBJECT_INFO_ONE: Final = "/object_info/{class_type}"
SYSTEM_STATS: Final = "/system_stats"
FEATURES: Final = "/features"
MODELS: Final = "/models"
MODELS_ONE: Final = "/models/{folder}"
EMBEDDINGS: Final = "/embeddings"
EXTENSIONS: Final = "/extensions"
SETTINGS: Final = "/settings"
SETTINGS_ONE: Final = "/settings/{key}"
USERS: Final = "/users"

CLIENT_ID: Final = "clientId"
"""Query parameter of the websocket."""

MAX_UPLOAD_BYTES: Final = 100 * 1024 * 1024
"""ComfyUI's default for the size of a request body."""

SECRET_EXTRA_DATA: Final = ("auth_token_comfy_org", "api_key_comfy_org")
"""Keys of `extra_data` that reach the nodes and never the history."""

COMFYUI_VERSION: Final = "0.3.64"
"""The release whose behaviour the embedded engine claims."""

FRONTEND_VERSION: Final = "1.27.10"
"""The front end that this release pins."""
