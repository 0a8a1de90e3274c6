"""A recording and a detector come in; predictions.json and annotated.mp4 lie on the disk."""

import contextlib
import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vidar_det.commands.envelope import EnvelopeWriter
from vidar_det.commands.film import Film, slow_down
from vidar_det.commands.selection import (
    Selection,
    WindowGrid,
    open_source,
    recording_warnings,
    window_grid,
)
from vidar_det.commands.staging import staged_folder
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
from vidar_det.outputs import prepare_output_folder
from vidar_det.spikes.recording import recording_files
from vidar_det.spikes.sidecar import RecordingOptions
from vidar_det.spikes.stream import SpikeStream, SpikeWindow

PREDICTIONS_FILE = "predictions.json"
VIDEO_FILE = "annotated.mp4"

Report = Callable[[int, int], None]
"""Told how many windows are done, and of how many."""


@dataclass(frozen=True)
class PredictSettings:
    """How to look, and what to write.

    Attributes:
        selection: planes and windows; by default the detector's own window, gap-free.
        thresholds: which boxes are kept.
        classes: names of the classes to keep; empty keeps all.
        video: write ``annotated.mp4``.
        fps: its frames per second.
        overwrite: replace results that exist.
    """

    selection: Selection = field(default_factory=Selection)
    thresholds: Thresholds = field(default_factory=Thresholds)
    classes: tuple[str, ...] = ()
    video: bool = True
    fps: float = 30.0
    overwrite: bool = False


@dataclass(frozen=True)
class PredictionSummary:
    """What one prediction came to.

    Attributes:
        source: the recording.
        out: the folder of the results.
        windows: how many were looked at.
        detections: how many objects were found, by class.
        planes_per_s: planes looked at per second of ``timing_ms.total``.
        fps: frames per second of the video; None without one.
        slow_down: how much slower than life the video runs; None without one.
        timing_ms: where the time went.
        warnings: what the user should know.
    """

    source: str
    out: str
    windows: int
    detections: dict[str, int]
    planes_per_s: float
    fps: float | None
    slow_down: float | None
    timing_ms: TimingRecord
    warnings: tuple[str, ...]


def predict_recording(
    detector: Detector,
    recording: SpikeStream,
    out: str | Path,
    settings: PredictSettings | None = None,
    report: Report = lambda done, total: None,
) -> PredictionSummary:
    """Detect objects window by window, in bounded memory for a recording of any length.

    Args:
        detector: the detector.
        recording: the recording.
        out: folder of the results, ``predictions.json`` and ``annotated.mp4``; nothing is left
            there if anything fails.
        settings: how to look, and what to write.
        report: told after each window.

    Returns:
        The figures to show.

    Raises:
        OutputError: ``out`` holds files already, or cannot be written.
        RangeError: no window fits, or its planes do not divide into the network's bins.
        LabelError: a class that the detector does not know.

    Example:
        >>> from vidar_det import load_detector, open_recording
        >>> predict_recording(
        ...     load_detector("nano"), open_recording("clip.dat"), "found"
        ... ).windows  # doctest: +SKIP
        156
    """
    settings = settings or PredictSettings()
    length = _usual_window(detector, recording, settings.selection)
    grid = window_grid(recording, settings.selection, length)
    tally = _Tally(np.zeros(len(detector.spec.classes), np.int64))
    found_in = _look(detector, grid, settings, tally)
    with (
        staged_folder(out, settings.overwrite) as folder,
        EnvelopeWriter(folder) as envelope,
        _open_film(folder, grid, settings, detector.spec.classes) as film,
    ):
        for number, (window, found) in enumerate(found_in):
            record = WindowRecord(number, window.start, window.length, window.time_us)
            envelope.add(record, found)
            if film is not None:
                film.show(window, found)
            report(number + 1, len(grid))
        frame = _frame(detector, grid, tally)
        envelope.finish(folder / PREDICTIONS_FILE, frame)
    return PredictionSummary(
        source=str(recording.path or "memory"),
        out=str(out),
        windows=len(grid),
        detections=dict(zip(detector.spec.classes, tally.per_class.tolist(), strict=True)),
        planes_per_s=(grid.stop - grid.start - grid.unseen_planes) / tally.total_s,
        fps=settings.fps if settings.video else None,
        slow_down=slow_down(grid, settings.fps) if settings.video else None,
        timing_ms=frame.timing_ms,
        warnings=frame.warnings,
    )


