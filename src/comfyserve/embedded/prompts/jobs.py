"""Jobs: the queue and the history in the one shape that current front ends read (spec section 3)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from comfyserve.embedded.prompts.history import History, Record
from comfyserve.embedded.prompts.queue import PromptQueue, QueuedPrompt
from comfyserve.protocol.messages import TERMINAL_EVENTS, Event

Job = dict[str, Any]

PREVIEWABLE_KEYS = frozenset({"images", "video", "audio"})
PREVIEWABLE_FORMATS = ("video/", "audio/")
PREVIEWABLE_ENDINGS = (".obj", ".fbx", ".gltf", ".glb")
NOT_MEDIA = "animated"


class JobStatus(StrEnum):
    """The five states of a job."""

    PENDING = "pending"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class SortBy(StrEnum):
    """What a list of jobs may be ordered by."""

    CREATED_AT = "created_at"
    EXECUTION_DURATION = "execution_duration"


class SortOrder(StrEnum):
    """Which end comes first."""

    ASCENDING = "asc"
    DESCENDING = "desc"


@dataclass(frozen=True, slots=True)
class JobQuery:
    """Which jobs are wished, in what order, which part of them. limit None means all."""

    statuses: frozenset[JobStatus] = frozenset(JobStatus)
    workflow_id: str | None = None
    sort_by: SortBy = SortBy.CREATED_AT
    sort_order: SortOrder = SortOrder.DESCENDING
    limit: int | None = None
    offset: int = 0


def list_jobs(queue: PromptQueue, history: History, query: JobQuery) -> dict[str, Any]:
    """The page of jobs that the query asks for, with its `pagination`."""
    jobs = [job for job in _all_jobs(queue, history) if _fits(job, query)]
    jobs.sort(key=_sort_key(query.sort_by), reverse=query.sort_order is SortOrder.DESCENDING)
    limit = len(jobs) if query.limit is None else query.limit
    page = jobs[query.offset : query.offset + limit]
    more = query.offset + len(page) < len(jobs)
    return {
        "jobs": page,
        "pagination": {"offset": query.offset, "limit": limit, "total": len(jobs), "has_more": more},
    }


def find_job(queue: PromptQueue, history: History, job_id: str) -> Job | None:
    """One job with its outputs and its workflow; None when neither queue nor history has it."""
    for prompt, status in _queued(queue):
        if prompt.prompt_id == job_id:
            row = prompt.row(secrets=False)
            return {**_queued_job(prompt, status), "outputs": {}, "workflow": _workflow(row)}
    record = history.get(job_id).get(job_id)
    if record is None:
        return None
    return {
        **_finished_job(job_id, record),
        "outputs": record["outputs"],
        "execution_status": record["status"],
        "workflow": _workflow(record["prompt"]),
    }


def _all_jobs(queue: PromptQueue, history: History) -> Iterator[Job]:
    # What finishes between the two looks is found in the history only.
    queued = {prompt.prompt_id: _queued_job(prompt, status) for prompt, status in _queued(queue)}
    finished = history.page()
    yield from (job for job_id, job in queued.items() if job_id not in finished)
    yield from (_finished_job(job_id, record) for job_id, record in finished.items())


def _queued(queue: PromptQueue) -> Iterator[tuple[QueuedPrompt, JobStatus]]:
    running, pending = queue.look()
    if running is not None:
        yield running, JobStatus.IN_PROGRESS
    yield from ((prompt, JobStatus.PENDING) for prompt in pending)


def _queued_job(prompt: QueuedPrompt, status: JobStatus) -> Job:
    return _job(prompt.row(secrets=False), status, outputs_count=0)


def _finished_job(job_id: str, record: Record) -> Job:
    messages: list[Any] = record["status"]["messages"]
    told: dict[str, dict[str, Any]] = dict(messages)
    end: dict[str, Any] = next((told[event] for event in TERMINAL_EVENTS if event in told), {})
    count, preview = _summary(record["outputs"])
    return _job(
        [record["prompt"][0], job_id, *record["prompt"][2:]],
        _finished_status(record["status"]["status_str"], told),
        execution_start_time=told.get(Event.EXECUTION_START, {}).get("timestamp"),
        execution_end_time=end.get("timestamp"),
        execution_error=told.get(Event.EXECUTION_ERROR),
        outputs_count=count,
        preview_output=preview,
    )


def _job(row: list[Any], status: JobStatus, **more: Any) -> Job:
    """Keys without a value are left out."""
    number, job_id, _, extra_data, _ = row
    job = {
        "id": job_id,
        "status": status,
        "priority": number,
        "create_time": extra_data.get("create_time"),
        **more,
        "workflow_id": _workflow_id(extra_data),
    }
    return {key: value for key, value in job.items() if value is not None}


def _finished_status(status: str, told: Mapping[str, Any]) -> JobStatus:
    if status != "error":
        return JobStatus.COMPLETED
    return JobStatus.CANCELLED if Event.EXECUTION_INTERRUPTED in told else JobStatus.FAILED


def _workflow_id(extra_data: Mapping[str, Any]) -> str | None:
    found: Any = extra_data
    for key in ("extra_pnginfo", "workflow", "id"):
        found = found.get(key) if isinstance(found, Mapping) else None
    return None if found is None else str(found)


def _workflow(row: list[Any]) -> dict[str, Any]:
    return {"prompt": row[2], "extra_data": row[3]}


def _summary(outputs: Mapping[str, Any]) -> tuple[int, dict[str, Any] | None]:
    """How many output items there are, and the one to show: a saved one rather than a temporary one."""
    items = list(_items(outputs))
    shown = [item for item in items if _is_previewable(item)]
    saved = (item for item in shown if item.get("type") == "output")
    return len(items), next(saved, shown[0] if shown else None)


def _items(outputs: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for node_id, ui in outputs.items():
        for media, values in _media(ui):
            yield from ({**item, "nodeId": node_id, "mediaType": media} for item in values if isinstance(item, dict))


def _media(ui: Any) -> Iterable[tuple[str, list[Any]]]:
    entries = ui.items() if isinstance(ui, Mapping) else ()
    return ((key, values) for key, values in entries if key != NOT_MEDIA and isinstance(values, list))


def _is_previewable(item: Mapping[str, Any]) -> bool:
    return (
        item["mediaType"] in PREVIEWABLE_KEYS
        or str(item.get("format", "")).startswith(PREVIEWABLE_FORMATS)
        or str(item.get("filename", "")).lower().endswith(PREVIEWABLE_ENDINGS)
    )


def _fits(job: Job, query: JobQuery) -> bool:
    return job["status"] in query.statuses and query.workflow_id in (None, job.get("workflow_id"))


def _sort_key(sort_by: SortBy) -> Any:
    if sort_by is SortBy.CREATED_AT:
        return lambda job: job["create_time"]
    return lambda job: job.get("execution_end_time", 0) - job.get("execution_start_time", 0)
