"""An engine with all built-in nodes and the well-known model names."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from comfyserve.embedded.folders import Folders
from comfyserve.embedded.packs import load_catalogue
from comfyserve.embedded.simulate.model_files import well_known
from tests.embedded.conftest import Seat, serve


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    made = Folders(tmp_path, well_known())
    made.create()
    return made


@pytest.fixture
async def engine(folders: Folders) -> AsyncIterator[Seat]:
    catalogue = load_catalogue(folders)
    async with serve(folders, nodes={name: catalogue[name].node_class for name in catalogue}) as seat:
        yield seat
