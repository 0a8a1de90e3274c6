"""A recording that a camera still writes comes in; its detections go out as they are found."""

import time
from collections import Counter
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
from vidar_det.errors import OutputError
from vidar_det.outputs import atomic_path, prepare_output_folder
from vidar_det.spikes.following import FollowSpec, Stretch, follow
from vidar_det.spikes.following_bytes import CutOffError
from vidar_det.spikes.sidecar import RecordingOptions
from vidar_det.spikes.stream import SpikeWindow

LINES_FILE = "windows.jsonl"
"""Where the windows wait for ``predictions.json``."""

Report = Callable[[WindowRecord, Detections], None]
"""Told of each window as soon as it was looked at."""

More = Callable[[int], Stretch | None]
"""Gives what has come since, see ``Following.more``."""


@dataclass(frozen=True)
class FollowSettings:
    """How to keep up with a camera.

    Attributes:
        timeout_s: the recording has ended when nothing has come for so long.
        drop_late: look at the newest windows only, where more came than were looked at in the
            meantime; otherwise every window is looked at, however late.
        behind: looks where several windows wait; by default the detector that looks live.
        ended_by: asked between windows: who wants to end, or None.
    """

    timeout_s: float = 10.0
    drop_late: bool = False
    behind: Detector | None = None
    ended_by: Callable[[], str | None] = lambda: None


class _NoRoomError(OutputError):
    """A window cannot be kept; there is no room for ``predictions.json`` either."""


class _Watch:
    """A detector that looks at whatever has come."""

    def __init__(self, detector: Detector, behind: Detector, question: Question) -> None:
        self.detector, self.behind, self.question = detector, behind, question
        self.kept = class_ids_of(question.classes, detector.spec.classes)
        self.times, self.total_s = StageTimes(), 0.0
        self.last: Stretch | None = None
        self.windows, self.dropped, self.seen = 0, 0, 0
        self.sensor_s, self.waiting = 0.0, 0
        self.read = 0  # plane of the last stretch before which nothing is read any more
        self.per_class = np.zeros(len(detector.spec.classes), np.int64)
        self.said: Counter[str] = Counter()

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader of the results should know; what was said often, once."""
        said = [f"{one} ({times} times)" if times > 1 else one for one, times in self.said.items()]
        return (*said, *self._lateness())

    def _lateness(self) -> Iterator[str]:
        if self.dropped:
            yield f"{self.dropped} windows came too late and were dropped"
        elif self.waiting and self.total_s > self.sensor_s:
            yield (
                f"slower than the camera: {self.sensor_s:.1f} s of it took {self.total_s:.1f} s, "
                f"and up to {self.waiting} windows waited; --drop-late keeps to the newest"
            )

    def say(self, sentence: str) -> None:
        """Warn the reader of the results."""
        self.said[sentence] += 1

    def say_ended(self, why: str) -> None:
        """Warn that there was more to look at."""
        if self.last is not None:
            unseen = max(0, self.last.planes - self.seen)
            self.say(f"ended by {why}; {unseen} planes were not looked at")

    def look(
        self, stretch: Stretch, spec: FollowSpec, more: More = lambda read: None
    ) -> Iterator[tuple[WindowRecord, Detections]]:
        """Detect in all windows of a stretch; each counts on from the last.

        Where several wait, those that come meanwhile follow them without a rest.
        """
        self.last = stretch
        self.dropped += stretch.dropped
        if not stretch.windows:
            return
        if stretch.is_late:
            self.waiting = max(self.waiting, stretch.windows)
        rate_hz = stretch.recording.sensor.rate_hz
        before_us = stretch.before * 1e6 / rate_hz
        self.read = stretch.start
        if stretch.windows == 1:
            detector, windows = self.detector, self._arriving(stretch, spec, lambda read: None)
        else:
            detector, windows = self.behind, self._arriving(stretch, spec, more)
        found_in = detector.work_through(windows, self.question.thresholds, self.times)
        begin = time.perf_counter()
        try:
            for window, everything in found_in:
                found = everything.select(np.isin(everything.class_ids, self.kept))
                self.per_class += np.bincount(found.class_ids, minlength=len(self.per_class))
                start, time_us = stretch.before + window.start, before_us + window.time_us
                self.seen, self.read = start + window.length, window.start + spec.stride
                self.total_s += time.perf_counter() - begin
                self.windows += 1
                self.sensor_s += spec.stride / rate_hz
                yield WindowRecord(self.windows - 1, start, window.length, time_us), found
                begin = time.perf_counter()
        except CutOffError:  # the next stretch begins anew, and says so
            gone = self.last.before + self.last.stop
            gone -= max(self.seen, stretch.before + stretch.start)
            self.say(f"{gone} planes were gone before they were looked at")

    def _arriving(
        self, stretch: Stretch, spec: FollowSpec, more: More
    ) -> Iterator[SpikeWindow | None]:
        """Give a stretch's windows, then what has come since, or None while nothing has."""
        while True:
            yield from stretch.recording.windows(
                spec.window, spec.stride, stretch.start, stretch.stop, keep=True
            )
            while (came := more(self.read)) is None:
                yield None
            stretch = self.last = came
            self.waiting = max(self.waiting, came.windows)


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
    ``timeout_s``, when somebody asks for it, or when something fails; it holds all that was found
    until then. Where there is no room for it, or the process is killed, ``windows.jsonl`` is left:
    a line of JSON for each window.

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
    settings, keeping_up = settings or PredictSettings(), keeping_up or FollowSettings()
    selection, behind = settings.selection, keeping_up.behind or detector
    window = detector.window_length(selection.window)
    newest = behind.runtime.side_by_side if keeping_up.drop_late else None
    spec = FollowSpec(window, selection.stride or window, keeping_up.timeout_s, newest=newest)
    watch = _Watch(detector, behind, Question(selection, settings.thresholds, settings.classes))
    folder = prepare_output_folder(out, settings.overwrite)

    def is_over() -> bool:
        return keeping_up.ended_by() is not None

    with _open_lines(folder) as lines:
        try:
            following = follow(path, options, spec, watch.say, is_over)
            more = (lambda read: None) if keeping_up.drop_late else following.more
            for stretch in following:
                for record, found in watch.look(stretch, spec, more):
                    _keep(lines, record, found)
                    _tell(report, record, found)
                    if is_over():
                        break
        except _NoRoomError:
            raise
        except BaseException as error:
            error_name = f"an error ({str(error) or type(error).__name__})"
            watch.say_ended(keeping_up.ended_by() or error_name)
            _finish(watch, lines, folder)
            raise
        if is_over():
            watch.say_ended(str(keeping_up.ended_by()))
        _finish(watch, lines, folder)
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
        dropped=watch.dropped,
    )


