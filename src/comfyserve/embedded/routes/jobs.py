"""Jobs, for front ends that no longer read queue and history (spec section 3)."""

from __future__ import annotations

from enum import StrEnum
from typing import TypeVar

from aiohttp import web

from comfyserve.embedded.engine import ENGINE
from comfyserve.embedded.prompts.jobs import JobQuery, JobStatus, SortBy, SortOrder, find_job, list_jobs
from comfyserve.embedded.routes.bodies import id_list, json_answer, large_answer, read_object
from comfyserve.protocol import routes

Choice = TypeVar("Choice", bound=StrEnum)


async def get_jobs(request: web.Request) -> web.Response:
    """A page of the jobs; 400 with a sentence when the query is wrong."""
    engine = request.app[ENGINE]
    try:
        query = _query(request)
    except ValueError as error:
        return json_answer({"error": str(error)}, status=400)
    return await large_answer(list_jobs(engine.queue, engine.history, query))


async def get_job(request: web.Request) -> web.Response:
    """One job with its outputs and workflow."""
    engine = request.app[ENGINE]
    job = find_job(engine.queue, engine.history, request.match_info["job_id"])
    return json_answer({"error": "Job not found"}, status=404) if job is None else json_answer(job)


async def cancel_jobs(request: web.Request) -> web.Response:
    """Cancel the given jobs, waiting or running; the answer has the ids that were."""
    wish = await read_object(request)
    return _cancel(request, id_list(wish.get("job_ids")))


async def cancel_job(request: web.Request) -> web.Response:
    """Cancel one job. One that has ended stays as it is; 404 for one that was never there."""
    engine, job_id = request.app[ENGINE], request.match_info["job_id"]
    if find_job(engine.queue, engine.history, job_id) is None:
        return json_answer({"error": "Job not found"}, status=404)
    return _cancel(request, [job_id])


def _cancel(request: web.Request, job_ids: list[str]) -> web.Response:
    engine = request.app[ENGINE]
    cancelled = [job_id for job_id in dict.fromkeys(job_ids) if engine.queue.cancel(job_id)]
    if cancelled:
        engine.worker.announce_status()
    return json_answer({"cancelled": cancelled})


def _query(request: web.Request) -> JobQuery:
    query = request.query
    return JobQuery(
        _statuses(query.get("status", "")),
        query.get("workflow_id") or None,
        _choice(SortBy, "sort_by", query.get("sort_by", SortBy.CREATED_AT)),
        _choice(SortOrder, "sort_order", query.get("sort_order", SortOrder.DESCENDING)),
        _limit(query.get("limit")),
        max(0, _whole("offset", query.get("offset", "0"))),
    )


def _statuses(text: str) -> frozenset[JobStatus]:
    words = [word.strip() for word in text.split(",") if word.strip()]
    return frozenset(_choice(JobStatus, "status", word) for word in words) if words else frozenset(JobStatus)


def _limit(text: str | None) -> int | None:
    if text is None:
        return None
    limit = _whole("limit", text)
    if limit <= 0:
        raise ValueError("limit must be a positive integer")
    return limit


def _whole(name: str, text: str) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise ValueError(f"{name} must be an integer") from error


def _choice(kind: type[Choice], name: str, text: str) -> Choice:
    try:
        return kind(text.lower())
    except ValueError as error:
        raise ValueError(f"{name} must be one of: {', '.join(kind)}") from error


ROUTES = (
    ("GET", routes.JOBS, get_jobs),
    ("POST", routes.JOBS_CANCEL, cancel_jobs),
    ("GET", routes.JOBS_ONE, get_job),
    ("POST", routes.JOBS_CANCEL_ONE, cancel_job),
)
"""Under the prefix only."""
