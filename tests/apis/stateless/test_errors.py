"""Errors in the words of comfyui-api: a table."""

from datetime import UTC, datetime
from typing import Any

import pytest

from comfyserve.apis.http.errors import BodyTooLarge, Busy, InvalidRequest, MalformedJson, UnknownRoute, WrongMethod
from comfyserve.apis.stateless.bodies import UnsupportedMediaType
from comfyserve.apis.stateless.errors import Stopping, face, located, run_failure
from comfyserve.core.errors import (
    Conflict,
    DomainError,
    FetchRefused,
    InvalidGraph,
    InvalidInput,
    NotFound,
    Place,
    QueueFull,
    StorageFailed,
    Unauthorized,
)
from comfyserve.core.runs import Status
from comfyserve.services.postings import Snapshot
from comfyserve.services.records import RunView

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SCOPE = {"type": "http", "method": "GET", "path": "/a b", "raw_path": b"/a%20b", "headers": []}
GRAPH = {
    "1": {"class_type": "LoadImage", "inputs": {}},
    "2": {"class_type": "VHS_LoadImagesPath", "inputs": {}},
    "3": {"class_type": "LoadVideo", "inputs": {}},
    "4": {"class_type": "LoadAudio", "inputs": {}},
    "5": {"class_type": "CheckpointLoaderSimple", "inputs": {}},
    "6": {"class_type": "SomethingElse", "inputs": {}},
}


@pytest.mark.parametrize(
    ("error", "status", "body"),
    [
        (UnknownRoute("x"), 404, b'{"message":"Route GET:/a%20b not found","error":"Not Found","statusCode":404}'),
        (WrongMethod("x"), 404, b'{"message":"Route GET:/a%20b not found","error":"Not Found","statusCode":404}'),
        (MalformedJson("Broken"), 400,
         b'{"statusCode":400,"code":"FST_ERR_CTP_INVALID_JSON_BODY","error":"Bad Request","message":"Broken"}'),
        (InvalidRequest("body/prompt Required"), 400,
         b'{"statusCode":400,"code":"FST_ERR_VALIDATION","error":"Bad Request","message":"body/prompt Required"}'),
        (BodyTooLarge("The body is over 5 MB."), 413,
         b'{"statusCode":413,"code":"FST_ERR_CTP_BODY_TOO_LARGE","error":"Payload Too Large",'
         b'"message":"Request body is too large"}'),
        (UnsupportedMediaType("x"), 415,
         b'{"statusCode":415,"code":"FST_ERR_CTP_INVALID_MEDIA_TYPE","error":"Unsupported Media Type",'
         b'"message":"Unsupported Media Type"}'),
        (Conflict("Used."), 409, b'{"statusCode":409,"error":"Conflict","message":"Used."}'),
        (QueueFull("Full.", retry_after=5), 429, b'{"statusCode":429,"error":"Too Many Requests","message":"Full."}'),
        (Busy("Busy."), 503, b'{"statusCode":503,"error":"Service Unavailable","message":"Busy."}'),
        (Stopping("Stops."), 503, b'{"statusCode":503,"error":"Service Unavailable","message":"Stops."}'),
        (NotFound("Unknown id."), 404, b'{"statusCode":404,"error":"Not Found","message":"Unknown id."}'),
        (Unauthorized("Key?"), 401, b'{"statusCode":401,"error":"Unauthorized","message":"Key?"}'),
        (StorageFailed("Full."), 500, b'{"statusCode":500,"error":"Internal Server Error","message":"Full."}'),
        (InvalidInput("No.", place=Place(field="id")), 400, b'{"error":"No.","location":"id"}'),
        (InvalidGraph("No."), 400, b'{"error":"No.","location":"prompt"}'),
        (InvalidGraph("No.", place=Place("4", "class_type")), 400, b'{"error":"No.","location":"prompt.4.class_type"}'),
        (FetchRefused("No.", place=Place("4", "x[2]")), 400, b'{"error":"No.","location":"prompt.4.inputs.x"}'),
    ],
)  # fmt: skip
def test_faces(error: DomainError, status: int, body: bytes) -> None:
    answer = face(error, SCOPE)
    assert (answer.status_code, bytes(answer.body)) == (status, body)
    assert answer.headers["content-type"] == "application/json; charset=utf-8"


