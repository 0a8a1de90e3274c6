"""A service that is told to stop comes in; what is under way ends, and nothing new begins."""

from starlette.types import ASGIApp, Receive, Scope, Send

from service.keys import OPEN_PATHS
from service.problems import busy, refuse

RETRY_S = 5  # by then another process listens, or none


class Drain:
    """Whether the service is about to stop, and what it still waits for.

    Attributes:
        is_on: nothing new begins.
        under_way: requests that are being answered; probes, metrics and sockets do not count.
    """

    def __init__(self) -> None:
        self.is_on = False
        self.under_way = 0

    def begin(self) -> None:
        """Begin to stop; safe in a signal handler."""
        self.is_on = True


class DrainGuard:
    """Counts requests, and refuses new ones and new sockets once the service is about to stop.

    Args:
        app: the layers below.
        drain: whether it is.
    """

    def __init__(self, app: ASGIApp, drain: Drain) -> None:
        self.app, self.drain = app, drain

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection; see ASGI."""
        is_ours = scope["type"] in ("http", "websocket")
        if not is_ours or scope["path"].startswith((OPEN_PATHS, "/metrics")):
            await self.app(scope, receive, send)
            return
        if self.drain.is_on:
            problem = busy(503, "draining", "the service is about to stop", RETRY_S)
            problem.headers["Connection"] = "close"
            await refuse(problem, scope, receive, send)
            return
        if scope["type"] == "websocket":  # nobody waits for a viewer to leave
            await self.app(scope, receive, send)
            return
        self.drain.under_way += 1
        try:
            await self.app(scope, receive, send)
        finally:
            self.drain.under_way -= 1
