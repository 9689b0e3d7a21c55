"""The parts of one embedded engine, built from its settings."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

from comfyserve.embedded.context import EngineSettings, NodeContext, activate
from comfyserve.embedded.events.log_panel import LogPanel
from comfyserve.embedded.events.sockets import Hub
from comfyserve.embedded.execute.worker import Worker
from comfyserve.embedded.faults.playing import Faults
from comfyserve.embedded.files.folders import Folders
from comfyserve.embedded.files.users import Users
from comfyserve.embedded.graph.catalogue import Catalogue
from comfyserve.embedded.logs import LogRing
from comfyserve.embedded.packs.registry import Packs
from comfyserve.embedded.prompts.history import History
from comfyserve.embedded.prompts.queue import PromptQueue
from comfyserve.embedded.settings import ServerSettings
from comfyserve.protocol.messages import MAX_UPLOAD_SIZE, SUPPORTS_PREVIEW_METADATA


@dataclass(frozen=True, slots=True)
class Engine:
    """What the routes work with. `counter` numbers the prompts, refused ones too."""

    folders: Folders
    catalogue: Catalogue
    settings: ServerSettings
    queue: PromptQueue
    history: History
    hub: Hub
    worker: Worker
    node_settings: EngineSettings
    faults: Faults
    users: Users
    logs: LogRing
    log_panel: LogPanel
    packs: Packs = field(default_factory=Packs)
    counter: itertools.count[int] = field(default_factory=itertools.count)

    def enter(self) -> None:
        """Let declarations and validators of nodes find the folders, in the current task."""
        activate(NodeContext(self.folders, settings=self.node_settings))

    @property
    def web_folders(self) -> Mapping[str, Path]:
        """Package name -> the folder with its scripts for the editor."""
        return self.catalogue.web_folders

    @property
    def features(self) -> dict[str, Any]:
        return server_flags(self.settings)


ENGINE: web.AppKey[Engine] = web.AppKey("engine", Engine)


def server_flags(settings: ServerSettings) -> dict[str, Any]:
    """The feature flags of this server."""
    return {SUPPORTS_PREVIEW_METADATA: True, MAX_UPLOAD_SIZE: settings.body_bytes}


def build_engine(
    folders: Folders,
    catalogue: Catalogue,
    settings: ServerSettings | None = None,
    node_settings: EngineSettings | None = None,
    faults: Faults | None = None,
    logs: LogRing | None = None,
) -> Engine:
    """Put an engine together; nothing runs until the application starts."""
    settings = settings or ServerSettings()
    queue = PromptQueue(settings.queue_length, settings.queue_bytes)
    history = History(settings.history_length, settings.history_bytes)
    hub = Hub(settings, server_flags(settings))
    node_settings = node_settings or EngineSettings()
    faults = faults or Faults()
    faults.drop_sockets, faults.silence = hub.cut_all, hub.silence_all
    worker = Worker(
        queue=queue,
        history=history,
        hub=hub,
        folders=folders,
        catalogue=catalogue,
        settings=node_settings,
        server=settings,
        faults=faults,
    )
    logs = logs or LogRing()
    return Engine(
        folders=folders,
        catalogue=catalogue,
        settings=settings,
        queue=queue,
        history=history,
        hub=hub,
        worker=worker,
        node_settings=node_settings,
        faults=faults,
        users=Users(folders.user, several=settings.multi_user),
        logs=logs,
        log_panel=LogPanel(logs, hub),
    )
