"""Ground truth and detections come in; which detection hit which object goes out, by COCO's rules.

pycocotools decides once for each picture; every figure after that is counted from its verdicts.
"""

import contextlib
import io
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from vidar_det.detections.boxes import Detections, GroundTruth
from vidar_det.detections.labels import ImageRecord
from vidar_det.errors import LabelError

SHOWN_CONF = 0.25
"""Lowest score that a user is shown unless he asks for others: where single detections count."""
HIT, ALARM = 1, -1
"""What a detection is; 0 is neither: it found an object that does not count."""
SIZES = ("all", "small", "medium", "large")
"""COCO's areas: small is under 32 x 32 pixels, large over 96 x 96."""


@dataclass(frozen=True)
class ScoredImage:
    """One picture to score.

    Attributes:
        truth: what it shows.
        detections: what was found.
        scored: class ids that are completely labelled here; None means all. Boxes of other
            classes, true or found, do not count on this picture.
        record: where the picture comes from; None where only its boxes matter.
    """

    truth: GroundTruth
    detections: Detections
    scored: tuple[int, ...] | None = None
    record: ImageRecord | None = None


@dataclass(frozen=True, eq=False)
class ClassMatches:
    """The detections of one class over all pictures, surest first, and what became of each.

    Attributes:
        scores: ``(D,) float64``, descending.
        pictures: ``(D,) int64``, index of the picture.
        verdicts: ``(10, D) int8`` at the overlaps 0.50:0.05:0.95: `HIT`, `ALARM` or 0.
        found: ``(D,) int64``, the object that it took at overlap 0.50, as a row of its picture's
            truth; -1 for none.
        rows: ``(D,) int64``, the detection itself, as a row of its picture's detections.
        objects: ``(I,) int64``, how many objects that count each picture has.
    """

    scores: NDArray[np.float64]
    pictures: NDArray[np.int64]
    verdicts: NDArray[np.int8]
    found: NDArray[np.int64]
    rows: NDArray[np.int64]
    objects: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Judgement:
    """What pycocotools says of each picture; `judge` makes one.

    Attributes:
        images: the pictures, without the boxes of classes that are not scored there.
        classes: names; a class id is an index into them.
        coco: pycocotools' ``COCOeval``, evaluated.
    """

    images: tuple[ScoredImage, ...]
    classes: tuple[str, ...]
    coco: Any

    def matches(self, size: str = "all") -> tuple[ClassMatches, ...]:
        """Collect the verdicts class by class.

        Args:
            size: one of `SIZES`. Objects of other sizes do not count, nor do detections of other
                sizes that hit nothing.

        Returns:
            One entry for each of ``classes``.
        """
        rows, count = len(self.coco.params.areaRng), len(self.images)
        ends = [
            np.cumsum([0] + [len(side) for side in sides])
            for sides in (
                [image.truth for image in self.images],
                [image.detections for image in self.images],
            )
        ]
        collected = []
        for class_id in range(len(self.classes)):
            first = (class_id * rows + SIZES.index(size)) * count
            collected.append(_collect(self.coco.evalImgs[first : first + count], *ends))
        return tuple(collected)


def judge(
    images: Iterable[ScoredImage],
    classes: Sequence[str],
    counted: Sequence[NDArray[np.bool_]] | None = None,
) -> Judgement:
    """Match the detections of each picture to its objects, greedily by score, class by class.

    An ignored box is neither hit nor miss: it need not be found, and any number of detections that
    lie mostly inside it are no false alarms (COCO's ``iscrowd``: overlap over the detection's own
    area). On a picture where a class is not completely labelled, the class has neither objects nor
    detections, which is what leaving the picture out of that class's list comes to.

    Args:
        images: the pictures, in any order; equal scores rank in this order.
        classes: names; a class id is an index into them.
        counted: which objects of each picture's truth count, ``(N,) bool`` each; the others need
            not be found, and the one detection that finds one is no false alarm. None: all count.

    Returns:
        The verdicts.

    Raises:
        LabelError: a class id has no name.

    Example:
        >>> box, person = np.float32([[10, 20, 40, 60]]), np.array([0])
        >>> truth = GroundTruth(box, person, np.array([False]))
        >>> found = Detections(box, np.float32([0.9]), person)
        >>> judge([ScoredImage(truth, found)], ["person"]).matches()[0].verdicts[0]
        array([1], dtype=int8)
    """
    listed = list(images)
    marks = [np.ones(len(i.truth), np.bool_) for i in listed] if counted is None else list(counted)
    kept = [_scored_part(*pair, len(classes)) for pair in zip(listed, marks, strict=True)]
    scored = tuple(image for image, _ in kept)
    coco = _evaluate(scored, [counts for _, counts in kept], len(classes), sizes=counted is None)
    return Judgement(scored, tuple(classes), coco)


