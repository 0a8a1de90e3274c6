"""The recording that comes along goes in; detections, their score and pictures come out."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from vidar_det.commands.film import draw_window
from vidar_det.commands.pictures import Darkroom, write_picture
from vidar_det.commands.predict import PredictionSummary, PredictSettings, predict_recording
from vidar_det.commands.scoring import score_windows
from vidar_det.commands.staging import staged_folder
from vidar_det.datasets.windows import LabelledWindow, labelled_windows
from vidar_det.detections.label_reader import read_labels
from vidar_det.detector.execution import Execution
from vidar_det.detector.predictor import Detector, load_detector
from vidar_det.detector.spec import DEFAULT_WEIGHTS
from vidar_det.evaluation.accuracy import AccuracyReport
from vidar_det.spikes.demo import RECORDING_FILE, find_demo
from vidar_det.spikes.recording import open_recording
from vidar_det.spikes.selection import Selection, window_grid

LABELS_FILE = "demo.json"
PICTURE_FILE = "detection.png"
STRIDE = 8
"""Planes from one picture of the video to the next: overlapping windows make motion smooth."""


@dataclass(frozen=True)
class DemoSummary:
    """What the demo came to.

    Attributes:
        prediction: what was found.
        accuracy: how that compares with the exact boxes.
        planes: of the recording.
    """

    prediction: PredictionSummary
    accuracy: AccuracyReport
    planes: int


def run_demo(
    out: str | Path,
    weights: str = DEFAULT_WEIGHTS,
    overwrite: bool = False,
    folder: Path | None = None,
    report: Callable[[int, int], None] = lambda done, total: None,
    execution: Execution | None = None,
) -> DemoSummary:
    """Detect objects in the demo recording, and score them against its exact boxes.

    Args:
        out: folder of the results: ``predictions.json``, ``annotated.mp4``, ``detection.png``.
        weights: name or path of the weights.
        overwrite: replace results that exist.
        folder: holds ``demo.dat`` and ``demo.json``; by default the ones that come along.
        report: told after each window.
        execution: where and how the network runs; see ``load_detector``.

    Raises:
        SourceError: the demo recording is missing.
        CheckpointError: the weights are missing or do not fit.
        OutputError: ``out`` holds files already, or cannot be written.

    Example:
        >>> run_demo("found").accuracy.mAP50 > 0.5  # doctest: +SKIP
        True
    """
    detector = load_detector(weights, execution=execution)
    folder = find_demo() if folder is None else folder
    recording = open_recording(folder / RECORDING_FILE)
    labels = read_labels(folder / LABELS_FILE, detector.spec.classes)
    labelled = list(labelled_windows(folder, labels, detector.spec.window))
    with staged_folder(out, overwrite) as staging:
        settings = PredictSettings(Selection(stride=STRIDE))
        prediction = predict_recording(detector, recording, staging, settings, report)
        accuracy = score_windows(detector, labelled)
        _write_detection(detector, labelled[len(labelled) // 2], staging / PICTURE_FILE)
    prediction = dataclasses.replace(prediction, out=str(out))
    return DemoSummary(prediction, accuracy, len(recording))


def _write_detection(detector: Detector, labelled: LabelledWindow, path: Path) -> None:
    """Draw a labelled window, exact boxes dashed; the demo takes the middle one, unpicked."""
    window = labelled.window
    room = Darkroom(window_grid(window.stream, Selection(), window.length))
    found = detector.predict(window)
    write_picture(path, draw_window(room, window, found, detector.spec.classes, labelled.truth))
