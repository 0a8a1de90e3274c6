"""A recording and a detector come in; predictions.json and annotated.mp4 lie on the disk."""

import contextlib
import hashlib
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vidar_det.commands.staging import staged_folder
from vidar_det.detections.envelope import EnvelopeWriter
from vidar_det.detections.predictions import TimingRecord
from vidar_det.detector.clip_prediction import ClipPrediction, Question
from vidar_det.detector.predictor import Detector, Thresholds
from vidar_det.outputs import prepare_output_folder
from vidar_det.spikes.recording import recording_files
from vidar_det.spikes.selection import Selection, WindowGrid, open_source
from vidar_det.spikes.sidecar import RecordingOptions
from vidar_det.spikes.stream import SpikeStream

if TYPE_CHECKING:
    from vidar_det.commands.film import Film

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
        dropped: windows that came too late to be looked at.
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
    dropped: int = 0


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
    question = Question(settings.selection, settings.thresholds, settings.classes)
    prediction = ClipPrediction(detector, recording, question)
    grid, per_class = prediction.grid, np.zeros(len(detector.spec.classes), np.int64)
    with (
        staged_folder(out, settings.overwrite) as folder,
        EnvelopeWriter(folder) as envelope,
        _open_film(folder, grid, settings, detector.spec.classes) as film,
    ):
        for record, window, found in prediction:
            per_class += np.bincount(found.class_ids, minlength=len(per_class))
            envelope.add(record, found)
            if film is not None:
                film.show(window, found)
            report(record.id + 1, len(grid))
        frame = prediction.frame(_sha256(recording.path))
        envelope.finish(folder / PREDICTIONS_FILE, frame)
    return PredictionSummary(
        source=str(recording.path or "memory"),
        out=str(out),
        windows=len(grid),
        detections=dict(zip(detector.spec.classes, per_class.tolist(), strict=True)),
        planes_per_s=(grid.stop - grid.start - grid.unseen_planes) / prediction.total_s,
        fps=settings.fps if settings.video else None,
        slow_down=slow_down(grid, settings.fps) if settings.video else None,
        timing_ms=frame.timing_ms,
        warnings=frame.warnings,
    )


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
) -> "AbstractContextManager[Film | None]":
    if not settings.video:
        return contextlib.nullcontext()
    from vidar_det.commands.film import Film  # whoever writes no video waits for no codecs

    return Film(folder / VIDEO_FILE, grid, classes, settings.fps)


def slow_down(grid: WindowGrid, fps: float) -> float:
    """How many times slower than life a film of these windows runs.

    Example:
        >>> import numpy as np
        >>> from vidar_det.spikes.selection import Selection, window_grid
        >>> from vidar_det.spikes.stream import Sensor, SpikeStream
        >>> stream = SpikeStream.from_planes(np.zeros((64, 2, 2), np.uint8), Sensor(2, 2))
        >>> slow_down(window_grid(stream, Selection(), length=40), fps=50.0)
        10.0
    """
    frame_us = grid.stride * grid.recording.sensor.plane_us
    return 1e6 / fps / frame_us


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
