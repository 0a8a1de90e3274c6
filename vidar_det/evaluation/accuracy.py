"""Ground truth and detections, picture by picture, come in; COCO's average precision goes out."""

import contextlib
import dataclasses
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vidar_det.evaluation.matching import Judgement, ScoredImage, judge

TWELVE = (
    *("mAP", "mAP50", "mAP75", "mAP_small", "mAP_medium", "mAP_large"),
    *("AR1", "AR10", "AR100", "AR_small", "AR_medium", "AR_large"),
)
"""COCOeval's figures, in its order."""


@dataclass(frozen=True)
class ClassAccuracy:
    """How well one class is found.

    Attributes:
        AP: average precision over the overlaps 0.50:0.05:0.95; NaN without any object.
        AP50: average precision at overlap 0.50; NaN without any object.
        objects: how many there are to find, ignored ones not counted.
    """

    AP: float
    AP50: float
    objects: int


@dataclass(frozen=True)
class AccuracyReport:
    """COCO's twelve figures, and two for each class.

    Every figure is a mean over the classes that have an object to find (of that size); it is NaN
    where no class has one, and 0 where objects exist and nothing was found.

    Attributes:
        mAP: average precision over the overlaps 0.50:0.05:0.95, at most 100 detections a picture.
        mAP50: the same at overlap 0.50.
        mAP75: the same at overlap 0.75.
        mAP_small: mAP of objects under 32 x 32 pixels.
        mAP_medium: mAP of objects from 32 x 32 to 96 x 96 pixels.
        mAP_large: mAP of objects over 96 x 96 pixels.
        AR1: average recall over the same overlaps, with the best detection of each picture.
        AR10: the same with ten detections.
        AR100: the same with a hundred.
        AR_small: AR100 of small objects.
        AR_medium: AR100 of medium objects.
        AR_large: AR100 of large objects.
        per_class: by name, in the order of the class ids.
        images: how many pictures were scored.
    """

    mAP: float
    mAP50: float
    mAP75: float
    mAP_small: float
    mAP_medium: float
    mAP_large: float
    AR1: float
    AR10: float
    AR100: float
    AR_small: float
    AR_medium: float
    AR_large: float
    per_class: Mapping[str, ClassAccuracy]
    images: int

    def to_json(self) -> dict[str, Any]:
        """Give the figures, ready for ``write_json``; NaN becomes None."""
        figures = dataclasses.asdict(self)
        for table in (figures, *figures["per_class"].values()):
            table.update({key: None for key, value in table.items() if value != value})  # NaN
        return figures


def evaluate(images: Iterable[ScoredImage], classes: Sequence[str]) -> AccuracyReport:
    """Score detections against ground truth with pycocotools, the reference.

    What counts as a hit or a false alarm, `vidar_det.evaluation.matching.judge` says.

    Args:
        images: the pictures, in any order; equal scores rank in this order.
        classes: names; a class id is an index into them.

    Returns:
        The figures.

    Raises:
        LabelError: a class id has no name.

    Example:
        >>> from vidar_det.detections.boxes import Detections, GroundTruth
        >>> box, person = np.float32([[10, 20, 40, 60]]), np.array([0])
        >>> truth = GroundTruth(box, person, np.array([False]))
        >>> found = Detections(box, np.float32([0.9]), person)
        >>> f"{evaluate([ScoredImage(truth, found)], ['person']).mAP:.3f}"
        '1.000'
    """
    return summarize(judge(images, classes))


def summarize(judgement: Judgement) -> AccuracyReport:
    """Say a judgement in COCO's figures.

    Args:
        judgement: the verdicts on all objects of all sizes.

    Returns:
        The figures, as pycocotools computes them.
    """
    coco, classes = judgement.coco, judgement.classes
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools narrates
        coco.accumulate()
        coco.summarize()
    precision = coco.eval["precision"][..., 0, -1]  # (overlap, recall, class): all sizes, 100 boxes
    objects = np.zeros(len(classes), np.int64)
    for image in judgement.images:
        np.add.at(objects, image.truth.class_ids[~image.truth.ignore], 1)
    per_class = {
        name: ClassAccuracy(
            AP=_figure(precision[:, :, class_id].mean()),
            AP50=_figure(precision[0, :, class_id].mean()),
            objects=int(objects[class_id]),
        )
        for class_id, name in enumerate(classes)
    }
    twelve = {name: _figure(value) for name, value in zip(TWELVE, coco.stats, strict=True)}
    return AccuracyReport(**twelve, per_class=per_class, images=len(judgement.images))


def _figure(value: float) -> float:
    """COCOeval says -1 where there is nothing to find."""
    return math.nan if value < 0 else float(value)
