"""Blocking work comes in; its result comes out, and the event loop went on meanwhile."""

from collections.abc import Callable
from typing import TypeVar

import anyio
import anyio.to_thread

Result = TypeVar("Result")


async def in_thread(work: Callable[[], Result]) -> Result:
    """Run blocking work to its end in a thread, even if the request is cancelled meanwhile."""
    with anyio.CancelScope(shield=True):
        result = await anyio.to_thread.run_sync(work)
    return result  # noqa: RET504 - mypy: the scope's type may swallow an exception