def _usual_window(detector: Detector, recording: SpikeStream, selection: Selection) -> int:
    """The net's own window, or the longest one that a shorter recording allows."""
    start, stop = selection.span(recording)
    bins = detector.spec.encoding.bins
    return min(detector.spec.window, max(bins, (stop - start) // bins * bins))


@dataclass
class _Tally:
    """What has been found so far, by class, and the seconds that it took."""

    per_class: NDArray[np.int64]
    stages: StageTimes = field(default_factory=StageTimes)
    total_s: float = 0.0


def _look(
    detector: Detector, grid: WindowGrid, settings: PredictSettings, tally: _Tally
) -> Iterator[tuple[SpikeWindow, Detections]]:
    """Detect, keep the wanted classes, and count; the clock stands still between windows."""
    kept = class_ids_of(settings.classes, detector.spec.classes)
    begin = time.perf_counter()
    for window, found in detector.stream(
        grid.recording,
        window=grid.length,
        stride=grid.stride,
        start=grid.start,
        stop=grid.stop,
        thresholds=settings.thresholds,
        times=tally.stages,
    ):
        found = found.select(np.isin(found.class_ids, kept))
        tally.per_class += np.bincount(found.class_ids, minlength=len(tally.per_class))
        tally.total_s += time.perf_counter() - begin
        yield window, found
        begin = time.perf_counter()


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


def _frame(detector: Detector, grid: WindowGrid, tally: _Tally) -> Predictions:
    """Everything that the document says beside windows and detections."""
    recording, seconds = grid.recording, tally.stages
    report = recording.report
    return Predictions(
        model=ModelRecord(
            detector.name, detector.version, detector.params, detector.spec.encoding.steps
        ),
        clip=ClipRecord(
            width=recording.sensor.width,
            height=recording.sensor.height,
            planes=len(recording),
            rate_hz=recording.sensor.rate_hz,
            layout=recording.layout,
            flip=recording.flip,
            sha256=_sha256(recording.path),
            trailing_bytes=report.trailing_bytes,
        ),
        classes=detector.spec.classes,
        windows=(),
        detections=(),
        timing_ms=TimingRecord(
            *(
                round(1e3 * spent, 3)
                for spent in (seconds.counting_s, seconds.inference_s, tally.total_s)
            )
        ),
        warnings=_warnings(grid, detector.spec.window),
    )


def _warnings(grid: WindowGrid, usual: int) -> tuple[str, ...]:
    """What the reader said, windows shorter than the net's own, and what no window covers."""
    warnings = recording_warnings(grid.recording)
    if grid.length < usual:
        short = f"windows of {grid.length} planes gather less light than the net's own {usual}"
        warnings = (*warnings, short)
    if grid.unseen_planes:
        seen = f"whole windows of {grid.length} every {grid.stride}"
        unseen = f"{grid.unseen_planes} planes lie outside {seen} and were not looked at"
        warnings = (*warnings, unseen)
    return warnings


def _sha256(path: Path | None) -> str | None:
    """Digest of a file, or of a folder's numbered files end to end."""
    if path is None:
        return None
    digest = hashlib.sha256()
    for file in recording_files(path)[0]:
        with file.open("rb") as stream:
            while chunk := stream.read(1 << 20):
                digest.update(chunk)
    return digest.hexdigest()


def _open_film(
    folder: Path, grid: WindowGrid, settings: PredictSettings, classes: tuple[str, ...]
) -> AbstractContextManager[Film | None]:
    if not settings.video:
        return contextlib.nullcontext()
    return Film(folder / VIDEO_FILE, grid, classes, settings.fps)


def predict_sources(
    detector: Detector,
    sources: Sequence[Path],
    options: RecordingOptions,
    out: str | Path,
    settings: PredictSettings | None = None,
    report: Report = lambda done, total: None,
) -> list[PredictionSummary]:
    """Predict one recording into ``out``, or several into a folder each in ``out``.

    Each recording's results appear when it is done: a failure leaves those before it whole.

    Args:
        detector: the detector.
        sources: files or folders.
        options: what their files do not say, for all of them.
        out: folder of the results.
        settings: how to look, and what to write.
        report: told after each window of each recording.

    Raises:
        VidarError: as ``predict_recording`` and ``open_recording`` say.

    Example:
        >>> predict_sources(
        ...     load_detector("nano"), [Path("a.dat"), Path("b.dat")], RecordingOptions(), "found"
        ... )[1].out  # doctest: +SKIP
        'found/b'
    """
    settings = settings or PredictSettings()
    if len(sources) == 1:
        recording = open_source(sources[0], options)
        return [predict_recording(detector, recording, out, settings, report)]
    prepare_output_folder(out, settings.overwrite)
    folders = [Path(out) / name for name in folder_names(sources)]
    return [
        predict_recording(detector, open_source(source, options), folder, settings, report)
        for source, folder in zip(sources, folders, strict=True)
    ]


def folder_names(sources: Sequence[Path]) -> list[str]:
    """Name a folder after each recording; a name that comes again gets a number.

    Example:
        >>> folder_names([Path("a/clip.dat"), Path("b/clip.dat"), Path("c/run.dat")])
        ['clip', 'clip-2', 'run']
    """
    names: list[str] = []
    for source in sources:
        name = source.resolve().name if source.is_dir() else source.stem
        number, candidate = 1, name
        while candidate in names:
            number += 1
            candidate = f"{name}-{number}"
        names.append(candidate)
    return names
