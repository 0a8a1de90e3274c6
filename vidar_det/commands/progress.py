"""Long work reports how far it is; a bar, or a plain line now and then, shows it on stderr."""

import contextlib
import time
from collections.abc import Iterator
from typing import Protocol

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from vidar_det.commands.console import console, show_note

PLAIN_LINE_EVERY_S = 10.0


class Report(Protocol):
    """Told how much is done, of how much, and what else to show beside it."""

    def __call__(self, done: int, total: int, note: str = "") -> None:
        """Say so."""


@contextlib.contextmanager
def progress(what: str, unit: str, is_shown: bool = True) -> Iterator[Report]:
    """Show a bar with rate and time left, or a plain line now and then where there is no terminal.

    Args:
        what: the work, such as ``predict``.
        unit: what is counted, such as ``windows``.
        is_shown: False where another process shows the same work.

    Yields:
        A function to call with what is done, the total, and an optional note.

    Example:
        >>> with progress("predict", "windows") as report:
        ...     report(1, 2)
    """
    if not is_shown:
        yield lambda done, total, note="": None
        return
    if not console.is_terminal:
        yield _PlainLines(what, unit)
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(unit + " {task.fields[rate]}", markup=False),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", markup=False),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(what, total=None, rate="", note="")

        def report(done: int, total: int, note: str = "") -> None:
            if done < bar.tasks[task].completed:  # the next of several recordings
                bar.reset(task)
            speed = bar.tasks[task].speed
            rate = f"{speed:,.1f}/s" if speed else ""
            bar.update(task, completed=done, total=total, rate=rate, note=note)

        yield report


class _PlainLines:
    """Progress for logs: a line every ten seconds, none for work that is done sooner."""

    def __init__(self, what: str, unit: str) -> None:
        self._what, self._unit = what, unit
        self._said = time.monotonic()
        self._begin, self._first, self._last = self._said, 0, 0

    def __call__(self, done: int, total: int, note: str = "") -> None:
        now = time.monotonic()
        if self._last == 0 or done < self._last:  # a start, perhaps of work that was resumed
            self._begin, self._first = now, done
        self._last = done
        if now - self._said < PLAIN_LINE_EVERY_S or done == self._first:
            return
        self._said = now
        rate = (done - self._first) / (now - self._begin)
        pace = f"{rate:,.1f}/s, {(total - done) / rate:,.0f} s left"
        show_note(f"{self._what}: {done:,}/{total:,} {self._unit}, {pace} {note}".rstrip())
