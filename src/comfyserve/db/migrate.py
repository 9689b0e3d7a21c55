"""Brings the tables of a database up to date; run at every start."""

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, inspect, text

if TYPE_CHECKING:
    from alembic.config import Config

MIGRATIONS = Path(__file__).parent / "migrations"


def newest_revision() -> str:
    """The revision that the code needs: revision files are named `<number>_<words>.py` and follow each other."""
    return max(path.name.partition("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*.py"))


def upgrade(engine: Engine) -> None:
    """Apply the revisions that are missing, all in one transaction."""
    with engine.begin() as connection:
        if _present(connection) == newest_revision():
            return
        # Alembic takes a third of a second to import, which only a start with something to migrate has to pay.
        from alembic import command

        config = alembic_config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def alembic_config() -> "Config":
    """Alembic's settings; there is no ini file."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config


def _present(connection: Connection) -> str | None:
    """The revision that the database is at."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    revision: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return revision
