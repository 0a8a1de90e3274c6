"""The holder of a key comes in; a pass that opens sockets for a while goes out.

A page can set no header on a WebSocket or an event stream, and a key in its address would be
written to logs. So a page shows its key once, and gets a cookie of its own site; a program gets a
ticket that opens one door and is worthless after a minute. What a pass is good for is sealed into
it: a ticket is no cookie.
"""

import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Callable

from starlette.types import Scope

COOKIE = "vidar_session"
COOKIE_S, TICKET_S = 12 * 3600, 60

DOOR = r"^/v1/(replay/[A-Za-z0-9._-]+|jobs/[A-Za-z0-9._-]+/events)$"
"""Paths that a ticket may open: sockets and event streams."""


class Passes:
    """Issues passes and knows them again; a restart makes all of them worthless.

    Args:
        clock: seconds since the epoch.

    Example:
        >>> passes = Passes(clock=lambda: 1000.0)
        >>> given = passes.issue("lab", COOKIE, seconds=60)
        >>> passes.holder(given, COOKIE), passes.holder(given, "/v1/replay/demo")
        ('lab', None)
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._secret, self._clock = secrets.token_bytes(32), clock

    def issue(self, holder: str, purpose: str, seconds: float) -> str:
        """Make a pass.

        Args:
            holder: name of who holds a key.
            purpose: ``COOKIE``, or the path that a ticket opens.
            seconds: how long it is good for.

        Returns:
            When it ends, the holder's name, and a seal over both and the purpose.
        """
        words = f"{int(self._clock() + seconds)}.{holder.encode().hex()}"
        return f"{words}.{self._seal(purpose, words)}"

    def holder(self, given: str, purpose: str) -> str | None:
        """Name the holder of a pass; None where it is none, has ended, or is for something else."""
        words, _, seal = given.rpartition(".")
        if not hmac.compare_digest(seal.encode(), self._seal(purpose, words).encode()):
            return None
        end, _, name = words.partition(".")
        return bytes.fromhex(name).decode() if int(end) > self._clock() else None

    def _seal(self, purpose: str, words: str) -> str:
        sealed = f"{purpose}\n{words}".encode("utf-8", "surrogatepass")
        return hmac.new(self._secret, sealed, hashlib.sha256).hexdigest()


def take_ticket(scope: Scope) -> None:
    """Move a ticket from the query into the request's state: servers write queries to their logs.

    Example:
        >>> scope = {"type": "websocket", "path": "/", "query_string": b"a=1&ticket=t"}
        >>> take_ticket(scope)
        >>> scope["query_string"], scope["state"]
        (b'a=1', {'ticket': 't'})
    """
    if scope["type"] != "websocket" and re.match(DOOR, scope["path"]) is None:
        return
    pairs = [pair.partition(b"=") for pair in scope["query_string"].split(b"&")]
    tickets = [value for name, _, value in pairs if name == b"ticket"]
    if tickets:
        scope.setdefault("state", {})["ticket"] = tickets[0].decode("latin-1")
        kept = [b"".join(pair) for pair in pairs if pair[0] != b"ticket"]
        scope["query_string"] = b"&".join(kept)