def _open_lines(folder: Path) -> EnvelopeWriter:
    try:
        return EnvelopeWriter(folder, LINES_FILE)
    except OSError as error:
        raise OutputError(f"{folder / LINES_FILE}: cannot be written: {error.strerror}") from error


def _keep(lines: EnvelopeWriter, record: WindowRecord, found: Detections) -> None:
    try:
        lines.add(record, found)
    except OSError as error:
        raise _NoRoomError(
            f"{lines.path}: cannot be written: {error.strerror}; "
            f"it keeps the {record.id} windows before, a line of JSON each"
        ) from error


def _tell(report: Report, record: WindowRecord, found: Detections) -> None:
    try:
        report(record, found)
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise OutputError(f"a window's line of JSON cannot be printed: {why}") from error


def _finish(watch: _Watch, lines: EnvelopeWriter, folder: Path) -> None:
    """Write what there is, however the walk ended; nothing was seen, nothing is written."""
    if watch.last is not None:
        stretch = watch.last
        frame = describe_prediction(watch.detector, stretch.recording, watch.times, watch.total_s)
        clip = replace(frame.clip, planes=stretch.planes)
        frame = replace(frame, clip=clip, warnings=(*frame.warnings, *watch.warnings))
        try:
            with atomic_path(folder / PREDICTIONS_FILE, overwrite=True) as partial:
                lines.finish(partial, frame)
        except OutputError as error:
            kept = f"{lines.path} keeps the windows, a line of JSON each"
            raise OutputError(f"{error}; {kept}") from error
    lines.discard()


def _last(watch: _Watch) -> Stretch:
    assert watch.last is not None  # follow refuses when nothing ever came
    return watch.last
