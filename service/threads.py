"""Blocking work comes in; its result comes out, and the event loop went on meanwhile."""

import contextlib
from collections.abc import AsyncIterator, Callable
from typing import TypeVar

import anyio
import anyio.to_thread

from service.problems import busy

Result = TypeVar("Result")


async def in_thread(work: Callable[[], Result]) -> Result:
    """Run blocking work to its end in a thread, even if the request is cancelled meanwhile."""
    with anyio.CancelScope(shield=True):
        result = await anyio.to_thread.run_sync(work)
    return result  # noqa: RET504 - mypy: the scope's type may swallow an exception


class Workroom:
    """Places for heavy work, which would use up memory and everybody's threads.

    Args:
        name: of the work, in the plural.
        places: how many are worked on side by side.
        waiting: how many more may wait for a place.
    """

    def __init__(self, name: str, places: int, waiting: int) -> None:
        self._name, self._most = name, places + waiting
        self._places, self._inside = anyio.Semaphore(places), 0

    @contextlib.asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Take a place, once there is one.

        Raises:
            Problem: 503, too many wait already.
        """
        if self._inside >= self._most:
            detail = f"{self._inside} {self._name} are being made or wait already"
            raise busy(503, f"too-many-{self._name}", detail, retry_after_s=2)
        self._inside += 1
        try:
            async with self._places:
                yield
        finally:
            self._inside -= 1
