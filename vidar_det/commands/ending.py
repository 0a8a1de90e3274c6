"""Signals come in; whether somebody asked for the end goes out."""

import signal
import threading
from types import TracebackType
from typing import Any

NAMES = ("SIGINT", "SIGTERM", "SIGHUP")
"""Ctrl-C; a supervisor; a terminal that goes away."""


class EndingSignals:
    """Remembers the first signal that asks for an end; the next one ends at once, as ever.

    Signals that are ignored, as ``nohup`` does, stay so.

    Attributes:
        number: of the signal that came; None before.

    Example:
        >>> with EndingSignals() as ending:
        ...     signal.raise_signal(signal.SIGTERM)
        ...     ending.name()
        'SIGTERM'
    """

    def __init__(self) -> None:
        self.number: int | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "EndingSignals":
        if threading.current_thread() is threading.main_thread():  # no other may
            for number in (getattr(signal, name) for name in NAMES if hasattr(signal, name)):
                if signal.getsignal(number) not in (signal.SIG_IGN, None):
                    self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._restore()

    def name(self) -> str | None:
        """Name the signal that came; None before."""
        return None if self.number is None else signal.Signals(self.number).name

    def _note(self, number: int, _: object) -> None:
        self.number = number
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
