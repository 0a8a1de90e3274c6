"""Jobs are asked after; how far they are, and their results, go out."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from pydantic import Field
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse

from service.answers import WHOLE
from service.job import Job
from service.jobs import Jobs
from service.parts import Parts, parts_of
from service.problems import PROBLEM_TYPE, Problem, busy
from service.schemas import Envelope, JobAnswer, JobList, StrictQuery

router = APIRouter(tags=["jobs"])

EVENTS = "text/event-stream"
LOOK_S = 0.2  # from one look at a job whose events are sent to the next
BEAT_S = 15.0  # a proxy takes a stream that is silent for longer for dead

JobId = Annotated[str, Path(description="As POST /v1/detect named it.")]
STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "An event `job` with the job as it is, and again whenever it changed, until "
        "it has ended.",
        "content": {EVENTS: {"schema": {"type": "string"}}},
    }
}


class JobsQuery(StrictQuery):
    """How many jobs."""

    limit: int = Field(100, ge=1, le=1000, description="Most jobs listed.")


@router.get("/v1/jobs")
async def list_jobs(request: Request, query: Annotated[JobsQuery, Query()]) -> JobList:
    """List jobs, newest first; those that ended long ago are gone, with their results."""
    jobs = parts_of(request).jobs
    return JobList(jobs=[_answer(jobs, job) for job in await jobs.newest(query.limit)])


@router.get("/v1/jobs/{job_id}")
async def get_job(request: Request, job_id: JobId) -> JobAnswer:
    """Say how far a job is."""
    jobs = parts_of(request).jobs
    return _answer(jobs, await jobs.get(job_id))


@router.delete("/v1/jobs/{job_id}")
async def cancel_job(request: Request, job_id: JobId) -> JobAnswer:
    """Cancel a job; one that has ended stays as it is, and so does its result."""
    jobs = parts_of(request).jobs
    return _answer(jobs, await jobs.cancel(job_id))


@router.get("/v1/jobs/{job_id}/events", response_class=StreamingResponse, responses=STREAM)
async def job_events(request: Request, job_id: JobId) -> Response:
    """Follow a job (server-sent events), until it has ended."""
    parts = parts_of(request)
    job = await parts.jobs.get(job_id)
    return StreamingResponse(_events(parts, job), media_type=EVENTS)


@router.head("/v1/jobs/{job_id}/result", include_in_schema=False)
@router.get(
    "/v1/jobs/{job_id}/result", response_class=Response, responses={200: {"model": Envelope}}
)
async def job_result(request: Request, job_id: JobId) -> Response:
    """Give the envelope that a job came to, or the problem that it failed with."""
    jobs = parts_of(request).jobs
    job = await jobs.get(job_id)
    if job.state == "cancelled":
        raise Problem(410, "job-cancelled", "the job was cancelled and has no result")
    if job.problem is not None:
        request.scope["state"]["problem"] = str(job.problem["type"]).rpartition(":")[2]
        return JSONResponse(job.problem, job.problem["status"], media_type=PROBLEM_TYPE)
    if job.state != "succeeded":
        raise busy(409, "job-not-done", f"the job is {job.state}; there is no result yet")
    return FileResponse(jobs.result(job), media_type=WHOLE)


def accepted(jobs: Jobs, job: Job) -> Response:
    """Give the 202 that names a job."""
    headers = {"Location": f"/v1/jobs/{job.id}", "Preference-Applied": "respond-async"}
    return JSONResponse(_answer(jobs, job).model_dump(), 202, headers)


async def _events(parts: Parts, job: Job) -> AsyncGenerator[bytes, None]:
    said, silent_s = "", 0.0
    while True:
        text = _answer(parts.jobs, job).model_dump_json()
        silent_s += LOOK_S
        if text != said:
            said, silent_s = text, 0.0
            yield f"event: job\ndata: {text}\n\n".encode()
        elif silent_s >= BEAT_S:
            silent_s = 0.0
            yield b": still here\n\n"
        if job.has_ended or parts.drain.is_on:
            return
        await asyncio.sleep(LOOK_S)
        job = await parts.jobs.get(job.id)


def _answer(jobs: Jobs, job: Job) -> JobAnswer:
    return JobAnswer(
        id=job.id,
        state=job.state,
        progress=round(jobs.progress(job), 4),
        created=job.created,
        started=job.started,
        finished=job.finished,
        attempts=job.attempts,
        request_id=job.order.request_id,
        problem=job.problem,
    )
