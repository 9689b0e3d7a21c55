"""`comfyserve settings`: every setting, its value here, its default, and what it does."""

from typing import Any

from comfyserve.cli.console import JsonFlag, print_json, print_table


def settings(json: JsonFlag = False) -> None:
    """List every setting with its value and what it does.

    A changed value is marked with a star, and with the variable of comfyui-api
    that it comes from. Secrets are not shown. --json adds the defaults.
    """
    rows = _rows()
    if json:
        print_json(rows)
        return
    shown = [(row["name"], f"{row['value']}{_mark(row)}", row["help"]) for row in rows]
    print_table(("SETTING", "VALUE", "WHAT IT DOES"), shown)


def _mark(row: dict[str, Any]) -> str:
    if row["from"]:
        return f" * (from {row['from']})"
    return " *" if row["changed"] else ""


def _rows() -> list[dict[str, Any]]:
    from comfyserve.settings import PREFIX, Settings, borrowed, read_settings

    now = read_settings()
    taken = borrowed(now)
    return [
        {
            "name": f"{PREFIX}{name.upper()}",
            "value": _shown(getattr(now, name)),
            "default": _shown(field.get_default()),
            "changed": name in now.model_fields_set,
            "help": field.description or "",
            "from": taken.get(name, ""),
        }
        for name, field in Settings.model_fields.items()
    ]


def _shown(value: Any) -> str:
    from pydantic import SecretStr

    from comfyserve.settings import without_logins

    if isinstance(value, SecretStr):
        return "(set)" if value.get_secret_value() else ""
    return f"{value:g}" if isinstance(value, float) else without_logins(str(value))