def test_a_full_queue_says_when_to_come_again() -> None:
    assert face(QueueFull("Full.", retry_after=5), SCOPE).headers["retry-after"] == "5"


@pytest.mark.parametrize(
    ("node", "field", "sentence", "location"),
    [
        ("1", "image", "Failed to download image for node 1: no", "prompt.1.inputs.image"),
        ("2", "directory[3]", "Failed to download images for node 2: no", "prompt.2.inputs.directory"),
        ("3", "video", "Failed to download video for node 3: no", "prompt.3.inputs.video"),
        ("3", "file", "Failed to download video for node 3: no", "prompt.3.inputs.file"),
        ("4", "audio", "Failed to download audio for node 4: no", "prompt.4.inputs.audio"),
        ("5", "ckpt_name", "Failed to process model for node 5: no", "prompt.5.inputs"),
        ("6", "image", "Failed to download image for node 6: no", "prompt.6.inputs.image"),
        ("6", "text", "no", "prompt.6.inputs.text"),
    ],
)
def test_files_of_nodes(node: str, field: str, sentence: str, location: str) -> None:
    error = located("no", Place(node, field), "fetch_failed", GRAPH)
    assert (error.message, error.details["location"]) == (sentence, location)


def told(status: Status, error: dict[str, Any] | None) -> Snapshot:
    run = RunView("r", "w", "k", status, "m", "stateless", "api", {}, 0, 1, 3, NOW, NOW, error=error)
    return Snapshot(run, [], GRAPH, {})


@pytest.mark.parametrize(
    ("status", "error", "code", "holds"),
    [
        (Status.CANCELLED, None, 500, {"message": "Prompt execution interrupted"}),
        (Status.FAILED,
         {"code": "engine_error", "message": "Refused.", "details": {"status": 400, "node_errors": {"1": {}}}},
         400, {"error": "Refused.", "location": "prompt", "node_errors": {"1": {}}}),
        (Status.FAILED,
         {"code": "engine_error", "message": "Node 1 failed: out of paint", "place": {"node_id": "1"},
          "details": {"exception_type": "ValueError", "class_type": "LoadImage"}},
         500, {"message": "Node 1 failed: out of paint", "node_id": "1", "class_type": "LoadImage",
               "exception_type": "ValueError", "error": "Internal Server Error", "statusCode": 500}),
        (Status.FAILED,
         {"code": "fetch_failed", "message": "404", "place": {"node_id": "1", "field": "image"}},
         400, {"error": "Failed to download image for node 1: 404", "location": "prompt.1.inputs.image"}),
        (Status.FAILED, {"code": "too_large", "message": "Big", "place": {"node_id": "5", "field": "ckpt_name"}},
         400, {"error": "Failed to process model for node 5: Big", "location": "prompt.5.inputs"}),
        (Status.FAILED, {"code": "target_failed", "message": "403", "place": {"field": "target"}},
         500, {"message": "403"}),
        (Status.FAILED, {"code": "engine_lost", "message": "Gone."}, 500, {"message": "Gone."}),
        (Status.TIMEOUT, {"code": "run_timeout", "message": "Too long."}, 500, {"message": "Too long."}),
        (Status.FAILED, None, 500, {"message": "The run failed."}),
    ],
)  # fmt: skip
def test_runs_that_did_not_succeed(
    status: Status, error: dict[str, Any] | None, code: int, holds: dict[str, Any]
) -> None:
    answered, body = run_failure(told(status, error))
    assert answered == code
    assert body.items() >= holds.items()
