"""A viewer who came in is served: introduced to a clip, heard, shown pictures, strip and boxes."""

import asyncio
from dataclasses import asdict

import anyio
from starlette.websockets import WebSocketDisconnect

from service.clips import Clip
from service.problems import Problem, to_problem
from service.replay.link import Link
from service.replay.lookout import LOWEST_SCORE, Lookout
from service.replay.pictures import heat_palette, most_interval_planes
from service.replay.projector import Projector
from service.replay.protocol import (
    MOST_PACKED_BYTES,
    VERSION,
    Credit,
    FetchPlanes,
    read_command,
)
from service.replay.source import Reel, ReplaySource
from service.replay.spotter import Spotter
from service.replay.strip import rate_strip
from service.threads import in_thread
from vidar_det.errors import VidarError
from vidar_det.spikes.stream import SpikeStream

GROWTH_POLL_S = 0.25
STRIP_REST_S = 2.0
"""Between two looks over a recording that grows."""

SIDE_BY_SIDE = 2
"""Models that are compared."""


class ReplaySession:
    """Plays one clip to one viewer, until the viewer leaves.

    Args:
        link: to the viewer.
        clip: held by the caller.
        source: opens the clip.
        lookout: finds boxes.
    """

    def __init__(self, link: Link, clip: Clip, source: ReplaySource, lookout: Lookout) -> None:
        self._link, self._clip, self._source, self._lookout = link, clip, source, lookout

    async def run(self) -> None:
        """Play.

        Raises:
            VidarError: the clip cannot be opened.
        """
        link, clip = self._link, self._clip
        self._projector = Projector(link, await in_thread(self._source.open), self._ring)
        self._spotters = [
            Spotter(link, self._projector, clip, self._lookout, place)
            for place in range(SIDE_BY_SIDE)
        ]
        await self._introduce()
        works = [self._listen, self._projector.run, self._look_over]
        works += [spotter.run for spotter in self._spotters]
        if clip.is_in_place:
            works.append(self._watch_growth)
        try:
            # anyio's cancellation waits for a thread's end; asyncio's would leave an engine torn.
            async with anyio.create_task_group() as tasks:
                for work in works:
                    tasks.start_soon(work)
        except* WebSocketDisconnect:
            pass

    async def _introduce(self) -> None:
        """Say what is shown here, and who looks."""
        reel, note = self._projector.reel, self._clip.note
        recording = reel.recording
        clip = asdict(note.clip) | {
            "id": note.id,
            "name": note.name,
            "planes": len(recording),
            "is_in_place": self._clip.is_in_place,
            "warnings": list(note.warnings),
            "holes": _holes(recording),
        }
        await self._link.say(
            "clip",
            version=VERSION,
            clip=clip,
            models=self._lookout.describe_models(),
            white=reel.lightbox.white,
            palette=heat_palette(),
            lowest_score=LOWEST_SCORE,
            most_packed_bytes=MOST_PACKED_BYTES,
            most_interval_planes=most_interval_planes(recording),
        )

    async def _listen(self) -> None:
        while True:
            text = await self._link.hear()
            try:
                command = read_command(text)
            except Problem as problem:
                await self._link.tell(problem)
                continue
            if isinstance(command, Credit):
                self._projector.grant(command.count)
            elif isinstance(command, FetchPlanes):
                await self._send_planes(command)
            else:
                self._projector.obey(command)

    async def _send_planes(self, asked: FetchPlanes) -> None:
        lightbox = self._projector.reel.lightbox
        shown, payload = await in_thread(lambda: lightbox.bits(asked.start, asked.count))
        await self._link.show(shown, payload)

    async def _look_over(self) -> None:
        """Send the firing rate of the whole recording, and again when it has grown."""
        seen: Reel | None = None
        while True:
            reel = self._projector.reel
            if reel is not seen:
                pieces = rate_strip(reel.recording)
                while (piece := await in_thread(lambda: next(pieces, None))) is not None:  # noqa: B023 - awaited here
                    await self._link.say("strip", planes=len(reel.recording), **asdict(piece))
            if not self._clip.is_in_place:
                return
            seen = reel
            await asyncio.sleep(STRIP_REST_S)

    async def _watch_growth(self) -> None:
        """Take a recording as long as it has become."""
        while True:
            await asyncio.sleep(GROWTH_POLL_S)
            old = self._projector.reel
            try:
                reel = await in_thread(lambda: self._source.look_again(old))  # noqa: B023 - awaited here
            except VidarError as error:
                await self._link.tell(to_problem(error, (self._clip.path.parent,)))
                await asyncio.sleep(STRIP_REST_S)
                continue
            if reel is not None:
                await self._change(old, reel)

    async def _change(self, old: Reel, reel: Reel) -> None:
        self._projector.change(reel)
        planes = len(reel.recording)
        if reel.identity == old.identity and planes > len(old.recording):
            await self._link.say(
                "grown", planes=planes, white=reel.lightbox.white, holes=_holes(reel.recording)
            )
            return
        for spotter in self._spotters:
            spotter.forget()
        await self._introduce()

    def _ring(self) -> None:
        for spotter in self._spotters:
            spotter.moved.set()


def _holes(recording: SpikeStream) -> list[list[int]]:
    """First plane after each gap, and how many planes are lost."""
    return [[hole.index, hole.planes] for hole in recording.holes]
