"""What the server and its clients can do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from comfyserve.embedded.packs.host import engine


def get_server_features() -> dict[str, Any]:
    """The feature flags of this server."""
    return dict(engine().features)


def get_connection_feature(
    sockets_metadata: Mapping[str, Mapping[str, Any]], sid: str, feature_name: str, default: Any = False
) -> Any:
    """What a connection announced."""
    flags = (sockets_metadata.get(sid) or {}).get("feature_flags") or {}
    return flags.get(feature_name, default)


def supports_feature(sockets_metadata: Mapping[str, Mapping[str, Any]], sid: str, feature_name: str) -> bool:
    """Whether a connection announced that it can."""
    return get_connection_feature(sockets_metadata, sid, feature_name) is True
