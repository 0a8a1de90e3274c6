"""A recording that a camera still writes comes in; its detections go out as they are found."""

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from vidar_det.commands.predict import (
    PREDICTIONS_FILE,
    PredictionSummary,
    PredictSettings,
)
from vidar_det.detections.boxes import Detections
from vidar_det.detections.envelope import EnvelopeWriter
from vidar_det.detections.predictions import WindowRecord
from vidar_det.detector.clip_prediction import Question, class_ids_of, describe_prediction
from vidar_det.detector.predictor import Detector, StageTimes
from vidar_det.outputs import atomic_path, prepare_output_folder
from vidar_det.spikes.following import FollowSpec, Stretch, follow
from vidar_det.spikes.sidecar import RecordingOptions

Report = Callable[[WindowRecord, Detections], None]
"""Told of each window as soon as it was looked at."""


@dataclass(frozen=True)
class FollowSettings:
    """How to keep up with a camera.

    Attributes:
        timeout_s: the recording has ended when nothing has come for so long.
        drop_late: look at the newest windows only, where more have come than can be worked on at
            once; otherwise every window is looked at, however late.
    """

    timeout_s: float = 10.0
    drop_late: bool = False


class _Watch:
    """A detector that looks at whatever has come."""

    def __init__(self, detector: Detector, question: Question) -> None:
        self.detector, self.question = detector, question
        self.kept = class_ids_of(question.classes, detector.spec.classes)
        self.times, self.total_s = StageTimes(), 0.0
        self.last: Stretch | None = None
        self.windows, self.dropped = 0, 0
        self.per_class = np.zeros(len(detector.spec.classes), np.int64)
        self.said: list[str] = []

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader of the results should know."""
        late = f"{self.dropped} windows came too late and were dropped"
        return (*self.said, *((late,) if self.dropped else ()))

    def look(self, stretch: Stretch, spec: FollowSpec) -> Iterator[tuple[WindowRecord, Detections]]:
        """Detect in all windows of a stretch; each counts on from the last."""
        self.last = stretch
        self.dropped += stretch.dropped
        before_us = stretch.before * 1e6 / stretch.recording.sensor.rate_hz
        begin = time.perf_counter()
        for window, everything in self.detector.stream(
            stretch.recording,
            window=spec.window,
            stride=spec.stride,
            start=stretch.start,
            stop=stretch.stop,
            thresholds=self.question.thresholds,
            times=self.times,
        ):
            found = everything.select(np.isin(everything.class_ids, self.kept))
            self.per_class += np.bincount(found.class_ids, minlength=len(self.per_class))
            start, time_us = stretch.before + window.start, before_us + window.time_us
            self.total_s += time.perf_counter() - begin
            yield WindowRecord(self.windows, start, window.length, time_us), found
            self.windows += 1
            begin = time.perf_counter()


def follow_recording(
    detector: Detector,
    path: Path,
    options: RecordingOptions,
    out: str | Path,
    settings: PredictSettings | None = None,
    keeping_up: FollowSettings | None = None,
    report: Report = lambda window, found: None,
) -> PredictionSummary:
    """Detect objects in a recording while a camera writes it.

    ``predictions.json`` is written when the recording ends: when nothing has come for
    ``timeout_s``, on a signal, or when something fails; it holds all that was found until then.

    Args:
        detector: the detector.
        path: a file that grows, or a folder in which numbered files appear.
        options: what the files do not say.
        out: folder of the results.
        settings: how to look; a video is not made.
        keeping_up: how long to wait for more, and whether to drop what is late.
        report: told of each window at once.

    Returns:
        The figures to show.

    Raises:
        OutputError: ``out`` holds files already, or cannot be written.
        SourceError: nothing to read appeared in time, or it has vanished.
        VidarError: as ``open_recording`` says.

    Example:
        >>> follow_recording(
        ...     load_detector("nano"), Path("camera"), RecordingOptions(), "found"
        ... ).windows  # doctest: +SKIP
        4711
    """
    settings = settings or PredictSettings()
    selection = settings.selection
    window = selection.window or detector.spec.window
    keeping_up = keeping_up or FollowSettings()
    newest = detector.runtime.side_by_side if keeping_up.drop_late else None
    stride = selection.stride or window
    spec = FollowSpec(window, stride, keeping_up.timeout_s, newest=newest)
    question = Question(selection, settings.thresholds, settings.classes)
    watch = _Watch(detector, question)
    folder = prepare_output_folder(out, settings.overwrite)
    with EnvelopeWriter(folder) as envelope, contextlib.ExitStack() as ending:
        ending.callback(_finish, watch, envelope, folder)
        for stretch in follow(path, options, spec, watch.said.append):
            for record, found in watch.look(stretch, spec):
                envelope.add(record, found)
                report(record, found)
    frame = describe_prediction(detector, _last(watch).recording, watch.times, watch.total_s)
    return PredictionSummary(
        source=str(path),
        out=str(out),
        windows=watch.windows,
        detections=dict(zip(detector.spec.classes, watch.per_class.tolist(), strict=True)),
        planes_per_s=watch.windows * spec.stride / max(watch.total_s, 1e-9),
        fps=None,
        slow_down=None,
        timing_ms=frame.timing_ms,
        warnings=(*frame.warnings, *watch.warnings),
    )


def _finish(watch: _Watch, envelope: EnvelopeWriter, folder: Path) -> None:
    """Write what there is, however the walk ended; nothing was seen, nothing is written."""
    if watch.last is None:
        return
    stretch = watch.last
    frame = describe_prediction(watch.detector, stretch.recording, watch.times, watch.total_s)
    clip = replace(frame.clip, planes=stretch.before + len(stretch.recording))
    frame = replace(frame, clip=clip, warnings=(*frame.warnings, *watch.warnings))
    with atomic_path(folder / PREDICTIONS_FILE, overwrite=True) as partial:
        envelope.finish(partial, frame)


def _last(watch: _Watch) -> Stretch:
    assert watch.last is not None  # follow refuses when nothing ever came
    return watch.last