def overlaps(detections: Detections, truth: GroundTruth) -> NDArray[np.float64]:
    """Overlap of each detection with each object, as pycocotools computes it.

    Args:
        detections: ``N`` boxes.
        truth: ``M`` boxes.

    Returns:
        ``(N, M) float64`` in 0..1: intersection over union; for an ignored box over the
        detection's own area.

    Example:
        >>> crowd = GroundTruth(np.float32([[0, 0, 9, 9]]), np.array([0]), np.array([True]))
        >>> found = Detections(np.float32([[0, 0, 3, 3]]), np.float32([0.5]), np.array([0]))
        >>> overlaps(found, crowd)
        array([[1.]])
    """
    if not len(detections) or not len(truth):
        return np.zeros((len(detections), len(truth)))
    sides = [[entry["bbox"] for entry in _entries(side, 0)] for side in (detections, truth)]
    shared: NDArray[np.float64] = mask.iou(*sides, truth.ignore.astype(int).tolist())
    return shared


def _scored_part(
    image: ScoredImage, mark: NDArray[np.bool_], class_count: int
) -> tuple[ScoredImage, NDArray[np.bool_]]:
    """Check the class ids, and keep only boxes of the classes that count on this picture."""
    truth, found = image.truth, image.detections
    for class_ids in (truth.class_ids, found.class_ids, np.array(image.scored or (), np.int64)):
        if len(class_ids) and not 0 <= class_ids.min() <= class_ids.max() < class_count:
            span = f"{class_ids.min()}..{class_ids.max()}"
            raise LabelError(f"found class ids {span}, wanted 0..{class_count - 1}")
    if image.scored is None:
        return image, mark
    is_scored = np.isin(truth.class_ids, image.scored)
    found = found.select(np.isin(found.class_ids, image.scored))
    part = ScoredImage(truth.select(is_scored), found, image.scored, image.record)
    return part, mark[is_scored]


def _evaluate(
    images: Sequence[ScoredImage],
    counted: Sequence[NDArray[np.bool_]],
    class_count: int,
    sizes: bool,
) -> Any:
    """Run COCOeval on both sides, built in memory (its ``loadRes`` cannot take an empty list)."""
    truths: list[dict[str, Any]] = []
    results: list[dict[str, Any]] = []
    for image_id, (image, marks) in enumerate(zip(images, counted, strict=True)):
        truth, found = image.truth, image.detections
        columns = truth.ignore.tolist(), marks.tolist()
        for entry, ignore, counts in zip(_entries(truth, image_id), *columns, strict=True):
            area = entry["area"] if counts else -1.0  # COCOeval: outside every range of areas
            crowd = {"iscrowd": int(ignore), "area": area}
            truths.append(entry | crowd | {"id": len(truths) + 1})
        for entry, score in zip(_entries(found, image_id), found.scores.tolist(), strict=True):
            results.append(entry | {"id": len(results) + 1, "score": score})
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools narrates
        sides = [_side(entries, len(images), class_count) for entries in (truths, results)]
        coco = COCOeval(*sides, "bbox")
        if not sizes:
            coco.params.areaRng, coco.params.areaRngLbl = coco.params.areaRng[:1], ["all"]
        coco.evaluate()
    return coco


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


def _collect(
    verdicts: Sequence[dict[str, Any] | None],
    truth_ends: NDArray[np.int64],
    found_ends: NDArray[np.int64],
) -> ClassMatches:
    """Join what COCOeval says of one class on each picture; its ids count from 1 over all."""
    objects = np.zeros(len(verdicts), np.int64)
    scores, pictures, kinds, targets, rows = [], [], [], [], []
    for index, verdict in enumerate(verdicts):
        if verdict is None:  # neither objects nor detections
            continue
        objects[index] = np.count_nonzero(verdict["gtIgnore"] == 0)
        matched, counts = verdict["dtMatches"], ~verdict["dtIgnore"].astype(np.bool_)
        kinds.append(np.where(matched > 0, HIT, ALARM) * counts)
        scores.append(verdict["dtScores"])
        pictures.append([index] * len(verdict["dtIds"]))
        target = matched[0].astype(np.int64) - 1 - truth_ends[index]
        targets.append(np.where(matched[0] > 0, target, -1))
        rows.append(np.array(verdict["dtIds"], np.int64) - 1 - found_ends[index])
    joined = np.concatenate([np.zeros(0), *scores])
    order = np.argsort(-joined, kind="stable")
    return ClassMatches(
        scores=joined[order],
        pictures=np.array([*itertools.chain(*pictures)], np.int64)[order],
        verdicts=np.concatenate([np.zeros((10, 0)), *kinds], axis=1).astype(np.int8)[:, order],
        found=np.concatenate([np.zeros(0, np.int64), *targets])[order],
        rows=np.concatenate([np.zeros(0, np.int64), *rows])[order],
        objects=objects,
    )
