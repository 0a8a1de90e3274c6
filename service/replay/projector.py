"""A viewer's wishes and credits come in; the pictures under the play head go out in time.

A picture costs a credit. When none is left the play head runs on: what it passes meanwhile is
dropped, and never shown late.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable

from service.replay.link import Link
from service.replay.pictures import PLAYING_QUALITY, STILL_QUALITY
from service.replay.player import Pace, Player
from service.replay.protocol import MOST_CREDITS, Watch
from service.replay.source import Reel
from service.threads import in_thread

SETTLE_S = 0.1
"""After a leap, others let the picture go first: whoever looks for a place leaps again soon."""


class Projector:
    """Shows one recording to one viewer.

    Args:
        link: to the viewer.
        reel: the recording.
        on_move: told whenever the play head has moved.

    Attributes:
        wish: what the viewer asked for last.
        player: the play head.
        reel: the recording as it is by now.
        settled_at: when a leap has become a rest, by a steady clock.
    """

    def __init__(self, link: Link, reel: Reel, on_move: Callable[[], None]) -> None:
        self.link, self.reel, self._on_move = link, reel, on_move
        self.player = Player(len(reel.recording))
        self.wish = Watch(type="watch", generation=0)
        self._is_new, self._credits = False, 0
        self.settled_at = 0.0
        self._wake = asyncio.Event()

    @property
    def plane(self) -> int:
        """The plane under the play head, now."""
        return self.player.at(time.monotonic())

    def obey(self, wish: Watch) -> None:
        """Do what the viewer wishes from now on."""
        now, planes = time.monotonic(), len(self.reel.recording)
        plane = self.player.at(now) if wish.plane is None else min(wish.plane, planes - 1)
        runs = wish.playing and not wish.follow
        planes_per_s = self.reel.recording.sensor.rate_hz * wish.speed if runs else 0.0
        if wish.follow:
            plane = planes - 1
        elif runs and wish.loop is None and plane == planes - 1:  # at the end: once more
            plane = 0
        self.player = Player(planes, planes_per_s, plane, now, wish.loop)
        self.wish, self._is_new = wish, True
        is_leap = wish.plane is not None and wish.picture and not wish.playing
        self.settled_at = now + SETTLE_S if is_leap else now
        self._wake.set()
        self._on_move()

    def grant(self, credits: int) -> None:
        """Allow so many pictures more."""
        self._credits = min(MOST_CREDITS, self._credits + credits)
        self._wake.set()

    def change(self, reel: Reel) -> None:
        """Go on with a recording that has become another."""
        now, planes = time.monotonic(), len(reel.recording)
        self.reel, self.player = reel, self.player.grown(planes, now)
        if self.wish.follow:
            self.player = Player(planes, 0.0, planes - 1, now)
        self._wake.set()
        self._on_move()

    async def run(self) -> None:
        """Show pictures until cancelled."""
        shown: int | None = self.plane  # nothing is sent before the first wish
        pace = Pace(time.monotonic())
        while True:
            self._wake.clear()
            now = time.monotonic()
            if self._is_new:
                self._is_new, pace = False, Pace(now)
                shown = None if self.wish.picture or self.wish.playing else self.plane
                await self.link.say(
                    "now", generation=self.wish.generation, sequence=self.link.sequence
                )
            if self._credits and (due := pace.take(now, self.wish.fps)) is not None:
                plane = self.player.at(due)  # where the head was then, not where it is by now
                if plane != shown:
                    await self._show(plane)
                    shown = plane
                    self._on_move()
                await self._end(plane)
            await self._rest(pace.due)

    async def _show(self, plane: int) -> None:
        wish, lightbox = self.wish, self.reel.lightbox
        quality = PLAYING_QUALITY if wish.playing else STILL_QUALITY
        shown, payload = await in_thread(
            lambda: lightbox.jpeg(wish.view, plane, wish.window, quality)
        )
        if self.wish is wish:  # else the viewer has changed its mind meanwhile
            self._credits -= 1
            await self.link.show(shown, payload)

    async def _end(self, shown: int) -> None:
        """Stop at the end of the recording, once its last plane was shown."""
        last = self.player.planes - 1
        if shown == last and self.player.has_ended(time.monotonic()):
            self.player = Player(self.player.planes, 0.0, last)
            await self.link.say("ended", generation=self.wish.generation)

    async def _rest(self, due: float) -> None:
        """Wait until a picture is due while the head runs; for a wish or a credit otherwise."""
        is_running = self.player.planes_per_s > 0 and self._credits > 0
        wait_s = max(0.0, due - time.monotonic()) if is_running else None
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), wait_s)
