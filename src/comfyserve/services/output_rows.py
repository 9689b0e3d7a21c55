"""The outputs of a run as rows: what kind each is, and the asset that holds its file."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any

from comfyserve.core.media import MODEL_ENDINGS
from comfyserve.ports import StoredOutput
from comfyserve.services.asset_ids import new_asset_id


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
    if not output.blob_key:
        return "text"
    family = output.mime.partition("/")[0]
    if family in ("image", "video", "audio", "text"):
        return family
    ending = PurePosixPath(output.filename).suffix.lower()
    return "3d" if family == "model" or ending in MODEL_ENDINGS else "file"


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
    if not output.blob_key:
        row = {"filename": "", "subfolder": "", "type": output.type, "mime": "", "size": 0, "sha256": ""}
        return OutputRow(
            _output(run, shown, now) | row | {"asset_id": None, "value": output.value},
            None,
            {**shown, "value": output.value},
        )
    file = {"filename": output.filename, "mime": output.mime, "size": output.size, "sha256": output.sha256}
    asset_id = new_asset_id(output.mime, ids)
    placed = {"subfolder": output.subfolder, "type": output.type, "asset_id": asset_id}
    asset = {
        "id": asset_id,
        "workspace_id": run["workspace_id"],
        "run_id": run["id"],
        "blob_key": output.blob_key,
        "created_at": now,
    }
    return OutputRow(
        _output(run, shown, now) | file | placed | {"value": None}, asset | file, {**shown, **file, **placed}
    )


def _output(run: Mapping[str, Any], shown: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    return {**shown, "run_id": run["id"], "attempt_id": run["attempt_id"], "created_at": now}
