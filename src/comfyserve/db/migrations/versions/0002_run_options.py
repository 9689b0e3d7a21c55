"""What a run's caller wants besides the graph's own result, and outputs that lie in a caller's own place."""

import sqlalchemy as sa
from alembic import op

from comfyserve.db.types import Json

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add what is shown of the options, the sealed rest, a deployment's default, and the address of an output."""
    op.add_column("runs", sa.Column("options", Json))
    op.add_column("runs", sa.Column("sealed_options", sa.Text()))
    op.add_column("deployments", sa.Column("convert_output", Json))
    op.add_column("outputs", sa.Column("target_url", sa.Text()))
