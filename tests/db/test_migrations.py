"""The migrations make exactly the tables that the code uses, and can be applied again."""

from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect

from comfyserve.db.database import Database
from comfyserve.db.migrate import alembic_config, newest_revision
from comfyserve.db.tables import metadata


async def test_migrations_and_tables_agree(db: Database) -> None:
    def differences(connection: Connection) -> list[object]:
        return list(compare_metadata(MigrationContext.configure(connection), metadata))

    assert await db.read(differences) == []


async def test_a_database_is_opened_again(tmp_path: Path) -> None:
    path = str(tmp_path / "twice.db")
    for _ in range(2):
        db = await Database.open(path)
        tables = await db.read(lambda connection: set(inspect(connection).get_table_names()))
        await db.close()
        assert tables == {*metadata.tables, "alembic_version"}


def test_the_newest_file_is_the_head() -> None:
    assert ScriptDirectory.from_config(alembic_config()).get_current_head() == newest_revision()


async def test_every_row_belongs_to_a_workspace() -> None:
    through_run = {"run_graphs", "events", "outputs", "deliveries"}
    through_machine = {"lanes"}
    for name, table in metadata.tables.items():
        if name not in {"workspaces", *through_run, *through_machine}:
            assert "workspace_id" in table.c, name
