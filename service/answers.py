"""Steps of an engine come in; a JSON document or NDJSON lines go out, in memory that stays flat."""

import asyncio
import contextlib
import dataclasses
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from pathlib import Path
from typing import Any

import anyio
from fastapi import Request
from starlette.requests import ClientDisconnect
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from service.engines import Step, WindowFound
from service.log import log_failure
from service.problems import CLIENT_ERRORS, Problem, internal_error, to_problem
from service.spool import Draft
from service.threads import in_thread
from vidar_det.detections.coco import results_of
from vidar_det.detections.envelope import EnvelopeWriter
from vidar_det.detections.predictions import Predictions
from vidar_det.errors import VidarError

WHOLE, LINES = "application/json", "application/x-ndjson"
DOCUMENT_FILE = "answer.json"
READ_BYTES = 1 << 16


class HoldingResponse(StreamingResponse):
    """A stream that holds what it reads from, and lets go of it however it ends.

    Args:
        content: what to send.
        held: closed after the last byte, or when the client went, or never came.
        media_type: of the content.
    """

    def __init__(
        self, content: AsyncIterator[bytes], held: contextlib.AsyncExitStack, media_type: str
    ) -> None:
        super().__init__(content, media_type=media_type)
        self._held = held

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send; see ASGI."""
        async with self._held:
            await super().__call__(scope, receive, send)


def choose_media(accept: str, *offered: str) -> str:
    """Choose an answer's type by ``Accept``; the first one where the client does not mind.

    Raises:
        Problem: 406, none of the types is accepted.

    Example:
        >>> choose_media("application/x-ndjson, application/json;q=0.5", WHOLE, LINES)
        'application/x-ndjson'
        >>> choose_media("*/*", WHOLE, LINES)
        'application/json'
    """
    ranges = [part.split(";") for part in (accept.strip() or "*/*").lower().split(",")]
    weights = {kind: _weight(kind, ranges) for kind in offered}
    best = max(offered, key=lambda kind: weights[kind])
    if weights[best] <= 0:
        raise Problem(406, "not-acceptable", f"can answer {' or '.join(offered)} only")
    return best


async def write_document(
    steps: AsyncIterator[Step], first: Step, draft: Draft, told: Callable[[WindowFound], None]
) -> Path:
    """Write the whole envelope to the spool.

    Args:
        steps: the rest of them.
        first: taken already.
        draft: where the document shall lie; its size is reserved there as it grows.
        told: of each window; it may raise, where nobody needs the answer any more.

    Raises:
        VidarError: a window cannot be looked at.
        Problem: 507, the spool or its disk is full.
    """
    with draft.writing(), EnvelopeWriter(draft.folder) as envelope:
        step: Step | None = first
        while isinstance(step, WindowFound):
            await in_thread(lambda found=step: _add(envelope, draft, found))  # type: ignore[misc]  # a default is no parameter here
            told(step)
            step = await anext(steps, None)
        assert isinstance(step, Predictions)
        frame, path = step, draft.folder / DOCUMENT_FILE
        await in_thread(lambda: envelope.finish(path, frame))
    return path


@contextlib.asynccontextmanager
async def watched(request: Request) -> AsyncIterator[Callable[[object], None]]:
    """Watch the client of a request, whose body was read.

    Yields:
        What raises ``ClientDisconnect`` once the client went: nobody needs the answer then.
    """
    gone = asyncio.Event()

    async def watch() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass
        gone.set()

    def check(_: object) -> None:
        if gone.is_set():
            raise ClientDisconnect

    watcher = asyncio.create_task(watch())
    try:
        yield check
    finally:
        watcher.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watcher


async def read_document(path: Path) -> AsyncGenerator[bytes, None]:
    """Give a file piece by piece."""
    async with await anyio.open_file(path, "rb") as file:
        while piece := await file.read(READ_BYTES):
            yield piece


async def write_lines(
    steps: AsyncIterator[Step], first: Step, request: Request, hidden: Iterable[Path]
) -> AsyncGenerator[bytes, None]:
    """Give a line per window, then the summary; or, if something fails, its problem.

    Args:
        steps: the rest of them.
        first: taken already, so that most failures come before the 200.
        request: whose answer this is.
        hidden: folders that a client is not told of.
    """
    windows = detections = 0
    try:
        step: Step | None = first
        while step is not None:
            if isinstance(step, WindowFound):
                windows, detections = windows + 1, detections + len(step.detections)
                yield _line(_window_line(step))
            else:
                yield _line(_summary(step, windows, detections))
            step = await anext(steps, None)
    except Problem as problem:
        yield _error_line(problem, request)
    except VidarError as error:
        if not isinstance(error, CLIENT_ERRORS):
            log_failure(request.state.request_id)
        yield _error_line(to_problem(error, hidden), request)
    except Exception:  # noqa: BLE001 - the 200 is out: the client learns of it in a last line
        log_failure(request.state.request_id)
        yield _error_line(internal_error(), request)


def _add(envelope: EnvelopeWriter, draft: Draft, found: WindowFound) -> None:
    before = envelope.size_bytes
    envelope.add(found.window, found.detections)
    draft.reserve(2 * (envelope.size_bytes - before))  # in the waiting lists, then in the document


def _window_line(found: WindowFound) -> dict[str, Any]:
    results = results_of(found.detections, found.window.id)
    return {"type": "window"} | dataclasses.asdict(found.window) | {"detections": results}


def _summary(frame: Predictions, windows: int, detections: int) -> dict[str, Any]:
    """The envelope without its lists, which the client has already, but with their lengths."""
    counts = {"images": windows, "detections": detections}
    return {"type": "summary"} | frame.to_json() | counts


def _error_line(problem: Problem, request: Request) -> bytes:
    request.scope["state"]["problem"] = problem.kind
    document = problem.document(request.url.path, request.state.request_id)
    return _line({"problem": document["type"]} | document | {"type": "error"})


def _line(entry: dict[str, Any]) -> bytes:
    return json.dumps(entry, allow_nan=False, ensure_ascii=False).encode() + b"\n"


def _weight(kind: str, ranges: list[list[str]]) -> float:
    """Find what the most exact range that covers a type says about it (RFC 9110, 12.5.1)."""
    patterns = ("*/*", f"{kind.partition('/')[0]}/*", kind)
    exactness, weight = -1, 0.0
    for name, *parameters in ranges:
        pattern = name.strip()
        if pattern in patterns and patterns.index(pattern) > exactness:
            exactness, weight = patterns.index(pattern), _quality(parameters)
    return weight


def _quality(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.strip().partition("=")
        if name == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0
