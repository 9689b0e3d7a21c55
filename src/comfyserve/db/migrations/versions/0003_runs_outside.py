"""Whether a run needs something from outside: files by address, or a target of the caller's."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the mark; runs that wait already are taken as runs without."""
    op.add_column("runs", sa.Column("outside", sa.Boolean(), nullable=False, server_default=sa.false()))
