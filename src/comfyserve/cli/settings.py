"""`comfyserve settings`: every setting, its value here, its default, and what it does."""

from typing import Any

from comfyserve.cli.console import JsonFlag, print_json, print_table


def settings(json: JsonFlag = False) -> None:
    """List every setting with its value and what it does.

    A changed value is marked with a star. Secrets are not shown. --json adds the defaults.
    """
    rows = _rows()
    if json:
        print_json(rows)
        return
    shown = [(row["name"], f"{row['value']} *" if row["changed"] else row["value"], row["help"]) for row in rows]
    print_table(("SETTING", "VALUE", "WHAT IT DOES"), shown)


def _rows() -> list[dict[str, Any]]:
    from comfyserve.settings import PREFIX, Settings, read_settings

    now = read_settings()
    return [
        {
            "name": f"{PREFIX}{name.upper()}",
            "value": _shown(getattr(now, name)),
            "default": _shown(field.get_default()),
            "changed": name in now.model_fields_set,
            "help": field.description or "",
        }
        for name, field in Settings.model_fields.items()
    ]


def _shown(value: Any) -> str:
    from pydantic import SecretStr

    if isinstance(value, SecretStr):
        return "(set)" if value.get_secret_value() else ""
    return f"{value:g}" if isinstance(value, float) else str(value)
