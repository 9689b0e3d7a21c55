"""The outputs of a run as rows: what kind each is, and where its file is: in an asset, or in the caller's target."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any

from comfyserve.core.media import MODEL_ENDINGS
from comfyserve.ports import StoredOutput
from comfyserve.services.asset_ids import new_asset_id

NO_FILE: Mapping[str, Any] = {
    "filename": "",
    "subfolder": "",
    "mime": "",
    "size": 0,
    "sha256": "",
    "asset_id": None,
    "target_url": None,
}
"""The columns of an output that is a value."""


@dataclass(frozen=True)
class OutputRow:
    """The rows of one output, and what its event shows."""

    output: Mapping[str, Any]
    asset: Mapping[str, Any] | None
    event: Mapping[str, Any]


def output_rows(
    run: Mapping[str, Any], outputs: Sequence[StoredOutput], ids: Callable[[], str], now: datetime
) -> list[OutputRow]:
    """Rows for the outputs of a run's present attempt."""
    return [_rows(run, _storable(output), ids, now) for output in outputs]


def output_kind(output: StoredOutput) -> str:
    """image, video, audio, text, 3d or file."""
    if not _is_file(output):
        return "text"
    family = output.mime.partition("/")[0]
    if family in ("image", "video", "audio", "text"):
        return family
    ending = PurePosixPath(output.filename).suffix.lower()
    return "3d" if family == "model" or ending in MODEL_ENDINGS else "file"


def _is_file(output: StoredOutput) -> bool:
    return bool(output.blob_key or output.url)


def _storable(output: StoredOutput) -> StoredOutput:
    """The output without halves of characters: its texts are an engine's, and no column or answer could hold them."""
    texts: dict[str, Any] = {
        name: value.encode(errors="replace").decode() for name, value in vars(output).items() if isinstance(value, str)
    }
    return replace(output, **texts)


def _rows(run: Mapping[str, Any], output: StoredOutput, ids: Callable[[], str], now: datetime) -> OutputRow:
    shown = {
        "id": ids(),
        "node_id": output.node_id,
        "class_type": output.class_type,
        "key": output.key,
        "index": output.index,
        "kind": output_kind(output),
    }
    row = {**_output(run, shown, now), **NO_FILE}
    if not _is_file(output):
        value = {"value": output.value}
        return OutputRow(row | {"type": output.type} | value, None, shown | value)
    file = {"filename": output.filename, "mime": output.mime, "size": output.size, "sha256": output.sha256}
    asset = _asset(run, output, ids, now) | file if output.blob_key else None
    placed = {"subfolder": output.subfolder, "type": output.type}
    placed |= {"asset_id": asset["id"]} if asset else {}
    placed |= {"target_url": output.url} if output.url else {}
    return OutputRow(row | file | placed | {"value": None}, asset, shown | file | placed)


def _asset(run: Mapping[str, Any], output: StoredOutput, ids: Callable[[], str], now: datetime) -> dict[str, Any]:
    return {
        "id": new_asset_id(output.mime, ids),
        "workspace_id": run["workspace_id"],
        "run_id": run["id"],
        "blob_key": output.blob_key,
        "created_at": now,
    }


def _output(run: Mapping[str, Any], shown: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    return {**shown, "run_id": run["id"], "attempt_id": run["attempt_id"], "created_at": now}
