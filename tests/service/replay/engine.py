"""An engine whose boxes are written down: two models that agree in part."""

import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field

import anyio.lowlevel
import anyio.to_thread
import numpy as np

from service.engines import ModelNote, Step, Task, WindowFound
from service.problems import busy
from service.recordings import open_clip
from vidar_det.detections.boxes import Detections
from vidar_det.detections.predictions import (
    ModelRecord,
    Predictions,
    TimingRecord,
    WindowRecord,
)
from vidar_det.detector.clip_prediction import class_ids_of, describe_clip

CLASSES = ("person", "vehicle", "cycle")
WINDOW = 64
APPEARS = 128
"""From this plane on there is a person, whom only one of the models sees."""


def boxes_of(model: str, start: int) -> Detections:
    """A vehicle that drives to the right, for both; a person and a faint cycle, for one."""
    rows = [(20 + start / 8, 80, 90 + start / 8, 130, 0.9, 1)]
    if model == "nano" and start >= APPEARS:
        rows.append((180, 60, 200, 120, 0.4, 0))
        rows.append((100, 20, 140, 60, 0.1, 2))
    table = np.array(rows, np.float32)
    return Detections(table[:, :4].copy(), table[:, 4].copy(), table[:, 5].astype(np.int64))


@dataclass
class ViewedEngine:
    """Looks at the windows that it is asked for, and finds what is written down."""

    is_full: bool = False
    is_slow: bool = False
    torn: int = 0
    tasks: list[Task] = field(default_factory=list)
    models = tuple(
        ModelNote(name, "1", params, 2, WINDOW, CLASSES)
        for name, params in (("nano", 470_000), ("half", 230_000))
    )

    async def start(self) -> None:
        """There is nothing to load."""

    async def stop(self) -> None:
        """There is nothing to let go of."""

    async def check_health(self) -> None:
        """It is always well."""

    def check_room(self) -> None:
        if self.is_full:
            raise busy(503, "engine-busy", "full")

    async def detect(self, task: Task) -> AsyncGenerator[Step, None]:
        self.check_room()
        self.tasks.append(task)
        recording = open_clip(task.clip, task.options, 1 << 20)
        start, stop = task.question.selection.span(recording)
        conf = task.question.thresholds.conf
        kept = class_ids_of(task.question.classes, CLASSES)
        windows = recording.windows(WINDOW, None, start, stop)
        for number, window in enumerate(windows):
            await self._wait()
            found = boxes_of(task.model, window.start)
            record = WindowRecord(number, window.start, WINDOW, window.time_us)
            shown = (found.scores >= conf) & np.isin(found.class_ids, kept)
            yield WindowFound(record, found.select(shown))
        yield Predictions(
            ModelRecord(task.model, "1", 9, 2),
            describe_clip(recording, task.sha256 or None),
            CLASSES,
            (),
            (),
            TimingRecord(1.0, 8.0, 9.0),
            request_id=task.request_id,
        )

    async def _wait(self) -> None:
        """Look in a thread, as an engine does; whoever stops it must wait for the thread."""
        if not self.is_slow:
            await anyio.lowlevel.checkpoint()
            return
        has_ended = False

        def look() -> None:
            nonlocal has_ended
            time.sleep(0.05)
            has_ended = True

        try:
            await anyio.to_thread.run_sync(look)
        finally:
            self.torn += not has_ended
