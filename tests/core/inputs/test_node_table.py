"""The table that travels with the node package is the one that the core has."""

import json
from pathlib import Path

from comfyserve.core.inputs import EXTERNALS
from comfyserve.core.inputs.externals import INPUT_ID, MEDIA
from comfyserve.core.inputs.node_table import node_table
from comfyserve.core.media import FIELDS

TABLE = Path(__file__).parents[3] / "comfy_nodes" / "_table.json"


def test_the_committed_table_is_up_to_date() -> None:
    assert TABLE.read_text(encoding="utf-8") == node_table(), "run script/generate-nodes"


def test_the_widgets_stand_in_the_documented_order() -> None:
    seed = json.loads(node_table())["classes"]["ComfyUIDeployExternalSeed"]["inputs"]
    assert list(seed["required"]) == ["input_id", "default_value", "min_value", "max_value"]
    assert list(seed["optional"]) == ["display_name", "description"]


def test_every_field_that_a_class_names_exists() -> None:
    for external in EXTERNALS.values():
        named = {external.default, external.minimum, external.maximum, external.options, external.combo}
        for name in {INPUT_ID, *external.receives, *external.fallbacks, *(named - {""})}:
            assert external.field(name), f"{external.node.class_type}.{name}"


def test_staging_finds_the_file_of_every_external_that_takes_one() -> None:
    for class_type, external in EXTERNALS.items():
        if external.kind in MEDIA and not external.realtime:
            kind, fields, *_ = FIELDS[class_type]
            assert set(fields) & {INPUT_ID, *external.receives}
            assert kind.value == external.kind.value
