"""What /object_info says of the model-free nodes is pinned: a changed type, bound, default or order shows as a diff."""

import json
from contextvars import Context
from pathlib import Path
from typing import Any

import pytest

from comfyserve.embedded.catalogue import Catalogue
from comfyserve.embedded.nodes import NODE_CLASS_MAPPINGS, NODE_DISPLAY_NAME_MAPPINGS, models

PINNED = [json.loads(line) for line in (Path(__file__).parent / "published.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("expected", PINNED, ids=lambda info: info["name"])
def test_a_node_is_published_as_before(expected: dict[str, Any]) -> None:
    catalogue = Catalogue()
    catalogue.add(NODE_CLASS_MAPPINGS, NODE_DISPLAY_NAME_MAPPINGS)
    published = Context().run(catalogue.info, expected["name"])
    # Compared as text, so that the order of inputs and choices counts.
    assert json.dumps(published) == json.dumps(expected)


def test_every_model_free_node_is_pinned() -> None:
    assert {info["name"] for info in PINNED} == NODE_CLASS_MAPPINGS.keys() - models.family.classes.keys()
