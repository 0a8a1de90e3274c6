"""Whatever goes wrong comes in; an RFC 9457 ``application/problem+json`` answer goes out."""

import re
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from vidar_det.errors import (
    ConfigError,
    FormatError,
    LabelError,
    RangeError,
    ShapeError,
    SourceError,
    VidarError,
)

PROBLEM_TYPE = "application/problem+json"
MOST_ERRORS = 20  # of a request that is wrong in many places, so many are told

# What the clip or the query got wrong; every other VidarError is the service's own fault.
CLIENT_ERRORS = (SourceError, FormatError, ShapeError, RangeError, LabelError, ConfigError)


class Problem(Exception):
    """An answer that says what went wrong.

    Args:
        status: HTTP status.
        kind: the problem's type, in words joined by hyphens: stable, for programs.
        detail: what happened this time, for people.
        headers: of the answer.
        members: further members of the document, such as ``limit_bytes``.

    Example:
        >>> Problem(404, "no-such-clip", "found no clip 'x'").document()["title"]
        'No such clip'
    """

    def __init__(
        self,
        status: int,
        kind: str,
        detail: str,
        headers: Mapping[str, str] | None = None,
        members: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status, self.kind, self.detail = status, kind, detail
        self.headers, self.members = dict(headers or {}), dict(members or {})

    def document(self, instance: str = "", request_id: str = "") -> dict[str, Any]:
        """Give the problem as a JSON object."""
        return {
            "type": f"urn:vidar-det:problem:{self.kind}",
            "title": self.kind.replace("-", " ").capitalize(),
            "status": self.status,
            "detail": self.detail,
            "instance": instance,
            "request_id": request_id,
            "errors": [],
        } | self.members


def too_large(what: str, limit_bytes: int) -> Problem:
    """The 413 that names its limit."""
    detail = f"{what} is larger than {limit_bytes} bytes"
    return Problem(413, "too-large", detail, members={"limit_bytes": limit_bytes})


def busy(status: int, kind: str, detail: str, retry_after_s: int = 1) -> Problem:
    """The 429 or 503 that says when to come back."""
    return Problem(status, kind, detail, headers={"Retry-After": str(retry_after_s)})


def internal_error() -> Problem:
    """The 500, which tells nothing but where to look."""
    return Problem(500, "internal-error", "the service failed; its log knows this request_id")


def problem_response(scope: Scope, problem: Problem) -> Response:
    """Answer a request with a problem.

    Args:
        scope: of the request; its state learns the problem's kind, for log and metrics.
        problem: what went wrong.
    """
    state = scope.setdefault("state", {})
    state["problem"] = problem.kind
    return JSONResponse(
        problem.document(scope["path"], state.get("request_id", "")),
        problem.status,
        headers=problem.headers,
        media_type=PROBLEM_TYPE,
    )


async def refuse(problem: Problem, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a request with a problem, or a WebSocket before it opens.

    A server that cannot answer a WebSocket so closes it (403).
    """
    response = problem_response(scope, problem)
    can_answer = "websocket.http.response" in (scope.get("extensions") or {})
    if scope["type"] == "websocket" and not can_answer:
        await send({"type": "websocket.close", "code": 1008, "reason": problem.kind})
        return
    await response(scope, receive, send)


def to_problem(error: VidarError, hidden: Iterable[Path]) -> Problem:
    """Turn a failure of the library into a problem.

    Args:
        error: its message may name files.
        hidden: folders that a client is not told of.
    """
    if not isinstance(error, CLIENT_ERRORS):
        return internal_error()
    kind = re.sub(r"(?<!^)(?=[A-Z])", "-", type(error).__name__).lower()
    detail = str(error)
    for folder in hidden:
        detail = re.sub(re.escape(str(folder)) + r"[^\s:,;]*", "clip", detail)
    return Problem(422, kind, detail)


def install_handlers(app: FastAPI, hidden: Iterable[Path]) -> None:
    """Make every error of ``app`` a problem that names none of the folders ``hidden``.

    What nobody expects is left to the outermost middleware, which logs it.
    """

    async def on_problem(request: Request, error: Exception) -> Response:
        assert isinstance(error, Problem)
        return problem_response(request.scope, error)

    async def on_failure(request: Request, error: Exception) -> Response:
        assert isinstance(error, VidarError)
        if not isinstance(error, CLIENT_ERRORS):
            raise error
        return problem_response(request.scope, to_problem(error, hidden))

    async def on_invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return problem_response(request.scope, invalid(error.errors()))

    async def on_http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return problem_response(request.scope, _of_status(error))

    app.add_exception_handler(Problem, on_problem)
    app.add_exception_handler(VidarError, on_failure)
    app.add_exception_handler(RequestValidationError, on_invalid)
    app.add_exception_handler(HTTPException, on_http)


def invalid(errors: Sequence[Any]) -> Problem:
    """The 422 that says where the query is wrong; values are not repeated."""
    told = [
        {"where": ".".join(map(str, one["loc"])), "message": one["msg"], "type": one["type"]}
        for one in errors[:MOST_ERRORS]
    ]
    first = "; ".join(f"{one['where']}: {one['message']}" for one in told[:3])
    return Problem(422, "invalid-request", first, members={"errors": told})


def _of_status(error: HTTPException) -> Problem:
    kinds = {404: "not-found", 405: "method-not-allowed"}
    phrase = HTTPStatus(error.status_code).phrase
    kind = kinds.get(error.status_code, phrase.lower().replace(" ", "-"))
    return Problem(error.status_code, kind, error.detail or phrase, error.headers)
