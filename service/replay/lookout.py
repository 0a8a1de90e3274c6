"""A play head's next windows come in; boxes and tracks go out, found once for all viewers.

The windows are those of ``predict``: gap-free from the recording's start, of the network's own
length. So are the boxes: a page hides those below its slider, and asks nobody.
"""

import asyncio
import contextlib
import itertools
from collections import OrderedDict
from collections.abc import AsyncGenerator, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

from service.clips import Clip
from service.engines import Engine, ModelNote, Task, WindowFound
from service.problems import busy
from service.replay.protocol import say
from service.replay.sightings import Sightings
from service.replay.source import Reel
from service.scores import Score
from service.threads import in_thread
from vidar_det.detector.clip_prediction import Question
from vidar_det.detector.predictor import Thresholds
from vidar_det.spikes.selection import Selection
from vidar_det.spikes.sidecar import RecordingOptions
from vidar_det.spikes.stream import SpikeStream

LOWEST_SCORE = 0.05
"""Down to which boxes are sent; the page's slider ends here."""

KEPT_PAIRS = 8
"""Of a clip and a model, whose sightings are remembered."""


@dataclass
class _Pair:
    """What one model found in one clip so far; the lock is held by whoever lets it look."""

    sightings: Sightings
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    pace: str = ""


class Lookout:
    """Looks at windows before play heads reach them, and remembers; for one thread.

    Args:
        engine: runs the detectors.
        scores: how good they are, where somebody measured it.
    """

    def __init__(self, engine: Engine, scores: Mapping[str, Score] | None = None) -> None:
        self._engine, self._scores = engine, scores or {}
        self._pairs: OrderedDict[tuple[object, ...], _Pair] = OrderedDict()
        self._viewers = 0

    @contextlib.contextmanager
    def seat(self, most: int) -> Iterator[None]:
        """Keep a place for one viewer, as long as there are any.

        Raises:
            Problem: 503, all are taken.
        """
        if self._viewers >= most:
            raise busy(503, "too-many-viewers", f"{most} viewers are watching already")
        self._viewers += 1
        try:
            yield
        finally:
            self._viewers -= 1

    @property
    def models(self) -> tuple[ModelNote, ...]:
        """What can look."""
        return self._engine.models

    def describe_models(self) -> list[dict[str, Any]]:
        """Say what can look, how large it is and how good."""
        unknown = {"mAP": None, "scored_on": ""}
        return [
            asdict(model)
            | (asdict(self._scores[model.name]) if model.name in self._scores else unknown)
            for model in self.models
        ]

    async def look(
        self, clip: Clip, reel: Reel, model: ModelNote, starts: list[int]
    ) -> AsyncGenerator[tuple[int | None, str], None]:
        """Look at neighbouring windows.

        Args:
            clip: that is looked at.
            reel: its recording.
            model: that looks.
            starts: first planes of windows that follow each other.

        Yields:
            A window's first plane and its ``boxes`` message as soon as it is found, and last None
            and a ``pace`` message: how long the model took.

        Raises:
            Problem: 503, the engine has no room.
            VidarError: the recording is no longer what it was.
        """
        pair = self._pair(clip, reel, model)
        messages = pair.sightings.messages
        async with pair.lock:
            for start in itertools.takewhile(messages.__contains__, starts):
                yield start, messages[start]
            missing = [start for start in starts if start not in messages]
            if not missing:
                yield None, pair.pace
                return
            gaps = [hole.index for hole in reel.recording.holes]
            task = _task(clip, model, missing)
            async with contextlib.aclosing(self._engine.detect(task)) as steps:
                async for step in steps:
                    if isinstance(step, WindowFound):
                        start = step.window.plane_start
                        add = partial(pair.sightings.add, start, step.detections, gaps)
                        await in_thread(add)
                        yield start, messages[start]
                    else:
                        ms = step.timing_ms.inference / len(missing)
                        pair.pace = say("pace", model=model.name, ms=round(ms, 2))
                        yield None, pair.pace

    def told(self, clip: Clip, reel: Reel, model: ModelNote) -> Mapping[int, str]:
        """Give the ``boxes`` messages of all windows that are known, as they are by now."""
        return self._pair(clip, reel, model).sightings.messages

    def _pair(self, clip: Clip, reel: Reel, model: ModelNote) -> _Pair:
        recording = reel.recording
        shape = (*recording.shape[1:], recording.layout, recording.flip)
        pair = (clip.note.id, reel.identity, shape, model.name, model.version)
        if pair not in self._pairs:
            self._pairs[pair] = _Pair(Sightings(model))
            if len(self._pairs) > KEPT_PAIRS:
                self._pairs.popitem(last=False)
        self._pairs.move_to_end(pair)
        return self._pairs[pair]


def windows_from(recording: SpikeStream, plane: int, length: int) -> Iterator[int]:
    """Give the first planes of windows, from the one that holds a plane on; none holds a gap.

    Example:
        >>> import numpy as np
        >>> from vidar_det.spikes.stream import Sensor
        >>> stream = SpikeStream.from_planes(np.ones((70, 1, 1), np.uint8), Sensor(1, 1))
        >>> list(windows_from(stream, plane=25, length=20))
        [20, 40]
    """
    edges = [0, *(hole.index for hole in recording.holes), len(recording)]
    for first, last in itertools.pairwise(edges):
        if plane < last:
            begin = first + max(0, plane - first) // length * length
            yield from range(begin, last - length + 1, length)


def _task(clip: Clip, model: ModelNote, starts: list[int]) -> Task:
    planes = starts[-1] + model.window - starts[0]
    return Task(
        clip=clip.path,
        sha256=clip.note.clip.sha256 or "",
        options=RecordingOptions(),
        question=Question(
            Selection(starts[0], planes, model.window), Thresholds(conf=LOWEST_SCORE)
        ),
        model=model.name,
        request_id="replay",
    )
