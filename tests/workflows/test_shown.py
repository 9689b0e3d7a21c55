"""What debug logs show of inputs and graphs."""

import logging
from pathlib import Path

import pytest

from comfyserve.workflows import load_workflows
from comfyserve.workflows.shown import shown
from tests.workflows.folders import Engine, fill, found


def test_secrets_are_hidden_and_long_texts_cut() -> None:
    told = shown(
        {
            "prompt": "a cat",
            "hf_token": "hush1",
            "nested": [{"Password": "hush2", "image": "https://me:hush3@host/a.png?sig=hush4&x=1#top"}],
            "data": "A" * 5000,
        }
    )
    assert "hush" not in told
    assert "a cat" in told
    assert "https://***@host/a.png?***" in told
    assert len(told) < 600


async def test_the_input_and_the_graph_stand_in_the_debug_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    fill(tmp_path, {"a.json": '{"1": {"class_type": "Text", "inputs": {"text": "x"}}}'})
    with caplog.at_level(logging.DEBUG, "comfyserve.workflows"):
        workflow = found(await load_workflows(tmp_path, Engine().context()), "a")
        await workflow.graph(await workflow.read({"1.text": "a dog"}))
    assert "workflow /workflow/a loaded from a.json" in caplog.text
    assert 'workflow a: input {"1.text": "a dog"}' in caplog.text
    assert '"class_type": "Text"' in caplog.text
