"""The node catalogue of the small workflows in `fixtures/`."""

import json
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def catalogue() -> Any:
    """What an engine with a handful of made-up classes answers at `/object_info`."""
    return json.loads((HERE / "catalogue.json").read_text())
