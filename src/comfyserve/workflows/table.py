"""The Markdown table of a workflow's inputs (stateless-comfyui-api.md 6.1)."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

HEAD = "| Field | Type | Description | Default |\n|-|-|-|-|\n"
REQUIRED, RANDOM, NONE = "**Required**", "random", "-"
MAX_SHOWN = 2_000


@dataclass(frozen=True)
class Row:
    """One input: `default` is a text as it stands in the table."""

    name: str
    type: str
    description: str
    default: str


def markdown(rows: Iterable[Row]) -> str:
    """The table; text that would break a row is escaped."""
    return HEAD + "".join(
        f"| {_cell(row.name)} | {_cell(row.type)} | {_cell(row.description)} | {_cell(row.default)} |\n" for row in rows
    )


def rows_of(schema: Mapping[str, Any], factories: Mapping[str, Callable[[], Any]]) -> list[Row]:
    """The rows of a JSON Schema; `factories` make the defaults that the schema cannot hold."""
    definitions = schema.get("$defs", {})
    required = frozenset(schema.get("required", ()))
    return [
        Row(
            name,
            type_words(field, definitions),
            str(_description(field, definitions)),
            REQUIRED if name in required else default_words(field, factories.get(name)),
        )
        for name, field in schema.get("properties", {}).items()
    ]


def default_words(field: Mapping[str, Any], factory: Callable[[], Any] | None = None) -> str:
    """A default as JSON; `random` for one that is another each time."""
    if factory is not None:
        first, second = factory(), factory()
        return _json(first) if first == second else RANDOM
    value = field.get("default")
    return NONE if value is None else _json(value)


def type_words(field: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    """The type of a field in words."""
    field = _resolved(field, definitions)
    if "const" in field:
        return f"literal ({_json(field['const'])})"
    if "enum" in field:
        return f"enum ({', '.join(f'`{value}`' for value in field['enum'])})"
    members = [one for one in field.get("anyOf") or field.get("oneOf") or () if one.get("type") != "null"]
    if members:
        return ", ".join(dict.fromkeys(type_words(one, definitions) for one in members))
    kind = field.get("type", "any")
    if kind == "array":
        return f"{type_words(field.get('items') or {}, definitions)}[]"
    return "number" if kind == "integer" else str(kind)


def _description(field: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    return field.get("description") or (
        "" if "$ref" not in field else _resolved(field, definitions).get("description", "")
    )


def _resolved(field: Mapping[str, Any], definitions: Mapping[str, Any]) -> Mapping[str, Any]:
    if "allOf" in field and len(field["allOf"]) == 1:
        field = field["allOf"][0]
    found: Mapping[str, Any] = definitions.get(str(field.get("$ref", "")).rpartition("/")[2], field)
    return found


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)


def _cell(text: str) -> str:
    shown = " ".join(text.replace("|", "\\|").split())
    return shown if len(shown) <= MAX_SHOWN else f"{shown[:MAX_SHOWN]}..."
