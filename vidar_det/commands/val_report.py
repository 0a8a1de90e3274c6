"""Accuracy, cost and a way to see windows come in; the report of a validation lies on the disk."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from vidar_det.detections.labels import ImageRecord
from vidar_det.detector.predictor import Detector
from vidar_det.evaluation.accuracy_report import accuracy_sections
from vidar_det.evaluation.assessment import Assessment
from vidar_det.evaluation.cost import Cost, measure_cost
from vidar_det.evaluation.cost_report import cost_sections
from vidar_det.evaluation.gallery import draw_case
from vidar_det.evaluation.report import Picture, write_report
from vidar_det.spikes.stream import SpikeWindow

COST_WINDOWS = 8
"""Windows that the cost is measured on, at most; they are spread over the split."""

Show = Callable[[int], SpikeWindow]
"""Gives the window of a picture, by its number."""


def measure_split_cost(detector: Detector, images: Sequence[ImageRecord], show: Show) -> Cost:
    """Measure what a detector costs on a few windows of a split.

    Args:
        detector: the detector.
        images: the labelled ranges; of several sizes the first one's is taken.
        show: gives the window of each.

    Returns:
        The cost.

    Raises:
        ConfigError: the detector's runtime does not show its layers.
    """
    size = images[0].width, images[0].height
    alike = [n for n, image in enumerate(images) if (image.width, image.height) == size]
    spread = np.linspace(0, len(alike) - 1, min(COST_WINDOWS, len(alike))).round().astype(int)
    bins = detector.spec.encoding.bins
    return measure_cost(detector, [show(alike[place]).counts(bins) for place in spread])


def write_val_report(
    folder: Path, title: str, assessment: Assessment, cost: Cost, show: Show
) -> None:
    """Write ``report.md`` with its pictures and ``report.html``.

    Args:
        folder: existing folder.
        title: plain text.
        assessment: the accuracy.
        cost: the cost.
        show: gives the window of each picture, for the gallery.

    Raises:
        OutputError: a file exists, or cannot be written.
    """
    gallery: dict[str, list[Picture]] = {"false alarm": [], "miss": []}
    judgement = assessment.judgement
    for case in assessment.cases:
        image, window = judgement.images[case.picture], show(case.picture)
        gallery[case.kind].append(draw_case(case, image, window, judgement.classes))
    accuracy = accuracy_sections(assessment, gallery["false alarm"], gallery["miss"])
    write_report(folder, title, [*accuracy, *cost_sections(cost)])
