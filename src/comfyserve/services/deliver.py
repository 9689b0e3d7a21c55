"""Deliver: empties the table of owed webhooks, in order per webhook of a run, with a back-off over hours.

A receiver has a few calls under way at most, so that a dead one delays nobody else.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from itertools import chain, repeat
from typing import Any

import structlog
from sqlalchemy import Connection

from comfyserve.core.errors import FetchFailed, FetchRefused, NotFound
from comfyserve.db import deliveries, runs
from comfyserve.db.database import Database
from comfyserve.db.rows import Row
from comfyserve.ports import Bell, Sender
from comfyserve.ports import Delivery as Delivery
from comfyserve.services.files import Files
from comfyserve.services.letters import seal
from comfyserve.services.options import called
from comfyserve.services.postings import Render, Snapshot
from comfyserve.services.sealing import SealBroken, Sealing
from comfyserve.services.snapshots import at_event
from comfyserve.services.topics import DELIVERIES

log = structlog.get_logger(__name__)

BACK_OFF = (1, 5, 30, 120, 600, 1800, 3600, 14400)
"""Seconds before each further try, the last one for all later ones."""

TRIES = 9
NEVER_SENT = "The setting webhook_tries is 0, so that none is sent."

WEBHOOK_GIVEN_UP = "webhook_given_up"
"""The code of the warning that a run gets."""

AT_ONCE = 16
AT_ONE_RECEIVER = 4
POLL = 30.0

WRITE_PAUSES = (1.0, 5.0, 15.0, 60.0)
"""Seconds before each further try to write how a call went, the last one for all later ones. Until then its run waits:
another call would reach the receiver once more."""


class Deliver:
    """Sends what is owed. `run` goes on until it is cancelled; a delivery under way then is sent again later."""

    def __init__(
        self,
        db: Database,
        sender: Sender,
        *,
        render: Mapping[str, Render],
        clock: Callable[[], datetime],
        bell: Bell,
        files: Files,
        sealing: Sealing | None = None,
        key: bytes = b"",
        tries: int = TRIES,
        at_once: int = AT_ONCE,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`render`: format -> how its body is made. `key` signs, where there is one. `tries`: how often a call is made
        before it is given up, at most; 0: never. `sealing` opens the addresses that hold a login.
        `sleep` waits between tries to write."""
        self._db = db
        self._sender = sender
        self._render = render
        self._clock = clock
        self._bell = bell
        self._files = files
        self._sealing = sealing
        self._key = key
        self._tries = tries
        self._at_once = at_once
        self._sleep = sleep
        self._under_way: dict[str, asyncio.Task[None]] = {}
        self._receivers: Counter[str] = Counter()

    async def run(self) -> None:
        """Deliver until cancelled."""
        try:
            while True:
                seen = self._bell.now(DELIVERIES)
                await self._bell.wait(DELIVERIES, await self._start_and_pause(), since=seen)
        finally:
            await self._stop()

    async def _stop(self) -> None:
        """End every call under way: afterwards nobody writes to the database any more."""
        under_way = list(self._under_way.values())
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)

    async def _start_and_pause(self) -> float:
        """Start what is due; seconds until more is. A database that does not answer is asked again later."""
        try:
            await self.start_due()
            return await self._pause()
        except Exception:
            log.exception("deliveries_not_read")
            return POLL

    async def start_due(self) -> int:
        """Start what is due, one call per webhook of a run and AT_ONE_RECEIVER per receiver at most. How many."""
        total = 0
        while started := await self._start_some():
            total += started
        return total

    async def _start_some(self) -> int:
        free = self._at_once - len(self._under_way)
        if free <= 0:
            return 0
        busy = self._busy()
        rows = await self._db.read(lambda connection: deliveries.due(connection, self._clock(), free, **busy))
        started = 0
        for row in rows:
            if self._receivers[row["receiver"]] < AT_ONE_RECEIVER:
                self._receivers[row["receiver"]] += 1
                self._under_way[row["id"]] = asyncio.create_task(self._carry(row))
                started += 1
        return started

    async def settled(self) -> None:
        """Return when every call under way has ended."""
        while self._under_way:
            await asyncio.wait(list(self._under_way.values()))

    async def _carry(self, row: Row) -> None:
        try:
            await self._write(row, await self._sent(row))
        finally:
            del self._under_way[row["id"]]
            self._receivers -= Counter([row["receiver"]])
        self._bell.ring(DELIVERIES)

    async def _sent(self, row: Row) -> dict[str, Any]:
        """Make the call; the columns that say how it went."""
        try:
            return await self._send(row)
        except Exception:
            log.exception("delivery_failed", delivery_id=row["id"], run_id=row["run_id"])
            return self._later(row, None, "The delivery could not be made. The server's log says why.")

    async def _send(self, row: Row) -> dict[str, Any]:
        if self._tries == 0:
            return {"state": deliveries.GIVEN_UP, "problem": NEVER_SENT}
        try:
            answer = await self._answer(row)
        except (FetchFailed, FetchRefused, NotFound, SealBroken) as error:
            return self._later(row, None, error.message, again=isinstance(error, FetchFailed))
        if not 200 <= answer < 300:
            return self._later(row, answer, f"The receiver answered {answer}.")
        sent = {"state": deliveries.SENT, "answer": answer, "sent_at": self._clock(), "problem": None}
        return sent | {"tries": row["tries"] + 1}

    async def _answer(self, row: Row) -> int:
        """Make the call. Raises FetchFailed, FetchRefused, NotFound when a file of the run is gone for
        good, and SealBroken."""
        snapshot, url = await self._db.read(lambda connection: self._snapshot(connection, row))
        posting = self._render[row["format"]](_delivery(row), snapshot, self._files)
        letter = await seal(posting, self._key, self._clock())
        headers = {**letter.headers, "X-Webhook-Id": row["id"]}
        return await self._sender.post(url, letter.content(), headers, length=letter.length)

    def _later(self, row: Row, answer: int | None, problem: str, *, again: bool = True) -> dict[str, Any]:
        """Owe it again after a while, or give it up after the last try, and where no other one would help."""
        tries = row["tries"]
        again = again and tries + 1 < self._tries
        told = {"delivery_id": row["id"], "run_id": row["run_id"], "problem": problem, "tries": tries + 1}
        log.log(logging.INFO if again else logging.WARNING, "webhook_failed" if again else WEBHOOK_GIVEN_UP, **told)
        columns = {"state": deliveries.OWED if again else deliveries.GIVEN_UP, "answer": answer, "problem": problem}
        due = {"due_at": self._clock() + timedelta(seconds=BACK_OFF[min(tries, len(BACK_OFF) - 1)])} if again else {}
        return columns | due | {"tries": tries + 1}

    async def _write(self, row: Row, columns: Mapping[str, Any]) -> None:
        """Write how a call went, as often as it takes."""
        for pause in chain(WRITE_PAUSES, repeat(WRITE_PAUSES[-1])):
            try:
                await self._db.write(lambda connection: _write_down(connection, row, columns))
            except Exception as error:
                named = {"delivery_id": row["id"], "run_id": row["run_id"]}
                log.error("delivery_not_written", **named, problem=str(error), again_in=pause)
                await self._sleep(pause)
            else:
                return

    async def _pause(self) -> float:
        """Seconds until the next delivery can be started, at most POLL. The end of a call rings the bell."""
        if len(self._under_way) >= self._at_once:
            return POLL
        busy = self._busy()
        due = await self._db.read(lambda connection: deliveries.next_due_at(connection, **busy))
        return POLL if due is None else min(POLL, max(0.0, (due - self._clock()).total_seconds()))

    def _busy(self) -> dict[str, list[str]]:
        """The deliveries under way, and the receivers that have as many as they may."""
        full = [name for name, calls in self._receivers.items() if calls >= AT_ONE_RECEIVER]
        return {"besides": list(self._under_way), "besides_receivers": full}

    def _snapshot(self, connection: Connection, row: Row) -> tuple[Snapshot, str]:
        """What is told, and the address with its login, if it has one."""
        run = runs.find(connection, row["run_id"])
        if run is None:
            raise LookupError(f"run {row['run_id']} of delivery {row['id']} is gone")
        url = row["url"] if self._sealing is None else called(run["webhooks"], row["url"], row["format"], self._sealing)
        return at_event(connection, run, row["body"], self._files.url), url


def _write_down(connection: Connection, row: Row, columns: Mapping[str, Any]) -> None:
    """Who looks at the run is told of a delivery that was given up."""
    deliveries.update(connection, row["id"], **columns)
    if columns["state"] == deliveries.GIVEN_UP:
        message = f"The webhook was not delivered. {columns['problem']}"
        runs.warn(connection, row["run_id"], {"code": WEBHOOK_GIVEN_UP, "message": message})


def _delivery(row: Row) -> Delivery:
    return Delivery(
        id=row["id"],
        run_id=row["run_id"],
        format=row["format"],
        url=row["url"],
        event=row["event"],
        body=row["body"],
        created_at=row["created_at"],
        tries=row["tries"],
    )
