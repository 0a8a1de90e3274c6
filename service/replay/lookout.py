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
from service.replay.source import Reel
from service.replay.tracks import Tracker
from service.scores import Score
from service.threads import in_thread
from vidar_det.detections.boxes import Detections
from vidar_det.detections.coco import results_of
from vidar_det.detector.clip_prediction import Question
from vidar_det.detector.predictor import Thresholds
from vidar_det.spikes.selection import Selection
from vidar_det.spikes.sidecar import RecordingOptions
from vidar_det.spikes.stream import SpikeStream

LOWEST_SCORE = 0.05
"""Down to which boxes are sent; the page's slider ends here."""

KEPT_BYTES, KEPT_PAIRS = 16 << 20, 8
"""Kept of one clip and one model, and for how many such pairs."""


@dataclass
class _Sightings:
    """What one model found in one clip so far."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    messages: OrderedDict[int, str] = field(default_factory=OrderedDict)
    kept_bytes: int = 0
    pace: str = ""
    tracker: Tracker | None = None
    tracked_to: int = -1

    def keep(self, start: int, message: str) -> None:
        self.messages[start] = message
        self.kept_bytes += len(message)
        while self.kept_bytes > KEPT_BYTES:
            _, oldest = self.messages.popitem(last=False)
            self.kept_bytes -= len(oldest)


class Lookout:
    """Looks at windows before play heads reach them, and remembers; for one thread.

    Args:
        engine: runs the detectors.
        scores: how good they are, where somebody measured it.
    """

    def __init__(self, engine: Engine, scores: Mapping[str, Score] | None = None) -> None:
        self._engine, self._scores = engine, scores or {}
        self._pairs: OrderedDict[tuple[object, ...], _Sightings] = OrderedDict()
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
    ) -> AsyncGenerator[str, None]:
        """Look at neighbouring windows.

        Args:
            clip: that is looked at.
            reel: its recording.
            model: that looks.
            starts: first planes of windows that follow each other.

        Yields:
            A ``boxes`` message per window as soon as it is found, and last a ``pace`` message: how
            long the model took.

        Raises:
            Problem: 503, the engine has no room.
            VidarError: the recording is no longer what it was.
        """
        sightings = self._sightings(clip, reel, model)
        async with sightings.lock:
            for start in itertools.takewhile(sightings.messages.__contains__, starts):
                yield sightings.messages[start]
            missing = [start for start in starts if start not in sightings.messages]
            if not missing:
                yield sightings.pace
                return
            task = _task(clip, model, missing)
            async with contextlib.aclosing(self._engine.detect(task)) as steps:
                async for step in steps:
                    if isinstance(step, WindowFound):
                        start = step.window.plane_start
                        tracks = await in_thread(
                            partial(_track, sightings, start, model.window, step.detections)
                        )
                        message = _boxes(model, start, step.detections, tracks)
                        sightings.keep(start, message)
                        yield message
                    else:
                        ms = step.timing_ms.inference / len(missing)
                        sightings.pace = say("pace", model=model.name, ms=round(ms, 2))
                        yield sightings.pace

    def _sightings(self, clip: Clip, reel: Reel, model: ModelNote) -> _Sightings:
        recording = reel.recording
        shape = (*recording.shape[1:], recording.layout, recording.flip)
        pair = (clip.note.id, reel.identity, shape, model.name, model.version)
        if pair not in self._pairs:
            self._pairs[pair] = _Sightings()
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


def _track(sightings: _Sightings, start: int, length: int, found: Detections) -> list[int]:
    """Number the objects; where windows were left out, tracks begin anew."""
    if sightings.tracker is None or sightings.tracked_to != start:
        first_id = sightings.tracker.next_id if sightings.tracker else 1
        sightings.tracker = Tracker(first_id)
    sightings.tracked_to = start + length
    tracks: list[int] = sightings.tracker.update(found).tolist()
    return tracks


def _boxes(model: ModelNote, start: int, found: Detections, tracks: list[int]) -> str:
    boxes = [
        [*result["bbox"], result["score"], result["category_id"], track]
        for result, track in zip(results_of(found, 0), tracks, strict=True)
    ]
    return say("boxes", model=model.name, start=start, count=model.window, boxes=boxes)
