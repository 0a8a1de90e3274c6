"""A play head comes in; the boxes of the windows it needs next go out, before it is there."""

import asyncio
import contextlib
import time
from collections import OrderedDict
from itertools import islice, takewhile

from service.clips import Clip
from service.engines import ModelNote
from service.problems import Problem, to_problem
from service.replay.link import Link
from service.replay.lookout import Lookout, windows_from
from service.replay.projector import Projector
from vidar_det.errors import VidarError

BUSY_REST_S = 0.5
MOST_REST_S = 1.0
"""While the head runs, a spotter rests as long as it looked, but no longer than this."""

BATCH_WINDOWS = 4  # looked at in one go: the engine overlaps them
AHEAD_S = 1.0
FEWEST_AHEAD, MOST_AHEAD = 4, 64  # windows
REMEMBERED_WINDOWS = 4096  # that the page holds already; it holds more than these


class Spotter:
    """Keeps one viewer supplied with the boxes of one model.

    Args:
        link: to the viewer.
        projector: where the play head is.
        clip: that is shown.
        lookout: finds boxes, or knows them.
        place: whose place among the wished models.

    Attributes:
        moved: to be set when the play head has moved.
    """

    def __init__(
        self, link: Link, projector: Projector, clip: Clip, lookout: Lookout, place: int
    ) -> None:
        self._link, self._projector = link, projector
        self._clip, self._lookout, self._place = clip, lookout, place
        self._sent: OrderedDict[tuple[str, int], str] = OrderedDict()
        self.moved = asyncio.Event()

    def forget(self) -> None:
        """The page holds nothing any more."""
        self._sent.clear()

    async def run(self) -> None:
        """Send boxes until cancelled."""
        while True:
            self.moved.clear()
            if (rest_s := self._projector.settled_at - time.monotonic()) > 0:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self.moved.wait(), rest_s)
                continue
            model = self._model()
            starts = self._next_windows(model) if model else []
            if not model or not starts:
                await self.moved.wait()
                continue
            try:
                await self._send(model, starts)
            except Problem as problem:
                if problem.status != 503:
                    await self._link.tell(problem)
                await asyncio.sleep(BUSY_REST_S)
            except VidarError as error:
                await self._link.tell(to_problem(error, (self._clip.path.parent,)))
                await self.moved.wait()

    def _model(self) -> ModelNote | None:
        names = self._projector.wish.models
        if self._place >= len(names):
            return None
        wanted = names[self._place]
        return next((model for model in self._lookout.models if model.name == wanted), None)

    async def _send(self, model: ModelNote, starts: list[int]) -> None:
        reel, begin = self._projector.reel, time.monotonic()
        looking = self._lookout.look(self._clip, reel, model, starts)
        async with contextlib.aclosing(looking) as messages:
            async for start, message in messages:
                await self._link.pass_on(message)
                if start is not None:
                    self._sent[model.name, start] = message
        while len(self._sent) > REMEMBERED_WINDOWS:
            self._sent.popitem(last=False)
        await self._correct(model)
        if self._projector.player.planes_per_s:  # pictures come first
            await asyncio.sleep(min(MOST_REST_S, time.monotonic() - begin))

    async def _correct(self, model: ModelNote) -> None:
        """Send windows again whose tracks bear other numbers by now: a gap was closed."""
        told = self._lookout.told(self._clip, self._projector.reel, model)
        for (name, start), sent in list(self._sent.items()):
            message = told.get(start, sent)
            if name == model.name and message != sent:
                await self._link.pass_on(message)
                self._sent[name, start] = message

    def _next_windows(self, model: ModelNote) -> list[int]:
        """Choose neighbouring windows that the page lacks, the one under the head first.

        That one goes alone where the head rests: somebody waits for it.
        """
        length, wanted = model.window, self._wanted(model)
        missing = [start for start in wanted if (model.name, start) not in self._sent]
        is_awaited = missing[:1] == wanted[:1] and not self._projector.player.planes_per_s
        batch = enumerate(missing[: 1 if is_awaited else BATCH_WINDOWS])
        return [
            start
            for _, start in takewhile(lambda one: one[1] == missing[0] + one[0] * length, batch)
        ]

    def _wanted(self, model: ModelNote) -> list[int]:
        """The windows from the head on; then those it comes back to, or steps back to."""
        recording, player = self._projector.reel.recording, self._projector.player
        length, plane = model.window, self._projector.plane
        first, last = player.span
        ahead = int(player.planes_per_s * AHEAD_S / length)
        ahead = min(MOST_AHEAD, max(FEWEST_AHEAD, ahead))
        back = first if player.loop else max(0, plane - length)
        wanted = [
            *islice(windows_from(recording, plane, length), ahead),
            *islice(windows_from(recording, back, length), FEWEST_AHEAD),
        ]
        return [start for start in wanted if start < last]
