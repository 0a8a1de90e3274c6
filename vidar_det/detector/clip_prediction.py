"""A recording, a detector and a question come in; its windows' detections and their frame go out.

The command line writes them to ``predictions.json``, the service answers with them.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from vidar_det.config import did_you_mean
from vidar_det.detections.boxes import Detections
from vidar_det.detections.predictions import (
    ClipRecord,
    ModelRecord,
    Predictions,
    TimingRecord,
    WindowRecord,
)
from vidar_det.detector.predictor import Detector, StageTimes, Thresholds
from vidar_det.errors import LabelError
from vidar_det.spikes.selection import Selection, WindowGrid, recording_warnings, window_grid
from vidar_det.spikes.stream import SpikeStream, SpikeWindow


@dataclass(frozen=True)
class Question:
    """What is asked about a recording.

    Attributes:
        selection: planes and windows; by default the detector's own window, gap-free.
        thresholds: which boxes are kept.
        classes: names of the classes to keep; empty keeps all.
    """

    selection: Selection = field(default_factory=Selection)
    thresholds: Thresholds = field(default_factory=Thresholds)
    classes: tuple[str, ...] = ()


class ClipPrediction:
    """One walk of a detector over one recording, in constant memory.

    Args:
        detector: the detector.
        recording: the recording.
        question: which windows, and which boxes are kept.
        times: the stages' seconds are added here.

    Attributes:
        detector: the detector.
        grid: the windows that are looked at.
        times: seconds in each stage so far.
        total_s: seconds altogether so far; the clock stands still between windows.

    Raises:
        RangeError: the recording has no such planes, or not one window fits.
        LabelError: a class that the detector does not know.

    Example:
        >>> from vidar_det.detector.predictor import load_detector
        >>> from vidar_det.spikes.stream import Sensor
        >>> dark = SpikeStream.from_planes(np.zeros((300, 250, 400), np.uint8), Sensor(400, 250))
        >>> prediction = ClipPrediction(load_detector("nano"), dark, Question())
        >>> [(record.plane_start, len(found)) for record, _, found in prediction]
        [(0, 0), (128, 0)]
        >>> prediction.frame().clip.planes
        300
    """

    def __init__(
        self,
        detector: Detector,
        recording: SpikeStream,
        question: Question,
        times: StageTimes | None = None,
    ) -> None:
        self.detector = detector
        length = _usual_window(detector, recording, question.selection)
        self.grid: WindowGrid = window_grid(recording, question.selection, length)
        self.times, self.total_s = times or StageTimes(), 0.0
        self._thresholds = question.thresholds
        self._kept = class_ids_of(question.classes, detector.spec.classes)

    def __len__(self) -> int:
        """How many windows there are."""
        return len(self.grid)

    def __iter__(self) -> Iterator[tuple[WindowRecord, SpikeWindow, Detections]]:
        """Detect, and keep the wanted classes.

        Raises:
            RangeError: a window's planes do not divide into the network's bins.
        """
        begin = time.perf_counter()
        found_in = self.detector.stream(
            self.grid.recording,
            window=self.grid.length,
            stride=self.grid.stride,
            start=self.grid.start,
            stop=self.grid.stop,
            thresholds=self._thresholds,
            times=self.times,
        )
        for number, (window, everything) in enumerate(found_in):
            found = everything.select(np.isin(everything.class_ids, self._kept))
            record = WindowRecord(number, window.start, window.length, window.time_us)
            self.total_s += time.perf_counter() - begin
            yield record, window, found
            begin = time.perf_counter()

    def frame(self, sha256: str | None = None, request_id: str | None = None) -> Predictions:
        """Everything that the document says beside windows and detections.

        Args:
            sha256: of the recording's bytes, where somebody computed it.
            request_id: the HTTP request that asked.
        """
        frame = describe_prediction(self.detector, self.grid.recording, self.times, self.total_s)
        clip = describe_clip(self.grid.recording, sha256)
        return replace(frame, clip=clip, warnings=self._warnings(), request_id=request_id)

    def _warnings(self) -> tuple[str, ...]:
        """What reader and runtime said, windows shorter than the net's own, planes in no window."""
        grid, usual = self.grid, self.detector.spec.window
        warnings = (*recording_warnings(grid.recording), *self.detector.runtime.warnings)
        if grid.length < usual:
            short = f"windows of {grid.length} planes gather less light than the net's own {usual}"
            warnings = (*warnings, short)
        if grid.unseen_planes:
            seen = f"whole windows of {grid.length} every {grid.stride}"
            unseen = f"{grid.unseen_planes} planes lie outside {seen} and were not looked at"
            warnings = (*warnings, unseen)
        return warnings


def describe_prediction(
    detector: Detector, recording: SpikeStream, times: StageTimes, total_s: float
) -> Predictions:
    """Say everything about a prediction beside its windows and detections.

    Args:
        detector: that looked.
        recording: that it looked at.
        times: seconds in each stage.
        total_s: seconds altogether.
    """
    spent = (times.counting_s, times.inference_s, total_s)
    ran = detector.runtime.describe()
    return Predictions(
        model=ModelRecord(
            detector.name,
            detector.version,
            detector.params,
            detector.spec.encoding.steps,
            ran.name,
            ran.precision,
        ),
        clip=describe_clip(recording),
        classes=detector.spec.classes,
        windows=(),
        detections=(),
        timing_ms=TimingRecord(*(round(1e3 * seconds, 3) for seconds in spent)),
        warnings=(*recording_warnings(recording), *detector.runtime.warnings),
    )


def describe_clip(recording: SpikeStream, sha256: str | None = None) -> ClipRecord:
    """Say what a recording is.

    Args:
        recording: the recording.
        sha256: of its bytes, where somebody computed it.
    """
    return ClipRecord(
        width=recording.sensor.width,
        height=recording.sensor.height,
        planes=len(recording),
        rate_hz=recording.sensor.rate_hz,
        layout=recording.layout,
        flip=recording.flip,
        sha256=sha256,
        trailing_bytes=recording.report.trailing_bytes,
    )


def class_ids_of(names: Sequence[str], classes: Sequence[str]) -> list[int]:
    """Look class names up; no names means all classes.

    Raises:
        LabelError: a name that is none of ``classes``.

    Example:
        >>> class_ids_of(["vehicle"], ["person", "vehicle"])
        [1]
    """
    for name in names:
        if name not in classes:
            raise LabelError(f"class {name!r} is unknown to this net{did_you_mean(name, classes)}")
    return [classes.index(name) for name in names or classes]


def _usual_window(detector: Detector, recording: SpikeStream, selection: Selection) -> int:
    """The net's own window, or the longest one that a shorter recording allows."""
    start, stop = selection.span(recording)
    bins = detector.spec.encoding.bins
    return min(detector.spec.window, max(bins, (stop - start) // bins * bins))
