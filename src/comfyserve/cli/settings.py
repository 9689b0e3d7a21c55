"""`comfyserve settings`: every setting, its value here, its default, and what it does."""

import typer
from pydantic import SecretStr
from rich.table import Table

from comfyserve.cli.console import JsonFlag, out, print_json
from comfyserve.settings import PREFIX, Settings, read_settings


def settings(json: JsonFlag = False) -> None:
    """List every setting with its value, default and help. Secrets are not shown."""
    now = read_settings()
    rows = [
        {
            "name": f"{PREFIX}{name.upper()}",
            "value": _shown(getattr(now, name)),
            "default": _shown(field.get_default()),
            "help": field.description or "",
        }
        for name, field in Settings.model_fields.items()
    ]
    if json:
        print_json(rows)
        raise typer.Exit
    table = Table("setting", "value", "what it does", pad_edge=False, box=None)
    for row in rows:
        changed = row["value"] != row["default"]
        table.add_row(row["name"], f"[bold]{row['value']}[/bold]" if changed else row["value"], row["help"])
    out.print(table)


def _shown(value: object) -> str:
    if isinstance(value, SecretStr):
        return "(set)" if value.get_secret_value() else ""
    return str(value)
