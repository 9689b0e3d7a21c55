"""Several webhooks of a run, each in a format of its own; what its dialect keeps of the request; a dead column."""

import sqlalchemy as sa
from alembic import op

from comfyserve.db.types import Json

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_RUNS = sa.table(
    "runs",
    sa.column("id", sa.String),
    sa.column("dialect", sa.String),
    sa.column("webhook", sa.Text),
    sa.column("webhook_intermediate", sa.Boolean),
    sa.column("webhooks", Json),
)


def upgrade() -> None:
    """The one webhook of a run becomes a list with that one; a delivery's dialect was its format all along."""
    op.add_column("runs", sa.Column("webhooks", Json))
    op.add_column("runs", sa.Column("memo", Json))
    _carry_over(op.get_bind())
    for name in ("webhook", "webhook_intermediate", "attempt_started_at"):
        op.drop_column("runs", name)
    op.execute("ALTER TABLE deliveries RENAME COLUMN dialect TO format")


def _carry_over(connection: sa.Connection) -> None:
    having = sa.select(_RUNS).where(_RUNS.c.webhook.is_not(None))
    change = _RUNS.update().where(_RUNS.c.id == sa.bindparam("run")).values(webhooks=sa.bindparam("wishes", type_=Json))
    found = [
        {
            "run": row.id,
            "wishes": [
                {"url": row.webhook, "format": row.dialect, "on": "changes" if row.webhook_intermediate else "end"}
            ],
        }
        for row in connection.execute(having)
    ]
    if found:
        connection.execute(change, found)
