"""What older versions wrote is carried over by the migrations."""

import sqlite3
from pathlib import Path

from alembic import command
from sqlalchemy import create_engine, select

from comfyserve.db.database import Database
from comfyserve.db.migrate import alembic_config
from comfyserve.db.tables import deliveries, runs

NOW = "2026-01-02 03:04:05.000000"


def before_0004(path: Path) -> None:
    """A database of revision 0003 with three runs: without a webhook, with one, with a talkative one."""
    config = alembic_config()
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0003")
    engine.dispose()
    with sqlite3.connect(path) as written:
        for run_id, webhook, intermediate in (
            ("quiet", None, 0),
            ("told", "http://a/hook", 0),
            ("chatty", "http://b/hook", 1),
        ):
            row = {
                "id": run_id,
                "workspace_id": "w",
                "machine_id": "m",
                "key_id": "k",
                "dialect": "comfydeploy",
                "origin": "api",
                "inputs": "{}",
                "warnings": "[]",
                "webhook": webhook,
                "webhook_intermediate": intermediate,
                "priority": 0,
                "turn": 1,
                "status": "queued",
                "max_attempts": 3,
                "attempts": 0,
                "claims": 0,
                "created_at": NOW,
                "updated_at": NOW,
                "queued_at": NOW,
                "simulated": 0,
                "last_event": 1,
            }
            names = ", ".join(row)
            written.execute(f"INSERT INTO runs ({names}) VALUES ({', '.join('?' * len(row))})", list(row.values()))
        values = ("d", "told", "comfydeploy", "http://a/hook", "a", "run.updated", "{}", "owed", 0, NOW, NOW)
        names = "id, run_id, dialect, url, receiver, event, body, state, tries, due_at, created_at"
        written.execute(f"INSERT INTO deliveries ({names}) VALUES ({', '.join('?' * len(values))})", values)
    written.close()


async def test_the_webhook_of_a_run_becomes_a_list(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    before_0004(path)
    db = await Database.open(str(path))
    found = await db.read(lambda connection: connection.execute(select(runs.c.id, runs.c.webhooks)).all())
    formats = await db.read(lambda connection: connection.execute(select(deliveries.c.id, deliveries.c.format)).all())
    await db.close()
    assert {row.id: row.webhooks for row in found} == {
        "quiet": None,
        "told": [{"url": "http://a/hook", "format": "comfydeploy", "on": "end"}],
        "chatty": [{"url": "http://b/hook", "format": "comfydeploy", "on": "changes"}],
    }
    assert [tuple(row) for row in formats] == [("d", "comfydeploy")]
