"""Items and some work come in; results go out in the items' order, worked on side by side."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from itertools import islice
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

AHEAD = 2
"""Items begun per worker before the first of them is asked for."""

LOOK_S = 0.002
"""Where nothing had come, it is asked again so often while a result is waited for."""


def work_in_order(
    items: Iterable[Item | None], work: Callable[[Item], Result], workers: int
) -> Iterator[tuple[Item, Result]]:
    """Work on several items at once, and give their results in order.

    Each worker takes one item through all of its stages, so that the stages of different items
    overlap without being told how long each takes. At most ``workers * 2`` items are begun or done
    and not yet asked for: whoever asks slowly holds the work back, and memory stays flat.

    Args:
        items: taken one by one, only as they are begun. None among them says that nothing has
            come yet: it is asked again while a result is waited for, and where there is none to
            wait for, the walk ends.
        work: called from several threads.
        workers: how many; 1 works in the caller's thread, when asked.

    Yields:
        Each item with its result; a failure is raised in its place, and the rest is not begun.
        Where ``items`` itself fails, what was begun comes first.

    Example:
        >>> list(work_in_order([3, 1, 2], lambda number: number * number, workers=2))
        [(3, 9), (1, 1), (2, 4)]
    """
    if workers == 1:
        for item in items:
            if item is None:
                return
            yield item, work(item)
        return
    with ThreadPoolExecutor(workers, thread_name_prefix="window") as pool:
        row = _Row(items, lambda item: pool.submit(work, item), workers * AHEAD)
        try:
            yield from row
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


class _Row(Generic[Item, Result]):
    """Items that were begun, in order."""

    def __init__(
        self, items: Iterable[Item | None], begin: Callable[[Item], Future[Result]], most: int
    ) -> None:
        self._items, self._begin, self._most = iter(items), begin, most
        self._begun: deque[tuple[Item, Future[Result]]] = deque()
        self._failure: Exception | None = None
        self._has_all = True  # that had come, when it was asked last

    def __iter__(self) -> Iterator[tuple[Item, Result]]:
        self._fill()
        while self._begun:
            item, future = self._begun[0]
            while not (self._has_all or future.done()):
                wait([future], LOOK_S)
                self._fill()
            result = future.result()
            self._begun.popleft()
            self._fill()
            yield item, result
        if self._failure is not None:
            raise self._failure

    def _fill(self) -> None:
        """Begin what has come, as far as there is room."""
        if self._failure is not None:
            return
        self._has_all = True
        try:
            for item in islice(self._items, self._most - len(self._begun)):
                if item is None:
                    self._has_all = False
                    return
                self._begun.append((item, self._begin(item)))
        except Exception as error:  # noqa: BLE001 - whatever it is, it waits for its turn
            self._failure = error
