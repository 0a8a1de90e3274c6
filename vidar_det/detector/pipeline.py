"""Items and some work come in; results go out in the items' order, worked on side by side."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

AHEAD = 2
"""Items begun per worker before the first of them is asked for."""


def work_in_order(
    items: Iterable[Item | None], work: Callable[[Item], Result], workers: int
) -> Iterator[tuple[Item, Result]]:
    """Work on several items at once, and give their results in order.

    Each worker takes one item through all of its stages, so that the stages of different items
    overlap without being told how long each takes. At most ``workers * 2`` items are begun or done
    and not yet asked for: whoever asks slowly holds the work back, and memory stays flat.

    Args:
        items: taken one by one, only as they are begun. None among them says that nothing has
            come yet: it is asked again after the next result, and where there is none to wait for,
            the walk ends.
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
        yield from ((item, work(item)) for item in _come(items))
        return
    source = iter(items)
    begun: deque[tuple[Item, Future[Result]]] = deque()
    failed: list[Exception] = []
    pool = ThreadPoolExecutor(workers, thread_name_prefix="window")

    def begin() -> None:
        try:
            most = workers * AHEAD - len(begun)
            begun.extend((item, pool.submit(work, item)) for item in _come(source, most))
        except Exception as error:  # noqa: BLE001 - whatever it is, it waits for its turn
            failed.append(error)

    try:
        begin()
        while begun:
            item, future = begun.popleft()
            result = future.result()
            if not failed:
                begin()
            yield item, result
        if failed:
            raise failed[0]
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _come(items: Iterable[Item | None], most: int | None = None) -> Iterator[Item]:
    """Give items, until none has come or there are so many."""
    for item in islice(items, most):
        if item is None:
            return
        yield item
