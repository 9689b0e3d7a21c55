"""The bounds of one embedded engine; the command line sets some of them."""

from __future__ import annotations

from dataclasses import dataclass, field

from comfyserve.embedded.cache.policy import MEBIBYTE, CachePolicy
from comfyserve.embedded.graph.dynamic_prompt import EXPANDED_NODES
from comfyserve.protocol.routes import MAX_UPLOAD_BYTES


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """work_ms is added to every prompt (for the bench)."""

    work_ms: int = 0
    body_bytes: int = MAX_UPLOAD_BYTES
    graph_nodes: int = 20_000
    expanded_nodes: int = EXPANDED_NODES
    """How many nodes expansions may add to one prompt while it runs."""
    cache: CachePolicy = field(default_factory=CachePolicy)
    queue_length: int = 1000
    queue_bytes: int = 512 * MEBIBYTE
    history_length: int = 1000
    history_bytes: int = 64 * MEBIBYTE
    socket_backlog: int = 4096
    socket_backlog_bytes: int = 64 * MEBIBYTE
    socket_slack: int = 512
    socket_slack_bytes: int = 8 * MEBIBYTE
    """From this many waiting messages or bytes on, a client gets no more previews and progress."""
    sockets: int = 256
    multi_user: bool = False
    user_files: int = 10_000
    user_bytes: int = 1024 * MEBIBYTE
    cors_origin: str | None = None
    """Pages of this origin (* for all) may call the engine from a browser; None refuses those of other origins."""
    compress: bool = False
