"""A clip and a question come in; detections go out: the main door."""

import contextlib
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request
from pydantic import ValidationError
from starlette.responses import Response

from service.answers import (
    LINES,
    WHOLE,
    HoldingResponse,
    choose_media,
    read_document,
    watched,
    write_document,
    write_lines,
)
from service.clips import Clip, hidden_folders
from service.engines import ModelNote, Step, Task, choose_model
from service.intake import Received
from service.job import JobOrder
from service.jobs import sha256_of
from service.parts import Parts, parts_of
from service.problems import invalid
from service.recordings import open_clip
from service.routes.jobs import accepted
from service.schemas import ClipReference, DetectQuery, Envelope, JobAnswer, clip_body
from service.threads import in_thread
from service.uploads import JSON, MULTIPART, RAW, body_kind, receive_clip, receive_json
from vidar_det.detector.clip_prediction import class_ids_of
from vidar_det.spikes.sidecar import complete_options

router = APIRouter(tags=["detection"])

ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {
        "model": Envelope,
        "description": "The envelope; or, where NDJSON is accepted, a line per window as it is "
        'ready, then one `{"type": "summary"}` line. An error on the way is a last '
        '`{"type": "error"}` line.',
        "content": {LINES: {"schema": {"type": "string"}}},
    },
    202: {"model": JobAnswer, "description": "The job that `Location` names."},
}


@router.post(
    "/v1/detect",
    response_class=Response,
    responses=ANSWERS,
    openapi_extra=clip_body(with_reference=True),
)
async def detect(
    request: Request,
    query: Annotated[DetectQuery, Query()],
    prefer: Annotated[str, Header(description="`respond-async` makes it a job.")] = "",
    idempotency_key: Annotated[
        str, Header(max_length=255, description="The same key gives the same job.")
    ] = "",
) -> Response:
    """Detect objects in a clip, sent along or sent before, window by window.

    A clip above the service's limit (of one sent before, only the planes asked for count), or any
    with `Prefer: respond-async`, becomes a job (202), unless lines are accepted, which come at any
    size.
    """
    parts = parts_of(request)
    answer = choose_media(request.headers.get("accept", ""), WHOLE, LINES)
    kind = body_kind(request, RAW, MULTIPART, JSON)
    model = choose_model(parts.engine, query.model)
    wants_job = answer != LINES and _prefers_job(prefer)
    if wants_job:
        await parts.jobs.check_room(request.state.caller, idempotency_key)
    else:
        parts.shares.check(request.state.caller)
        parts.engine.check_room()
    async with AsyncExitStack() as stack:
        source = await _hold_clip(request, parts, kind, stack)
        size = await in_thread(lambda: _bytes_to_look_at(source, query.planes))
        if wants_job or (answer != LINES and size > parts.settings.sync_bytes):
            order = await in_thread(lambda: _order(parts, source, query, model, request))
            caller = request.state.caller
            job = await parts.jobs.add(source, order, caller, idempotency_key)
            return accepted(parts.jobs, job)
        task = Task(
            clip=source.path,
            sha256=sha256_of(source),
            options=query.options(),
            question=query.question(),
            model=model.name,
            request_id=request.state.request_id,
        )
        stack.enter_context(parts.shares.hold(request.state.caller))
        steps = await stack.enter_async_context(contextlib.aclosing(parts.engine.detect(task)))
        content = await _answer(request, answer, steps, stack)
        return HoldingResponse(content, stack.pop_all(), answer)


async def _answer(
    request: Request, answer: str, steps: AsyncGenerator[Step, None], stack: AsyncExitStack
) -> AsyncGenerator[bytes, None]:
    """Begin to answer; most failures come now."""
    spool, first = parts_of(request).spool, await anext(steps)
    if answer == LINES:
        content = write_lines(steps, first, request, hidden_folders(spool))
    else:
        draft = await in_thread(spool.draft)
        stack.push_async_callback(in_thread, draft.discard)
        async with watched(request) as check:
            document = await write_document(steps, first, draft, check)
        content = read_document(document)
    return await stack.enter_async_context(contextlib.aclosing(content))


async def _hold_clip(
    request: Request, parts: Parts, kind: str, stack: AsyncExitStack
) -> Received | Clip:
    """Find or receive the clip, and hold it as long as the stack is open."""
    if kind == JSON:
        try:
            reference = ClipReference.model_validate(await receive_json(request))
        except ValidationError as error:
            raise invalid(error.errors()) from error
        return stack.enter_context(parts.clips.lease(reference.clip_id))
    received = await receive_clip(request, parts)
    stack.push_async_callback(in_thread, received.draft.discard)
    return received


def _bytes_to_look_at(source: Received | Clip, planes: int | None) -> int:
    """Of a clip that is known, the planes asked for count; of another one, all that was sent."""
    size = source.path.stat().st_size
    if planes is None or isinstance(source, Received):
        return size
    return min(size, planes * size // max(source.note.clip.planes, 1))


def _order(
    parts: Parts, source: Received | Clip, query: DetectQuery, model: ModelNote, request: Request
) -> JobOrder:
    """Say what a job shall do; what is wrong with it is told now, not when its turn comes."""
    options, question = complete_options(source.path, query.options()), query.question()
    recording = open_clip(source.path, options, parts.settings.max_pixels)
    start, stop = question.selection.span(recording)
    class_ids_of(question.classes, model.classes)
    return JobOrder(
        sha256=sha256_of(source),
        planes=stop - start,
        options=options,
        question=question,
        model=model.name,
        request_id=request.state.request_id,
        clip_id=source.note.id if isinstance(source, Clip) and source.is_ours else None,
    )


def _prefers_job(prefer: str) -> bool:
    """Read ``Prefer`` (RFC 7240).

    Example:
        >>> _prefers_job("wait=10, Respond-Async"), _prefers_job("")
        (True, False)
    """
    return "respond-async" in (one.partition(";")[0].strip().lower() for one in prefer.split(","))
