"""Requests come in as fast and as large as clients like; those within their limits go on."""

import contextlib
import math
import time
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

import anyio
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.keys import OPEN_PATHS
from service.problems import Problem, busy, problem_response, refuse, too_large

BURST_S = 10.0  # a caller who was silent for so long may make up for it at once
MOST_CALLERS = 10_000  # remembered; the ones longest silent are forgotten, with a full bucket
LEAST_BYTES_PER_S = 4096  # of a client, while we wait for it: a trickle would hold a place for days
Result = TypeVar("Result")


class CallGuard:
    """Limits how often and how many at once one caller calls (token bucket).

    Args:
        app: the layers below.
        per_minute: calls of one caller; to open a socket is one.
        at_once: calls of one caller that are under way; an open socket is one.
        clock: seconds, from anywhere.
    """

    def __init__(
        self,
        app: ASGIApp,
        per_minute: float,
        at_once: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.app, self.at_once, self.clock = app, at_once, clock
        self.per_s = per_minute / 60
        self.burst = max(1.0, self.per_s * BURST_S)
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._running: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection; see ASGI."""
        is_ours = scope["type"] in ("http", "websocket")
        if not is_ours or scope["path"].startswith(OPEN_PATHS):
            await self.app(scope, receive, send)
            return
        caller = scope["state"]["caller"]
        problem = self._check(caller)
        if problem is not None:
            await refuse(problem, scope, receive, send)
            return
        self._running[caller] += 1
        try:
            await self.app(scope, receive, send)
        finally:
            self._running[caller] -= 1
            if not self._running[caller]:
                del self._running[caller]

    def _check(self, caller: str) -> Problem | None:
        if self._running[caller] >= self.at_once:
            detail = f"{self.at_once} calls of this caller are under way"
            return busy(429, "too-many-at-once", detail)
        now = self.clock()
        tokens, seen = self._buckets.get(caller, (self.burst, now))
        tokens = min(self.burst, tokens + (now - seen) * self.per_s)
        is_empty = tokens < 1
        self._buckets[caller] = (tokens if is_empty else tokens - 1, now)
        self._buckets.move_to_end(caller)
        if len(self._buckets) > MOST_CALLERS:
            self._buckets.popitem(last=False)
        if is_empty:
            wait_s = math.ceil((1 - tokens) / self.per_s)
            detail = f"more than {60 * self.per_s:g} calls per minute"
            return busy(429, "too-many-calls", detail, wait_s)
        return None


class Shares:
    """Keeps one caller from holding every place of the engine.

    Args:
        most: places of one caller.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._held: Counter[str] = Counter()

    def check(self, caller: str) -> None:
        """Turn a caller away before its clip is sent.

        Raises:
            Problem: 429, it holds its share.
        """
        if self._held[caller] >= self._most:
            detail = f"{self._most} clips of this caller are looked at or wait already"
            raise busy(429, "too-many-at-once", detail)

    @contextlib.contextmanager
    def hold(self, caller: str) -> Iterator[None]:
        """Hold a place.

        Raises:
            Problem: 429, the caller holds its share.
        """
        self.check(caller)
        self._held[caller] += 1
        try:
            yield
        finally:
            self._held[caller] -= 1
            if not self._held[caller]:
                del self._held[caller]


class BodyGuard:
    """Counts a body while it streams, and waits for no client who pauses, sending or reading.

    Args:
        app: the layers below; reading the body raises a ``Problem`` there.
        limit_bytes: of the body as sent.
        timeout_s: longest time between two pieces of it, or of the answer; and how much longer than
            at ``LEAST_BYTES_PER_S`` all of them may take.
    """

    def __init__(self, app: ASGIApp, limit_bytes: int, timeout_s: float) -> None:
        self.app, self.limit_bytes, self.timeout_s = app, limit_bytes, timeout_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection; see ASGI."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        announced = Headers(scope=scope).get("content-length", "0")
        if not (announced.isascii() and announced.isdigit()):
            problem = Problem(400, "malformed-request", "Content-Length is no number")
        elif int(announced[:20]) > self.limit_bytes:
            problem = too_large("the body as sent", self.limit_bytes)
        else:
            await self.app(scope, self._counting(receive), self._timed(send))
            return
        await problem_response(scope, problem)(scope, receive, send)

    def _counting(self, receive: Receive) -> Receive:
        patience, is_whole = _Patience(self.timeout_s), False

        async def counted() -> Message:
            nonlocal is_whole
            if is_whole:
                return await receive()
            try:
                message = await patience.wait(receive())
            except TimeoutError:
                detail = f"the client sent nothing, or a trickle, for {self.timeout_s:g} s"
                raise Problem(408, "body-timeout", detail, {"Connection": "close"}) from None
            patience.passed_bytes += len(message.get("body", b""))
            is_whole = not message.get("more_body", False)
            if patience.passed_bytes > self.limit_bytes:
                raise too_large("the body as sent", self.limit_bytes)
            return message

        return counted

    def _timed(self, send: Send) -> Send:
        patience = _Patience(self.timeout_s)

        async def timed(message: Message) -> None:
            try:
                await patience.wait(send(message))
            except TimeoutError:
                raise ClientDisconnect from None
            patience.passed_bytes += len(message.get("body", b""))

        return timed


class _Patience:
    """How long one client is waited for: at once, and over all; our own work does not count."""

    def __init__(self, timeout_s: float) -> None:
        self.passed_bytes = 0
        self._timeout_s, self._left_s = timeout_s, timeout_s

    async def wait(self, step: Awaitable[Result]) -> Result:
        earned_s = self.passed_bytes / LEAST_BYTES_PER_S
        begin = time.monotonic()
        try:
            with anyio.fail_after(min(self._timeout_s, self._left_s + earned_s)):
                return await step
        finally:
            self._left_s -= time.monotonic() - begin
