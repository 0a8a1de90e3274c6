"""Pictures to score come in; which class was taken for which, or for nothing, goes out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidar_det.evaluation.matching import SHOWN_CONF, ScoredImage, overlaps

BACKGROUND = "background"


@dataclass(frozen=True, eq=False)
class ConfusionMatrix:
    """How often each class was taken for each.

    Attributes:
        classes: names of the rows and columns but the last, which is the background.
        counts: ``(K + 1, K + 1) int64``: objects of the row's class that were found as the
            column's. The last column counts objects that nothing found, the last row detections
            that found nothing.
        conf: lowest score that took part.
        iou: least overlap of a detection with what it found.
    """

    classes: tuple[str, ...]
    counts: NDArray[np.int64]
    conf: float
    iou: float

    def to_json(self) -> dict[str, Any]:
        """Give everything, ready for ``write_json``."""
        labels = [*self.classes, BACKGROUND]
        limits = {"conf": self.conf, "iou": self.iou}
        return {"labels": labels, "rows_true_columns_found": self.counts.tolist()} | limits


def count_confusions(
    images: Sequence[ScoredImage],
    classes: Sequence[str],
    conf: float = SHOWN_CONF,
    iou: float = 0.5,
) -> ConfusionMatrix:
    """Match detections to objects across classes, and count.

    The surest detection of a picture chooses first: of the free objects that it overlaps by at
    least ``iou`` the nearest of its own class (a rider and his cycle share a place), else the
    nearest of any. A detection that finds no object, but lies in an ignored box of its class, does
    not count.

    Args:
        images: the pictures, without the boxes of classes that are not scored there
            (`vidar_det.evaluation.matching.Judgement` holds such pictures).
        classes: names; a class id is an index into them.
        conf: lowest score that takes part.
        iou: least overlap.

    Returns:
        The counts.

    Example:
        >>> from vidar_det.detections.boxes import Detections, GroundTruth
        >>> box, mark = np.float32([[10, 20, 40, 60]]), np.array([False])
        >>> truth = GroundTruth(box, np.array([0]), mark)
        >>> found = Detections(box, np.float32([0.9]), np.array([1]))
        >>> count_confusions([ScoredImage(truth, found)], ["person", "cycle"]).counts.tolist()
        [[0, 1, 0], [0, 0, 0], [0, 0, 0]]
    """
    counts = np.zeros((len(classes) + 1, len(classes) + 1), np.int64)
    for image in images:
        _count(image, counts, conf, iou)
    return ConfusionMatrix(tuple(classes), counts, conf, iou)


def _count(image: ScoredImage, counts: NDArray[np.int64], conf: float, iou: float) -> None:
    """Add one picture to the counts."""
    truth = image.truth
    found = image.detections.select(image.detections.scores >= conf)
    found = found.select(np.argsort(-found.scores, kind="stable"))
    overlap = overlaps(found, truth)
    free, background = ~truth.ignore, len(counts) - 1
    for row, class_id in zip(overlap, found.class_ids.tolist(), strict=True):
        is_own = truth.class_ids == class_id
        near = free & (row >= iou)
        near = near & is_own if (near & is_own).any() else near
        if near.any():
            target = int(np.where(near, row, -1.0).argmax())
            free[target] = False
            counts[truth.class_ids[target], class_id] += 1
        elif not (truth.ignore & is_own & (row >= iou)).any():
            counts[background, class_id] += 1
    np.add.at(counts[:, background], truth.class_ids[free], 1)
