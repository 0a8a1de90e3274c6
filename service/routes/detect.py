"""A clip and a question come in; detections go out: the main door."""

import contextlib
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import ValidationError
from starlette.responses import Response

from service.answers import (
    LINES,
    WHOLE,
    HoldingResponse,
    choose_media,
    read_document,
    write_document,
    write_lines,
)
from service.engines import Task, choose_model
from service.parts import Parts, parts_of
from service.problems import Problem, invalid
from service.schemas import ClipReference, DetectQuery, Envelope, clip_body
from service.uploads import JSON, MULTIPART, RAW, body_kind, in_thread, receive_clip, receive_json

router = APIRouter(tags=["detection"])

ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {
        "model": Envelope,
        "description": "The envelope; or, where NDJSON is accepted, a line per window as it is "
        'ready, then one `{"type": "summary"}` line. An error on the way is a last '
        '`{"type": "error"}` line.',
        "content": {LINES: {"schema": {"type": "string"}}},
    }
}


@router.post(
    "/v1/detect",
    response_class=Response,
    responses=ANSWERS,
    openapi_extra=clip_body(with_reference=True),
)
async def detect(request: Request, query: Annotated[DetectQuery, Query()]) -> Response:
    """Detect objects in a clip, sent along or sent before, window by window."""
    parts = parts_of(request)
    answer = choose_media(request.headers.get("accept", ""), WHOLE, LINES)
    kind = body_kind(request, RAW, MULTIPART, JSON)
    model = choose_model(parts.engine, query.model)
    parts.engine.check_room()
    async with AsyncExitStack() as stack:
        path, sha256 = await _hold_clip(request, parts, kind, stack)
        if answer != LINES:
            await _check_size(path, parts.settings.sync_bytes)
        task = Task(
            clip=path,
            sha256=sha256,
            options=query.options(),
            question=query.question(),
            model=model.name,
            request_id=request.state.request_id,
        )
        steps = await stack.enter_async_context(contextlib.aclosing(parts.engine.detect(task)))
        first = await anext(steps)
        if answer == LINES:
            lines = write_lines(steps, first, request, parts.hidden_folders)
            content = await stack.enter_async_context(contextlib.aclosing(lines))
        else:
            draft = await in_thread(parts.spool.draft)
            stack.push_async_callback(in_thread, draft.discard)
            document = await write_document(steps, first, draft, request)
            content = await stack.enter_async_context(contextlib.aclosing(read_document(document)))
        return HoldingResponse(content, stack.pop_all(), answer)


async def _hold_clip(
    request: Request, parts: Parts, kind: str, stack: AsyncExitStack
) -> tuple[Path, str]:
    """Find or receive the clip, and hold it as long as the stack is open."""
    if kind == JSON:
        try:
            reference = ClipReference.model_validate(await receive_json(request))
        except ValidationError as error:
            raise invalid(error.errors()) from error
        clip = stack.enter_context(parts.clips.lease(reference.clip_id))
        return clip.path, str(clip.note.clip.sha256)
    received = await receive_clip(request, parts)
    stack.push_async_callback(in_thread, received.draft.discard)
    return received.path, received.sha256


async def _check_size(path: Path, sync_bytes: int) -> None:
    size = (await in_thread(path.stat)).st_size
    if size > sync_bytes:
        detail = (
            f"the clip has {size} bytes, and one JSON document answers at most {sync_bytes}; "
            f"ask with Accept: {LINES}, which streams at any size"
        )
        raise Problem(413, "too-large-for-json", detail, members={"limit_bytes": sync_bytes})
