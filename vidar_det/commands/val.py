"""A labelled dataset and a detector come in; how good it is, and what it costs, goes out."""

import contextlib
import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vidar_det.commands.scoring import SCORED_CONF, Look, look_here
from vidar_det.commands.staging import staged_folder
from vidar_det.commands.val_predictions import (
    PREDICTIONS_FILE,
    predictions_document,
    read_predictions,
    renumber,
)
from vidar_det.commands.val_report import measure_split_cost, write_val_report
from vidar_det.datasets.class_map import complete_class_map
from vidar_det.datasets.labelled_data import open_labelled_data
from vidar_det.datasets.reading import ReadingSpec
from vidar_det.datasets.windows import Recordings
from vidar_det.detections.boxes import Detections
from vidar_det.detections.labels import LabelReport, Labels
from vidar_det.detector.predictor import Detector
from vidar_det.detector.runtime import RuntimeRecord
from vidar_det.errors import LabelError
from vidar_det.evaluation.accuracy import AccuracyReport
from vidar_det.evaluation.assessment import Assessment, assess
from vidar_det.evaluation.bootstrap import scene_of
from vidar_det.evaluation.cost import Cost
from vidar_det.evaluation.matching import ScoredImage
from vidar_det.outputs import write_json
from vidar_det.spikes.labels import ClassMap
from vidar_det.spikes.stream import SpikeWindow

METRICS_FILE = "metrics.json"


@dataclass(frozen=True)
class ValSummary:
    """How good a detector is on one split of a dataset.

    Attributes:
        weights: name of the detector.
        data: the dataset's folder.
        split: the split.
        assessment: all figures of its accuracy.
        labels: boxes that were dropped or are doubtful.
        ran: what the detector ran in.
        cost: what it costs to run; None where no report was asked for.
        doubts: where it did not run as it was asked to, in words.
    """

    weights: str
    data: str
    split: str
    assessment: Assessment
    labels: LabelReport
    ran: RuntimeRecord
    cost: Cost | None = None
    doubts: tuple[str, ...] = ()

    @property
    def accuracy(self) -> AccuracyReport:
        """COCO's figures."""
        return self.assessment.accuracy

    def to_json(self) -> dict[str, Any]:
        """Give ``mAP, mAP50, per_class, ...`` and where they come from, ready for JSON."""
        origin = {
            "weights": self.weights,
            "runtime": self.ran.name,
            "precision": self.ran.precision,
            "data": self.data,
            "split": self.split,
        }
        labels = dataclasses.asdict(self.labels) | {"notes": list(self.labels.notes)}
        cost = {} if self.cost is None else {"cost": self.cost.to_mapping()}
        return self.assessment.to_json() | origin | {"conf": SCORED_CONF, "labels": labels} | cost

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the labels' reader and the runtime met and what the figures lack, in sentences."""
        empty = [name for name, found in self.accuracy.per_class.items() if not found.objects]
        sentences = [f"class {name!r} has no boxes to find here" for name in empty]
        nameless = sum(not scene_of(image) for image in self.assessment.judgement.images)
        if nameless > 1:
            sentences.append(
                f"{nameless:,} images name no scene: each recording counts as one, so intervals "
                "are too narrow where several show the same place"
            )
        return (*self.labels.warnings, *self.doubts, *sentences)


@dataclass(frozen=True)
class ValSettings:
    """What to score on, and where to write it.

    Attributes:
        split: name of the split.
        classes: the detector's classes, each with the dataset's names that count as it; None
            matches by name.
        out: folder for ``metrics.json``, ``predictions.json`` and the report; None writes nothing.
        overwrite: replace files that exist.
        reading: layout of the dataset, and what its files do not say; the window is the detector's.
        compare: another detector, or the ``predictions.json`` of one on the same split.
        report: write ``report.md`` and ``report.html`` too, and measure the cost for them.
    """

    split: str = "test"
    classes: ClassMap | None = None
    out: Path | None = None
    overwrite: bool = False
    reading: ReadingSpec = field(default_factory=ReadingSpec)
    compare: Detector | Path | None = None
    report: bool = True


def validate(
    detector: Detector,
    data: str | Path,
    settings: ValSettings | None = None,
    report: Callable[[int, int], None] = lambda done, total: None,
    look: Look = look_here,
) -> ValSummary:
    """Score a detector on a split of a labelled dataset, whatever its layout.

    A labelled range longer than the detector's window is looked at in its middle, where its boxes
    hold.

    Args:
        detector: the detector.
        data: the dataset's folder.
        settings: what to score on, and where to write it.
        report: told after each window.
        look: where the detector looks.

    Returns:
        All figures, over detections with a score of at least 0.001.

    Raises:
        SourceError: the dataset or a file of it is missing.
        LabelError: no such split, or a class that the detector does not know, or what is compared
            with knows other classes or pictures.
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
    recordings = Recordings(dataset.folder, dataset.open)

    def look_with(seer: Detector) -> list[ScoredImage]:
        return look(seer, dataset, labels, lambda done: report(done, len(labels.images)))

    def show(picture: int) -> SpikeWindow:
        return recordings.middle(labels.images[picture], detector.spec.window)

    with contextlib.ExitStack() as stack:
        out = settings.out
        folder = out and stack.enter_context(staged_folder(out, settings.overwrite))
        rival = _find_rival(settings.compare, detector.spec.classes, labels, look_with)
        images = look_with(detector)
        assessment = assess(images, detector.spec.classes, rival)
        tells = folder is not None and settings.report
        cost = measure_split_cost(detector, labels.images, show) if tells else None
        where, runtime = (detector.name, str(data), settings.split), detector.runtime
        summary = ValSummary(
            *where, assessment, labels.report, runtime.describe(), cost, runtime.warnings
        )
        if folder is not None:
            found = [image.detections for image in images]
            document = predictions_document(*where, detector.spec.classes, labels.images, found)
            _write(folder, summary, document, show)
    return summary


def _write(
    folder: Path,
    summary: ValSummary,
    predictions: dict[str, Any],
    show: Callable[[int], SpikeWindow],
) -> None:
    write_json(folder / PREDICTIONS_FILE, predictions)
    write_json(folder / METRICS_FILE, summary.to_json())
    if summary.cost is not None:
        title = f"{summary.weights} on {summary.split} of {Path(summary.data).absolute().name}"
        write_val_report(folder, title, summary.assessment, summary.cost, show)


def _find_rival(
    compare: Detector | Path | None,
    classes: Sequence[str],
    labels: Labels,
    look: Callable[[Detector], list[ScoredImage]],
) -> tuple[str, list[Detections]] | None:
    """Name of what is compared with, and what it found on each picture."""
    if compare is None:
        return None
    if isinstance(compare, Path):
        name, found = read_predictions(compare, classes, labels.images)
        return f"{name} ({compare})", found
    known = compare.spec.classes
    if set(known) != set(classes):
        raise LabelError(f"{compare.name}: found classes {list(known)}, wanted {list(classes)}")
    return compare.name, [renumber(image.detections, known, classes) for image in look(compare)]
