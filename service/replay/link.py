"""Messages of a replay come in from its parts; they go out over one socket, one at a time."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from starlette.websockets import WebSocket, WebSocketDisconnect

from service.problems import Problem
from service.replay.protocol import Shown, pack, say

CLOSED_ABRUPTLY = 1006


@contextlib.asynccontextmanager
async def _open() -> AsyncIterator[None]:
    """Say in one way that the viewer has left; Starlette has a second for those who still talk."""
    try:
        yield
    except RuntimeError as error:
        raise WebSocketDisconnect(CLOSED_ABRUPTLY) from error


class Link:
    """The way to one viewer.

    Args:
        socket: accepted already.

    Attributes:
        sequence: number of the next binary message.
    """

    def __init__(self, socket: WebSocket) -> None:
        self._socket, self._sending = socket, asyncio.Lock()
        self.sequence = 0

    async def hear(self) -> str:
        """Wait for the viewer's next words.

        Raises:
            WebSocketDisconnect: the viewer left.
        """
        return await self._socket.receive_text()

    async def say(self, kind: str, **members: object) -> None:
        """Send a text message of this type."""
        await self.pass_on(say(kind, **members))

    async def pass_on(self, text: str) -> None:
        """Send a text message that is written already."""
        async with self._sending, _open():
            await self._socket.send_text(text)

    async def tell(self, problem: Problem) -> None:
        """Say what went wrong."""
        await self.say("problem", problem=problem.document())

    async def show(self, shown: Shown, payload: bytes) -> None:
        """Send a picture or planes."""
        async with self._sending, _open():
            await self._socket.send_bytes(pack(shown, self.sequence, payload))
            self.sequence += 1
