"""Connections come in; those that never finish asking are closed.

uvicorn waits forever for the head of a request: a few hundred silent connections would use up the
process's files.
"""

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class PatientProtocol(HttpToolsProtocol):
    """Parses requests, as long as they come on.

    Attributes:
        head_s: from the connection, or a request's first byte, to the end of its head.
    """

    head_s = 30.0
    _waiting: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Wait for a first request."""
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        self._wait_no_longer()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """Wait for the rest of the head."""
        super().on_message_begin()
        self._wait()

    def on_headers_complete(self) -> None:
        """Wait no longer: from here on the body's own limits hold."""
        self._wait_no_longer()
        super().on_headers_complete()

    def _wait(self) -> None:
        self._wait_no_longer()
        self._waiting = self.loop.call_later(self.head_s, self._give_up)

    def _wait_no_longer(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _give_up(self) -> None:
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()
        else:  # the request before this one is still being answered
            self._wait()


def build_protocol(timeout_s: float) -> type[PatientProtocol]:
    """Make the protocol that gives each request so long to send its head."""

    class Protocol(PatientProtocol):
        head_s = timeout_s

    return Protocol
