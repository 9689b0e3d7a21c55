"""POST /prompt over a real worker and a real engine."""

import base64
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.apis.stateless.working import Solo, picture_graph, solo

PNG = b"\x89PNG\r\n\x1a\n"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Solo]:
    async with solo(tmp_path_factory.mktemp("solo")) as made:
        yield made


pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_graph_is_answered_with_its_pictures(shared: Solo) -> None:
    answer = await shared.prompt(picture_graph(count=2), id="first")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    assert int(answer.headers["content-length"]) == len(answer.content)
    body = answer.json()
    assert [base64.b64decode(image, validate=True)[:8] for image in body["images"]] == [PNG, PNG]
    assert body["filenames"] == ["first_ComfyUI_00001_.png", "first_ComfyUI_00002_.png"]
    assert body["prompt"]["9"]["inputs"]["filename_prefix"] == "first_ComfyUI"
