"""A labelled dataset and a detector come in; how good the boxes are goes out."""

import contextlib
import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vidar_det.commands.scoring import SCORED_CONF, score_windows
from vidar_det.commands.staging import staged_folder
from vidar_det.detections.labels import LabelReport
from vidar_det.detector.predictor import Detector
from vidar_det.evaluation.accuracy import AccuracyReport
from vidar_det.outputs import write_json
from vidar_det.spikes.labels import ClassMap
from vidar_det.training.class_map import complete_class_map
from vidar_det.training.labelled_data import open_labelled_data
from vidar_det.training.reading import ReadingSpec
from vidar_det.training.windows import labelled_windows

METRICS_FILE = "metrics.json"


@dataclass(frozen=True)
class ValSummary:
    """How good a detector is on one split of a dataset.

    Attributes:
        weights: name of the detector.
        data: the dataset's folder.
        split: the split.
        accuracy: COCO's figures.
        labels: boxes that were dropped or are doubtful.
    """

    weights: str
    data: str
    split: str
    accuracy: AccuracyReport
    labels: LabelReport

    def to_json(self) -> dict[str, Any]:
        """Give ``mAP, mAP50, per_class, ...`` and where they come from, ready for JSON."""
        origin = {"weights": self.weights, "data": self.data, "split": self.split}
        labels = dataclasses.asdict(self.labels) | {"notes": list(self.labels.notes)}
        return self.accuracy.to_json() | origin | {"conf": SCORED_CONF, "labels": labels}

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the labels' reader met, and classes without boxes, one sentence each."""
        empty = [name for name, found in self.accuracy.per_class.items() if not found.objects]
        sentences = [f"class {name!r} has no boxes to find here" for name in empty]
        return (*self.labels.warnings, *sentences)


@dataclass(frozen=True)
class ValSettings:
    """What to score on, and where to write it.

    Attributes:
        split: name of the split.
        classes: the detector's classes, each with the dataset's names that count as it; None
            matches by name.
        out: folder for ``metrics.json``; None writes nothing.
        overwrite: replace a file that exists.
        reading: layout of the dataset, and what its files do not say; the window is the detector's.
    """

    split: str = "test"
    classes: ClassMap | None = None
    out: Path | None = None
    overwrite: bool = False
    reading: ReadingSpec = field(default_factory=ReadingSpec)


def validate(
    detector: Detector,
    data: str | Path,
    settings: ValSettings | None = None,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> ValSummary:
    """Score a detector on a split of a labelled dataset, whatever its layout.

    A labelled range longer than the detector's window is looked at in its middle, where its boxes
    hold.

    Args:
        detector: the detector.
        data: the dataset's folder.
        settings: what to score on, and where to write it.
        report: told after each window.

    Returns:
        COCO's figures, at a lowest score of 0.001.

    Raises:
        SourceError: the dataset or a file of it is missing.
        LabelError: no such split, or a class that the detector does not know.
        RangeError: a labelled range is shorter than the detector's window.
        OutputError: the output folder holds files already, or cannot be written.

    Example:
        >>> validate(load_detector("nano"), "traffic").accuracy.mAP50  # doctest: +SKIP
        0.61
    """
    settings = settings or ValSettings()
    reading = dataclasses.replace(settings.reading, window=detector.spec.window)
    classes = complete_class_map(settings.classes or {}, detector.spec.classes)
    dataset = open_labelled_data(data, reading, classes)
    labels = dataset.labels(settings.split)
    with contextlib.ExitStack() as stack:
        out = settings.out
        folder = out and stack.enter_context(staged_folder(out, settings.overwrite))
        windows = labelled_windows(dataset.folder, labels, detector.spec.window, dataset.open)
        total = len(labels.images)
        accuracy = score_windows(detector, windows, lambda done: report(done, total))
        summary = ValSummary(detector.name, str(data), settings.split, accuracy, labels.report)
        if folder is not None:
            write_json(folder / METRICS_FILE, summary.to_json())
    return summary
