"""Every table. Each row belongs to a workspace, directly or through its run."""

from sqlalchemy import (
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
)

from comfyserve.db.types import Json, Serial, UtcTime

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _workspace() -> Column[str]:
    return Column("workspace_id", String, ForeignKey("workspaces.id"), nullable=False)


workspaces = Table(
    "workspaces",
    metadata,
    Column("id", String, primary_key=True),
    Column("name", Text, nullable=False),
    Column("created_at", UtcTime, nullable=False),
)

keys = Table(
    "keys",
    metadata,
    Column("id", String, primary_key=True),
    _workspace(),
    Column("name", Text, nullable=False),
    Column("kind", String, nullable=False),
    Column("prefix", String, nullable=False),
    Column("hash", String, nullable=False, unique=True),
    Column("created_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime),
    Column("last_used_at", UtcTime),
    Column("revoked_at", UtcTime),
    Index(None, "workspace_id", "kind", "created_at"),
)

workflows = Table(
    "workflows",
    metadata,
    Column("id", String, primary_key=True),
    _workspace(),
    Column("name", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("latest_version", Integer, nullable=False),
    Column("latest_version_id", String, nullable=False),
    Column("created_by", String, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
    Index(None, "workspace_id", "created_at", "id"),
)

versions = Table(
    "workflow_versions",
    metadata,
    Column("id", String, primary_key=True),
    _workspace(),
    Column("workflow_id", String, ForeignKey("workflows.id"), nullable=False),
    Column("version", Integer, nullable=False),
    Column("comment", Text, nullable=False),
    Column("graph", Json, nullable=False),
    Column("graph_hash", String, nullable=False),
    Column("editor", Json),
    Column("created_by", String, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    UniqueConstraint("workflow_id", "version"),
)

machines = Table(
    "machines",
    metadata,
    Column("id", String, primary_key=True),
    _workspace(),
    Column("name", Text, nullable=False),
    Column("kind", String, nullable=False),
    Column("status", String, nullable=False),
    Column("error", Json),
    Column("workers", Integer, nullable=False),
    Column("catalogue", Json),
    Column("catalogue_hash", String),
    Column("created_at", UtcTime, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
    UniqueConstraint("workspace_id", "name"),
)

deployments = Table(
    "deployments",
    metadata,
    Column("id", String, primary_key=True),
    _workspace(),
    Column("name", Text, nullable=False),
    Column("environment", String, nullable=False),
    Column("workflow_id", String, ForeignKey("workflows.id"), nullable=False),
    Column("version_id", String, ForeignKey("workflow_versions.id"), nullable=False),
    Column("machine_id", String, ForeignKey("machines.id"), nullable=False),
    Column("narrowings", Json, nullable=False),
    Column("convert_output", Json),
    Column("created_by", String, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
    UniqueConstraint("workspace_id", "name"),
    Index(None, "workspace_id", "created_at", "id"),
    Index(None, "workflow_id", "environment"),
)

runs = Table(
    "runs",
    metadata,
    Column("seq", Serial, primary_key=True),
    Column("id", String, nullable=False, unique=True),
    _workspace(),
    Column("machine_id", String, ForeignKey("machines.id"), nullable=False),
    Column("key_id", String, nullable=False),
    Column("dialect", String, nullable=False),
    Column("origin", String, nullable=False),
    Column("deployment_id", String),
    Column("deployment_name", Text),
    Column("workflow_id", String),
    Column("version_id", String),
    Column("version", Integer),
    Column("idempotency_key", String),
    Column("request_hash", String),
    Column("inputs", Json, nullable=False),
    Column("warnings", Json, nullable=False),
    Column("options", Json),
    Column("sealed_options", Text),
    Column("outside", Boolean, nullable=False, server_default=false()),
    Column("webhooks", Json),
    Column("memo", Json),
    Column("priority", Integer, nullable=False),
    Column("turn", Integer, nullable=False),
    Column("status", String, nullable=False),
    Column("max_attempts", Integer, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("claims", Integer, nullable=False),
    Column("attempt_id", String),
    Column("lease_token", String),
    Column("lease_worker", String),
    Column("lease_until", UtcTime),
    Column("not_before", UtcTime),
    Column("created_at", UtcTime, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
    Column("queued_at", UtcTime, nullable=False),
    Column("claimed_at", UtcTime),
    Column("started_at", UtcTime),
    Column("ended_at", UtcTime),
    Column("cancel_requested_at", UtcTime),
    Column("error", Json),
    Column("simulated", Boolean, nullable=False),
    Column("last_event", Integer, nullable=False),
    UniqueConstraint("workspace_id", "idempotency_key"),
    sqlite_autoincrement=True,
)
# The order of claims, the newest turn of a key, and each list that can be asked for.
Index("ix_runs_claim", runs.c.machine_id, runs.c.status, runs.c.priority.desc(), runs.c.turn, runs.c.seq)
Index("ix_runs_turn", runs.c.machine_id, runs.c.status, runs.c.priority, runs.c.key_id, runs.c.turn)
Index("ix_runs_status", runs.c.status, runs.c.lease_until)
Index("ix_runs_list", runs.c.workspace_id, runs.c.seq)
Index("ix_runs_list_status", runs.c.workspace_id, runs.c.status, runs.c.seq)
Index("ix_runs_list_deployment", runs.c.deployment_id, runs.c.seq)

run_graphs = Table(
    "run_graphs",
    metadata,
    Column("run_id", String, ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    Column("graph", Json, nullable=False),
    Column("extra_data", Json, nullable=False),
    Column("asset_ids", Json, nullable=False),
)

lanes = Table(
    "lanes",
    metadata,
    Column("machine_id", String, ForeignKey("machines.id"), primary_key=True),
    Column("priority", Integer, primary_key=True, autoincrement=False),
    Column("served", Integer, nullable=False),
)

events = Table(
    "events",
    metadata,
    Column("run_id", String, ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("kind", String, nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("attempt_id", String),
    Column("status", String, nullable=False),
    Column("data", Json, nullable=False),
)

assets = Table(
    "assets",
    metadata,
    Column("seq", Serial, primary_key=True),
    Column("id", String, nullable=False, unique=True),
    _workspace(),
    Column("run_id", String),
    Column("filename", Text, nullable=False),
    Column("mime", String, nullable=False),
    Column("size", Serial, nullable=False),
    Column("sha256", String, nullable=False),
    Column("blob_key", Text, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Index("ix_assets_list", "workspace_id", "seq"),
    Index(None, "run_id"),
    sqlite_autoincrement=True,
)

outputs = Table(
    "outputs",
    metadata,
    Column("seq", Serial, primary_key=True),
    Column("id", String, nullable=False, unique=True),
    Column("run_id", String, ForeignKey("runs.id", ondelete="CASCADE"), nullable=False),
    Column("attempt_id", String),
    Column("node_id", String, nullable=False),
    Column("class_type", String, nullable=False),
    Column("key", String, nullable=False),
    Column("index", Integer, nullable=False),
    Column("kind", String, nullable=False),
    Column("filename", Text, nullable=False),
    Column("subfolder", Text, nullable=False),
    Column("type", String, nullable=False),
    Column("mime", String, nullable=False),
    Column("size", Serial, nullable=False),
    Column("sha256", String, nullable=False),
    Column("asset_id", String),
    Column("target_url", Text),
    Column("value", Json),
    Column("created_at", UtcTime, nullable=False),
    Index(None, "run_id", "seq"),
    sqlite_autoincrement=True,
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("seq", Serial, primary_key=True),
    Column("id", String, nullable=False, unique=True),
    Column("run_id", String, ForeignKey("runs.id", ondelete="CASCADE"), nullable=False),
    Column("format", String, nullable=False),
    Column("url", Text, nullable=False),
    Column("receiver", Text, nullable=False),
    Column("event", String, nullable=False),
    Column("body", Json, nullable=False),
    Column("state", String, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("due_at", UtcTime, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("sent_at", UtcTime),
    Column("answer", Integer),
    Column("problem", Text),
    Index(None, "state", "due_at"),
    Index(None, "run_id", "seq"),
    sqlite_autoincrement=True,
)
