"""The holder of a key comes in; a pass that opens sockets for a while goes out.

A page can set no header on a WebSocket or an event stream, and a key in its address would be
written to logs. So a page shows its key once, and gets a cookie of its own site; a program gets a
ticket that is worthless after a minute.
"""

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable

COOKIE = "vidar_session"
COOKIE_S, TICKET_S = 12 * 3600, 60


class Passes:
    """Issues passes and knows them again; a restart makes all of them worthless.

    Args:
        clock: seconds since the epoch.

    Example:
        >>> passes = Passes(clock=lambda: 1000.0)
        >>> given = passes.issue("lab", seconds=60)
        >>> passes.holder(given), passes.holder(given[:-1])
        ('lab', None)
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._secret, self._clock = secrets.token_bytes(32), clock

    def issue(self, holder: str, seconds: float) -> str:
        """Make a pass: the holder's name, when it ends, and a seal over both."""
        words = f"{int(self._clock() + seconds)}.{holder.encode().hex()}"
        return f"{words}.{self._seal(words)}"

    def holder(self, given: str) -> str | None:
        """Name the holder of a pass; None where it is none, or has ended."""
        words, _, seal = given.rpartition(".")
        if not hmac.compare_digest(seal.encode(), self._seal(words).encode()):
            return None
        end, _, name = words.partition(".")
        return bytes.fromhex(name).decode() if int(end) > self._clock() else None

    def _seal(self, words: str) -> str:
        return hmac.new(self._secret, words.encode(), hashlib.sha256).hexdigest()
