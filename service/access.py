"""A request comes in without a name; it leaves with an id, a log line and a place in metrics.

What no other layer answered is answered here, without internals.
"""

import re
import time
import uuid
from collections.abc import Iterable

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.log import log_failure, log_line
from service.metrics import Metrics
from service.passes import take_ticket
from service.problems import internal_error, refuse

UNREADABLE = "unreadable"
"""Where a request's state holds the ``Problem`` of a head or body that is none."""

REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
CLIENT_GONE = 499  # in the log only: nobody is left to answer
OPENED, CLOSED_UNOPENED = 101, 403  # a socket, as HTTP sees it


class AccessLog:
    """Names, logs and counts every request and socket; the one place that answers 500.

    The line holds the route's template and never the query or a header: a key cannot get in.

    Args:
        app: the layers below.
        metrics: where requests are counted.
        routes: what the router below knows: a request that a layer stops does not reach it.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics, routes: Iterable[BaseRoute] = ()) -> None:
        self.app, self.metrics, self.routes = app, metrics, tuple(routes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection; see ASGI."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        take_ticket(scope)
        call = _Call(scope, receive, send)
        with self.metrics.in_flight.track_inprogress():
            try:
                if UNREADABLE in scope["state"]:
                    await refuse(scope["state"][UNREADABLE], scope, receive, call.send)
                else:
                    await self.app(scope, call.receive, call.send)
            except ClientDisconnect:
                call.status = call.status or CLIENT_GONE
            except Exception:
                log_failure(call.request_id)
                if call.status:
                    raise
                await refuse(internal_error(), scope, receive, call.send)
            finally:
                self._finish(call)

    def _finish(self, call: "_Call") -> None:
        seconds = time.perf_counter() - call.begin
        status = call.status or CLIENT_GONE
        state, route = call.scope["state"], self._route(call.scope)
        method = call.scope.get("method", "SOCKET")
        self.metrics.count_request(route, method, status, seconds)
        if "problem" in state:
            self.metrics.rejects.labels(state["problem"]).inc()
        line = {
            "request_id": call.request_id,
            "method": method,
            "route": route,
            "status": status,
            "duration_ms": round(1e3 * seconds, 3),
            "bytes_in": call.bytes_in,
            "bytes_out": call.bytes_out,
            "caller": state.get("caller"),
            "problem": state.get("problem"),
        }
        log_line(line)

    def _route(self, scope: Scope) -> str:
        """The template of the route, or one word for all paths that have none."""
        matching = (one for one in self.routes if one.matches(scope)[0] is not Match.NONE)
        return getattr(scope.get("route") or next(matching, None), "path", "other")


class _Call:
    """One request under way: what passed in and out."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        given = Headers(scope=scope).get("x-request-id", "")
        self.request_id = given if REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = self.request_id
        self.scope, self._receive, self._send = scope, receive, send
        self.begin = time.perf_counter()
        self.status, self.bytes_in, self.bytes_out = 0, 0, 0

    async def receive(self) -> Message:
        message = await self._receive()
        if UNREADABLE in self.scope["state"] and not self.status:
            raise self.scope["state"][UNREADABLE]
        self.bytes_in += _bytes_of(message)
        return message

    async def send(self, message: Message) -> None:
        kind = message["type"]
        if kind.endswith("http.response.start") or kind == "websocket.accept":
            self.status = message.get("status", OPENED)
            MutableHeaders(scope=message)["X-Request-ID"] = self.request_id
        elif kind == "websocket.close":
            self.status = self.status or CLOSED_UNOPENED
        self.bytes_out += _bytes_of(message)
        await self._send(message)


def _bytes_of(message: Message) -> int:
    return len(message.get("body") or message.get("bytes") or message.get("text") or b"")
