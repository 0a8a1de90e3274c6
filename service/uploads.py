"""A request's body comes in as the network brings it; a clip on the spool comes out."""

import json
from typing import Any

from fastapi import Request

from service.decoding import build_decoder
from service.intake import Intake, Received
from service.parts import Parts
from service.problems import Problem, too_large
from service.threads import in_thread

BLOCK_BYTES = 1 << 18  # gathered before a worker thread takes them: a hop costs 0.1 ms
MOST_JSON_BYTES = 1 << 16

RAW, MULTIPART, JSON = "application/octet-stream", "multipart/form-data", "application/json"


def body_kind(request: Request, *wanted: str) -> str:
    """Tell what a request's body is by its ``Content-Type``; without one it is raw bytes.

    Raises:
        Problem: 415, none of the kinds that are wanted.
    """
    found = request.headers.get("content-type", RAW)
    kind = found.partition(";")[0].strip().lower()
    if kind not in wanted:
        detail = f"found Content-Type {found[:80]!r}, wanted {' or '.join(wanted)}"
        raise Problem(415, "unsupported-type", detail, {"Accept-Post": ", ".join(wanted)})
    return kind


async def receive_clip(request: Request, parts: Parts, limit_bytes: int | None = None) -> Received:
    """Put the clip of a request on the spool, in memory that does not grow with it.

    Args:
        request: raw or multipart, in any coding of ``service.decoding``.
        parts: of the service.
        limit_bytes: of the body once decoded; else the service's own.

    Raises:
        Problem: 400, 408, 413, 415, 422 or 507; nothing is left on the spool.
        ClientDisconnect: the client went; nothing is left either.
    """
    headers, limit = request.headers, limit_bytes or parts.settings.max_decoded_bytes
    kind, coding = headers.get("content-type", RAW), headers.get("content-encoding", "")
    intake = await in_thread(lambda: Intake(parts.spool, kind, coding, limit))
    try:
        gathered = bytearray()
        async for chunk in request.stream():
            gathered += chunk
            if len(gathered) >= BLOCK_BYTES:
                block, gathered = bytes(gathered), bytearray()
                await in_thread(lambda block=block: intake.feed(block))  # type: ignore[misc]  # a default is no parameter here
        await in_thread(lambda: intake.feed(bytes(gathered)))
        return await in_thread(intake.finish)
    except BaseException:
        await in_thread(intake.abort)
        raise


async def receive_json(request: Request) -> Any:
    """Read a small JSON body.

    Raises:
        Problem: 400, it is no JSON; 413, it is not small.
    """
    decoder = build_decoder(request.headers.get("content-encoding", ""))
    body = bytearray()
    async for chunk in request.stream():
        for piece in decoder.feed(chunk):
            body += piece
            if len(body) > MOST_JSON_BYTES:
                raise too_large("a JSON body", MOST_JSON_BYTES)
    decoder.finish()
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Problem(400, "malformed-body", f"the body is no JSON: {error}") from error
