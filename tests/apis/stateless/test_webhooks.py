"""The webhooks of this dialect, as a receiver gets them."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import pytest
import standardwebhooks
import svix

from comfyserve.apis.stateless.webhooks import RENDERERS
from comfyserve.core.runs import Fact, FactKind
from comfyserve.core.signing import read_key
from comfyserve.ports import ByteStream, Claim, StoredOutput
from comfyserve.services.deliver import Deliver
from comfyserve.services.sealing import Sealing
from comfyserve.testing import StepClock
from tests.apis.stateless.desk import HOOK, Desk
from tests.apis.stateless.working import picture_graph
from tests.services.bundle import PNG, pieces
from tests.services.bundle import SECRET as OWN_SECRET

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OLD = "https://receiver.example/old"


@dataclass
class Receiver:
    """A Sender that keeps what arrives; `answers` are given one after the other, then 200."""

    answers: list[int] = field(default_factory=list)
    calls: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    largest: int = 0

    async def post(self, url: str, content: ByteStream, headers: Mapping[str, str], *, length: int) -> int:
        """Take a call."""
        body = bytearray()
        async for piece in content:
            self.largest = max(self.largest, len(piece))
            body += piece
        assert len(body) == length
        self.calls.append((url, dict(headers), bytes(body)))
        return self.answers.pop(0) if self.answers else 200

    def bodies(self) -> list[dict[str, Any]]:
        """What was said."""
        return [json.loads(body) for _, _, body in self.calls]


async def delivered(desk: Desk, receiver: Receiver | None = None, clock: StepClock | None = None) -> Receiver:
    """Send what is owed now."""
    receiver = receiver or Receiver()
    bundle = desk.bundle
    deliver = Deliver(
        bundle.db,
        receiver,
        render=RENDERERS,
        clock=clock or bundle.clock,
        bell=bundle.bell,
        files=bundle.files,
        key=read_key(SECRET),
        sealing=Sealing(OWN_SECRET),
    )
    while await deliver.start_due():
        await deliver.settled()
    return receiver


async def finish(desk: Desk, claim: Claim, contents: Mapping[str, bytes], **place: Any) -> None:
    """A success with these files."""
    outputs = []
    for index, (name, content) in enumerate(contents.items()):
        blob = await desk.bundle.blobs.put(f"runs/{claim.run.id}/{name}", pieces(content))
        made = StoredOutput("9", "SaveImage", "images", index, name, "", "output", blob.key, "image/png", blob.size)
        outputs.append(replace(made, sha256=blob.sha256, **place))
    kinds = (FactKind.STARTED, FactKind.EXECUTED, FactKind.SUCCEEDED)
    await desk.bundle.record.apply(claim.run.id, claim.lease.token, [Fact(kind) for kind in kinds], outputs)


async def test_a_success_is_told_with_all_of_the_answer(desk: Desk) -> None:
    desk.set(public_links=True)
    await desk.done("mine")
    receiver = await delivered(desk)
    ((url, headers, body),) = receiver.calls
    told = json.loads(body)
    assert url == HOOK
    assert headers["Content-Type"] == "application/json"
    assert list(told)[:4] == ["type", "timestamp", "prompt", "id"]
    assert (told.pop("type"), told.pop("timestamp")) == ("prompt.complete", "2026-01-01T00:00:00.000Z")
    assert told == await desk.json("GET", "/prompt/mine/result")
    assert told["webhook_v2"] == HOOK
    assert [base64.b64decode(image) for image in told["images"]] == [PNG]


@pytest.mark.parametrize("request_id", ["mine", "ünï/côdé", "a.b"])
async def test_receivers_of_two_libraries_take_the_signature(desk: Desk, request_id: str) -> None:
    desk.bundle.clock.step((datetime.now(UTC) - desk.bundle.clock()).total_seconds())
    await desk.done(request_id)
    ((_, headers, body),) = (await delivered(desk)).calls
    for verifier in (standardwebhooks.Webhook(SECRET), svix.Webhook(SECRET)):
        verifier.verify(body, headers)
        with pytest.raises(Exception, match="No matching signature found"):
            verifier.verify(body + b" ", headers)
    assert json.loads(body)["id"] == request_id
    if request_id.isascii():
        assert headers["webhook-id"] == request_id


async def test_a_failure_is_told_with_the_real_error(desk: Desk) -> None:
    await desk.failed("mine")
    (told,) = (await delivered(desk)).bodies()
    assert list(told) == ["type", "timestamp", "id", "prompt", "error"]
    assert (told["type"], told["id"], told["error"]) == ("prompt.failed", "mine", "out of paint")
    assert told["prompt"]["9"]["inputs"]["filename_prefix"] == "mine_ComfyUI"


async def test_a_cancelled_prompt_is_told_as_failed(desk: Desk) -> None:
    await desk.send("mine")
    await desk.json("POST", "/interrupt", json={"id": "mine"})
    (told,) = (await delivered(desk)).bodies()
    assert (told["type"], told["error"]) == ("prompt.failed", "Prompt execution interrupted")


async def test_the_text_is_as_javascript_writes_it(desk: Desk) -> None:
    graph = picture_graph() | {"b": {"class_type": "Note", "inputs": {"text": "höher", "cfg": 8.0, "x": 0.5}}}
    body = {"prompt": {key: graph[key] for key in ("b", "9", "1")}, "id": "mine", "webhook_v2": HOOK}
    assert (await desk.client.post("/prompt", json=body)).status_code == 202
    await desk.finish(await desk.next_claim())
    ((_, _, sent),) = (await delivered(desk)).calls
    told = json.loads(sent)
    assert json.dumps(told, separators=(",", ":"), ensure_ascii=False).encode() == sent
    assert list(told["prompt"]) == ["1", "9", "b"]
    assert '"höher"'.encode() in sent
    assert b'"cfg":8,' in sent


async def test_each_try_tells_the_same_under_a_fresh_signature(desk: Desk) -> None:
    desk.bundle.clock.step(60)
    await desk.done("mine")
    receiver = await delivered(desk, Receiver(answers=[500]))
    desk.bundle.clock.step(60)
    await delivered(desk, receiver)
    (_, first, body), (_, second, again) = receiver.calls
    assert body == again
    assert first["webhook-id"] == second["webhook-id"] == "mine"
    assert first["webhook-signature"] != second["webhook-signature"]


async def test_what_went_to_a_target_is_told_by_its_address(desk: Desk) -> None:
    await desk.send("mine", http_upload={"url_prefix": "https://bucket.example/in"})
    address = "https://bucket.example/in/x.png"
    await finish(desk, await desk.next_claim(), {"x.png": PNG}, blob_key="", url=address)
    (told,) = (await delivered(desk)).bodies()
    assert (told["images"], told["filenames"]) == ([address], ["x.png"])
    assert "upload_time" in told["stats"]


async def test_large_files_pass_in_pieces(desk: Desk) -> None:
    content = bytes(range(256)) * 4 * 4096
    await desk.send("mine")
    await finish(desk, await desk.next_claim(), {"a.png": content, "b.png": content[:-1]})
    receiver = await delivered(desk)
    (told,) = receiver.bodies()
    assert [base64.b64decode(image) for image in told["images"]] == [content, content[:-1]]
    assert receiver.largest < 1024**2


async def test_no_secret_is_told(desk: Desk) -> None:
    secret = {"type": "bearer", "token": "hf_very-secret"}
    wish = {"credentials": [{"url_pattern": "https://a/**", "auth": secret}], "webhook": OLD}
    await desk.done("mine", **wish)
    await desk.failed("other", **wish)
    receiver = await delivered(desk)
    assert len(receiver.calls) == 4
    assert not [body for _, _, body in receiver.calls if b"very-secret" in body]
    (complete,) = [body for body in receiver.bodies() if body.get("type") == "prompt.complete"]
    assert complete["credentials"] == [{"url_pattern": "https://a/**", "auth": {"type": "bearer"}}]


async def test_the_old_form_is_one_call_per_output(desk: Desk) -> None:
    await desk.send("mine", webhook=OLD, webhook_v2=None)
    await finish(desk, await desk.next_claim(), {"a.png": PNG, "b.png": PNG + b"2"})
    receiver = await delivered(desk)
    assert [url for url, _, _ in receiver.calls] == [OLD, OLD]
    for told, name, content in zip(receiver.bodies(), ("a.png", "b.png"), (PNG, PNG + b"2"), strict=True):
        assert list(told) == ["event", "image", "id", "filename", "prompt", "stats"]
        assert (told["event"], told["id"], told["filename"]) == ("output.complete", "mine", name)
        assert base64.b64decode(told["image"]) == content
        assert {"comfy_execution", "preprocess_time"} <= told["stats"].keys()
        assert not {"upload_time", "total_time"} & told["stats"].keys()
    assert not [headers for _, headers, _ in receiver.calls if "webhook-signature" in headers]


async def test_the_old_form_of_a_failure(desk: Desk) -> None:
    await desk.failed("mine", webhook=OLD, webhook_v2=None)
    ((_, headers, body),) = (await delivered(desk)).calls
    told = json.loads(body)
    assert list(told) == ["event", "id", "prompt", "error"]
    assert (told["event"], told["error"]) == ("prompt.failed", "out of paint")
    assert "webhook-signature" not in headers


async def test_a_prompt_without_an_id_is_told_by_the_one_it_got(desk: Desk) -> None:
    answer = await desk.client.post("/prompt", json={"prompt": picture_graph(), "webhook_v2": HOOK})
    await desk.finish(await desk.next_claim())
    ((_, headers, body),) = (await delivered(desk)).calls
    assert json.loads(body)["id"] == answer.json()["id"] == headers["webhook-id"]
