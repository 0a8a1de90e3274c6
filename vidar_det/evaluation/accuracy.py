"""Ground truth and detections, picture by picture, come in; COCO's average precision goes out."""

import contextlib
import dataclasses
import io
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from vidar_det.detections.boxes import Detections, GroundTruth
from vidar_det.errors import LabelError

_TWELVE = (
    *("mAP", "mAP50", "mAP75", "mAP_small", "mAP_medium", "mAP_large"),
    *("AR1", "AR10", "AR100", "AR_small", "AR_medium", "AR_large"),
)
"""COCOeval's figures, in its order."""


@dataclass(frozen=True)
class ScoredImage:
    """One picture to score.

    Attributes:
        truth: what it shows.
        detections: what was found.
        scored: class ids that are completely labelled here; None means all. Boxes of other
            classes, true or found, do not count on this picture.
    """

    truth: GroundTruth
    detections: Detections
    scored: tuple[int, ...] | None = None


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

    An ignored box is neither hit nor miss: it need not be found, and any number of detections that
    lie mostly inside it are no false alarms (COCO's ``iscrowd``: overlap over the detection's own
    area). On a picture where a class is not completely labelled, the class has neither objects nor
    detections, which is what leaving the picture out of that class's list comes to.

    Args:
        images: the pictures, in any order; equal scores rank in this order.
        classes: names; a class id is an index into them.

    Returns:
        The figures.

    Raises:
        LabelError: a class id has no name.

    Example:
        >>> box, person = np.float32([[10, 20, 40, 60]]), np.array([0])
        >>> truth = GroundTruth(box, person, np.array([False]))
        >>> found = Detections(box, np.float32([0.9]), person)
        >>> f"{evaluate([ScoredImage(truth, found)], ['person']).mAP:.3f}"
        '1.000'
    """
    scored = [_leave_out_unscored(image, len(classes)) for image in images]
    judge = _judge(scored, len(classes))
    precision = judge.eval["precision"][
        ..., 0, -1
    ]  # (overlap, recall, class): all sizes, 100 boxes
    objects = np.zeros(len(classes), np.int64)
    for image in scored:
        np.add.at(objects, image.truth.class_ids[~image.truth.ignore], 1)
    per_class = {
        name: ClassAccuracy(
            AP=_figure(precision[:, :, class_id].mean()),
            AP50=_figure(precision[0, :, class_id].mean()),
            objects=int(objects[class_id]),
        )
        for class_id, name in enumerate(classes)
    }
    twelve = {name: _figure(value) for name, value in zip(_TWELVE, judge.stats, strict=True)}
    return AccuracyReport(**twelve, per_class=per_class, images=len(scored))


def _leave_out_unscored(image: ScoredImage, class_count: int) -> ScoredImage:
    """Check the class ids, and keep only boxes of the classes that count on this picture."""
    truth, found = image.truth, image.detections
    for class_ids in (truth.class_ids, found.class_ids, np.array(image.scored or (), np.int64)):
        if len(class_ids) and not 0 <= class_ids.min() <= class_ids.max() < class_count:
            span = f"{class_ids.min()}..{class_ids.max()}"
            raise LabelError(f"found class ids {span}, wanted 0..{class_count - 1}")
    if image.scored is None:
        return image
    return ScoredImage(
        truth.select(np.isin(truth.class_ids, image.scored)),
        found.select(np.isin(found.class_ids, image.scored)),
    )


def _judge(images: Sequence[ScoredImage], class_count: int) -> Any:
    """Run COCOeval on both sides, built in memory (its ``loadRes`` cannot take an empty list)."""
    truths: list[dict[str, Any]] = []
    results: list[dict[str, Any]] = []
    for image_id, image in enumerate(images):
        truth, found = image.truth, image.detections
        for entry, ignore in zip(_entries(truth, image_id), truth.ignore.tolist(), strict=True):
            truths.append(entry | {"id": len(truths) + 1, "iscrowd": int(ignore)})
        for entry, score in zip(_entries(found, image_id), found.scores.tolist(), strict=True):
            results.append(entry | {"id": len(results) + 1, "score": score})
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools narrates
        sides = [_side(entries, len(images), class_count) for entries in (truths, results)]
        judge = COCOeval(*sides, "bbox")
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    return judge


def _entries(boxes: GroundTruth | Detections, image_id: int) -> Iterator[dict[str, Any]]:
    """Say boxes in COCO's words, unrounded and with class ids for categories."""
    corners = boxes.xyxy.astype(np.float64)
    xywh = np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1).tolist()
    for box, class_id in zip(xywh, boxes.class_ids.tolist(), strict=True):
        area = box[2] * box[3]
        yield {"image_id": image_id, "category_id": class_id, "bbox": box, "area": area}


def _side(entries: list[dict[str, Any]], image_count: int, class_count: int) -> COCO:
    side = COCO()
    side.dataset = {
        "images": [{"id": image_id} for image_id in range(image_count)],
        "categories": [{"id": class_id} for class_id in range(class_count)],
        "annotations": entries,
    }
    side.createIndex()
    return side


def _figure(value: float) -> float:
    """COCOeval says -1 where there is nothing to find."""
    return math.nan if value < 0 else float(value)
