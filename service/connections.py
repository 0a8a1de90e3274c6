"""Connections come in; requests that can be read go on, the others are answered and let go.

uvicorn waits forever for the head of a request, reads one of any length, answers what it cannot
read past the application's log and metrics, and takes a client who has said all for one who went.
"""

import asyncio
import contextlib
import re
import sys
from types import SimpleNamespace
from typing import Literal, cast

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service.access import UNREADABLE
from service.problems import Problem

MOST_HEAD_BYTES = 1 << 16  # of the target and all headers: as much as httptools reads of a target
MOST_HEADERS = 100
LISTENING_S = 1.0  # from one look for a client who has said all to the next
INTERIM = b"HTTP/1.1 102 Processing\r\n\r\n"

PLAIN_PATH = re.compile(rb"/[!-~]{0,1000}")


class PatientProtocol(HttpToolsProtocol):
    """Parses requests, as long as they come on and are not too long.

    Attributes:
        head_s: from the connection, or a request's first byte, to the end of its head; from an
            answer that came early to the end of the body; for what follows the last answer.
    """

    head_s = 30.0
    _waiting: asyncio.TimerHandle | None = None
    _reads: Literal["nothing", "head", "body"] = "nothing"
    _is_deaf = False  # what comes is not even read
    _head_bytes = 0
    _unread_bytes = 0  # of a header that has no end yet, or the like

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Wait for a first request."""
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        self._wait_no_longer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what came."""
        if self._is_deaf:
            return
        self._unread_bytes += len(data)
        super().data_received(data)
        if self._is_deaf or self not in self.connections:  # a WebSocket from now on
            return
        if self._unread_bytes > MOST_HEAD_BYTES and self._reads != "nothing":
            self._refuse(self._too_long())
        elif self._waiting is None and not self._is_busy:
            self._wait()  # for the rest of a body that nobody wants, or after empty lines

    def eof_received(self) -> bool:  # type: ignore[override]  # as asyncio has it
        """A client who has said all may still listen: stay as long as its answer is not whole."""
        if not self._is_busy:
            return False
        if self._reads == "body" and not self._is_deaf:
            self._refuse(Problem(400, "malformed-body", "the body stops before its end"))
        self._reads, self.cycle.keep_alive = "nothing", False
        self._look_later()
        return True

    def send_400_response(self, msg: str) -> None:
        """Answer what cannot be parsed; called while the parser's error is handled."""
        error = sys.exception()
        assert error is not None
        problem = error.__context__
        if not isinstance(problem, Problem):
            is_ours = isinstance(error, httptools.HttpParserCallbackError)
            detail = f"this is no HTTP/1.1: {'a target that is no path' if is_ours else error}"
            problem = Problem(400, "malformed-request", detail)
        self._refuse(problem, isinstance(error, httptools.HttpParserInvalidMethodError))

    def on_message_begin(self) -> None:
        """Wait for the rest of the head."""
        super().on_message_begin()
        self._reads, self._head_bytes, self._unread_bytes = "head", 0, 0
        self._wait()

    def on_url(self, url: bytes) -> None:
        """Take a piece of the target."""
        super().on_url(url)
        self._count(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; what comes after the body is nobody's."""
        if self._reads == "head":
            super().on_header(name, value)
        self._count(len(name) + len(value) + 4)  # a colon, a space, a new line

    def on_headers_complete(self) -> None:
        """Wait no longer: from here on the body's own limits hold."""
        self._wait_no_longer()
        super().on_headers_complete()
        self._reads = "body"
        if self._is_busy:
            real = self.transport
            told = SimpleNamespace(write=real.write, is_closing=real.is_closing, close=self._part)
            self.cycle.transport = cast(asyncio.Transport, told)

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body."""
        self._unread_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Take the end of the body."""
        self._reads = "nothing"
        super().on_message_complete()

    @property
    def _is_busy(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _count(self, count: int) -> None:
        self._unread_bytes = 0
        self._head_bytes += count
        if self._head_bytes > MOST_HEAD_BYTES or len(self.headers) > MOST_HEADERS:
            raise self._too_long()

    def _too_long(self) -> Problem:
        if 2 * len(self.url) > MOST_HEAD_BYTES:
            return Problem(414, "target-too-long", "the path and query are too long")
        detail = f"wanted at most {MOST_HEADERS} headers and {MOST_HEAD_BYTES} bytes of them"
        return Problem(431, "head-too-large", detail)

    def _refuse(self, problem: Problem, has_no_method: bool = False) -> None:
        """Have the application answer with a problem, and read no further."""
        self._is_deaf = True
        if self._reads == "head":
            self._take_head()
            self.scope["method"] = "OTHER" if has_no_method else self.scope["method"]
        self.scope["state"][UNREADABLE] = problem
        self.cycle.keep_alive = False
        self.cycle.message_event.set()
        if not self._is_busy:
            self._part()

    def _take_head(self) -> None:
        """Make a request of what was understood of its head."""
        path = self.url.partition(b"?")[0]
        self.url = path if PLAIN_PATH.fullmatch(path) else b"*"
        self.headers = [one for one in self.headers if one[0] == b"x-request-id"]
        self.scope["headers"] = self.headers
        self.on_headers_complete()

    def _part(self) -> None:
        """Close; but hear a client out who still sends: a reset would take its answer along."""
        if self._reads == "body":
            self._is_deaf = True
            self._wait_no_longer()
            self._waiting = self.loop.call_later(self.head_s, self.transport.close)
            with contextlib.suppress(OSError):  # it is gone
                self.transport.write_eof()
        else:
            self.transport.close()

    def _look_later(self) -> None:
        self._wait_no_longer()
        self._waiting = self.loop.call_later(LISTENING_S, self._look)

    def _look(self) -> None:
        """Tell a client who has said all to wait: writing fails where it has gone (RFC 9110, 15.2).

        An answer that has begun does the same.
        """
        if self.cycle.response_started:
            return
        if not self.pipeline and self.cycle.scope["http_version"] == "1.1":
            self.transport.write(INTERIM)
        self._look_later()

    def _wait(self) -> None:
        self._wait_no_longer()
        self._waiting = self.loop.call_later(self.head_s, self._give_up)

    def _wait_no_longer(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _give_up(self) -> None:
        if self._is_busy:  # the request before this one is still being answered
            self._wait()
        else:
            self.transport.close()


def build_protocol(timeout_s: float) -> type[PatientProtocol]:
    """Make the protocol that gives each request so long to send its head."""

    class Protocol(PatientProtocol):
        head_s = timeout_s

    return Protocol
