"""What is told of downloads: how far they are, to who watches, and that they arrived, to the ledger."""

from collections.abc import Callable

from comfyserve.core.addresses import public_name
from comfyserve.core.runs import Fact, FactKind
from comfyserve.ports import Downloading, Fetched, Live, OnBytes

SECONDS_BETWEEN = 0.5
MAX_FACTS = 100
"""Downloads of one attempt that the ledger is told of, one by one."""


class Reports:
    """The downloads of one attempt. Names are a host and the last part of a path, never a query."""

    def __init__(self, live: Live, run_id: str, note: Callable[[Fact], None], monotonic: Callable[[], float]) -> None:
        """`note` records a fact soon."""
        self._live = live
        self._run_id = run_id
        self._note = note
        self._monotonic = monotonic
        self._told = 0

    def watch(self, label: str, url: str) -> tuple[OnBytes, Callable[[Fetched], None]]:
        """What to call while a file comes, as often as one likes, and what to call when it is there."""
        name, began = public_name(url), self._monotonic()
        shown = float("-inf")

        def on_bytes(received: int, total: int | None) -> None:
            nonlocal shown
            now = self._monotonic()
            if now - shown >= SECONDS_BETWEEN or received == total:
                shown = now
                self._live.put(self._run_id, Downloading(label, name, received, total))

        def arrived(fetched: Fetched) -> None:
            if not fetched.cached and shown > float("-inf"):
                self._live.put(self._run_id, Downloading(label, name, fetched.size, fetched.size))
            self._arrived(label, name, fetched, self._monotonic() - began)

        return on_bytes, arrived

    def _arrived(self, label: str, name: str, fetched: Fetched, seconds: float) -> None:
        if self._told >= MAX_FACTS:
            return
        self._told += 1
        data = {"label": label, "name": name, "bytes": fetched.size, "seconds": round(seconds, 3)}
        self._note(Fact(FactKind.DOWNLOADED, data | {"cached": fetched.cached}))
