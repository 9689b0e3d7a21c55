"""Rows become views."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import Any

from comfyserve.core.runs import FactKind, Status
from comfyserve.services.records import AssetView, EventView, KeyView, OutputView, RunView, WebhookWish

AssetUrl = Callable[[str, str], str]
"""Asset id, file name -> signed URL."""


def _names(view: type[Any]) -> frozenset[str]:
    return frozenset(field.name for field in fields(view))


READ_APART = frozenset({"status", "outputs", "queue_position", "replayed", "convert_output", "target", "webhooks"})
RUN_FIELDS = _names(RunView) - READ_APART
OUTPUT_FIELDS = _names(OutputView) - {"url"}
ASSET_FIELDS = _names(AssetView) - {"url"}
KEY_FIELDS = _names(KeyView)


def run_view(
    row: Mapping[str, Any],
    *,
    outputs: Sequence[OutputView] = (),
) -> RunView:
    """A run, with what was read beside it."""
    return RunView(
        status=Status(row["status"]),
        outputs=outputs,
        webhooks=tuple(WebhookWish(wish["url"], wish["format"], wish["on"]) for wish in row["webhooks"] or ()),
        **{name: row[name] for name in RUN_FIELDS},
        **(row["options"] or {}),
    )


def output_view(row: Mapping[str, Any], url: AssetUrl) -> OutputView:
    """An output, with the URL of its file: signed by us, or in the caller's target when only that has it."""
    link = url(row["asset_id"], row["filename"]) if row["asset_id"] else row["target_url"]
    return OutputView(url=link, **{name: row[name] for name in OUTPUT_FIELDS})


def event_view(row: Mapping[str, Any], url: AssetUrl) -> EventView:
    """An event; that of an output gets the URL of its file."""
    data = row["data"]
    if row["kind"] == FactKind.OUTPUT and (data.get("asset_id") or data.get("target_url")):
        link = url(data["asset_id"], data["filename"]) if data.get("asset_id") else data["target_url"]
        data = {**data, "url": link}
    return EventView(row["seq"], row["kind"], row["at"], row["attempt_id"], Status(row["status"]), data)


def asset_view(row: Mapping[str, Any], url: AssetUrl) -> AssetView:
    """An asset, with its URL."""
    return AssetView(url=url(row["id"], row["filename"]), **{name: row[name] for name in ASSET_FIELDS})


def key_view(row: Mapping[str, Any]) -> KeyView:
    """A key without its secret."""
    return KeyView(**{name: row[name] for name in KEY_FIELDS})
