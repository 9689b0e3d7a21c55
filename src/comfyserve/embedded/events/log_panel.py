"""Sends new log lines to the websocket clients that wish them (spec sections 5 and 8)."""

from __future__ import annotations

from comfyserve.embedded.events.sockets import Hub
from comfyserve.embedded.logs import Entry, LogRing
from comfyserve.protocol.messages import Event


class LogPanel:
    """The subscribers of one ring; one whose socket is gone is forgotten with the next line."""

    def __init__(self, ring: LogRing, hub: Hub) -> None:
        self._hub = hub
        self._subscribers: frozenset[str] = frozenset()
        ring.heard = self._tell

    def subscribe(self, client_id: str) -> None:
        """Send this client every new line. One without a socket is not remembered."""
        if self._hub.listens(client_id):
            self._subscribers |= {client_id}

    def unsubscribe(self, client_id: str) -> None:
        """Send this client no more lines."""
        self._subscribers -= {client_id}

    def _tell(self, entry: Entry) -> None:
        for client_id in self._subscribers:
            if self._hub.listens(client_id):
                self._hub.send(Event.LOGS, {"entries": [entry], "size": None}, client_id, droppable=True)
            else:
                self.unsubscribe(client_id)
