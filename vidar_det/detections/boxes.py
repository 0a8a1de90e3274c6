"""Arrays of boxes come in; checked detections, overlaps and the survivors of suppression go out."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidar_det.errors import RangeError, ShapeError

Selection = NDArray[np.bool_] | NDArray[np.integer[Any]] | slice
"""A boolean mask, indices or a slice over N boxes."""

_BLOCK = 128
"""Candidates that suppression compares at a time; pairwise tables of this size stay in L2 cache."""


@dataclass(frozen=True, eq=False)
class Detections:
    """What a detector found in one window.

    Attributes:
        xyxy: ``(N, 4) float32``, pixels of the upright picture, left, top, right, bottom.
        scores: ``(N,) float32``, higher is surer.
        class_ids: ``(N,) int64``, from 0.

    Raises:
        ShapeError: a shape or dtype differs, a number is not finite, a box is turned inside out
            or a class is negative.

    Example:
        >>> boxes = np.float32([[10, 20, 40, 60], [0, 0, 9, 9]])
        >>> found = Detections(boxes, np.float32([0.9, 0.2]), np.array([0, 1]))
        >>> len(found.select(found.scores > 0.5))
        1
    """

    xyxy: NDArray[np.float32]
    scores: NDArray[np.float32]
    class_ids: NDArray[np.int64]

    def __post_init__(self) -> None:
        _check_boxes(self.xyxy)
        _check_vector("scores", self.scores, np.float32, len(self.xyxy))
        _check_class_ids(self.class_ids, len(self.xyxy))
        if not np.isfinite(self.scores).all():
            raise ShapeError("scores: found a number that is not finite")

    def __len__(self) -> int:
        return len(self.xyxy)

    @classmethod
    def empty(cls) -> "Detections":
        """Give the detections of a window in which nothing was found."""
        return cls(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64))

    def select(self, selection: Selection) -> "Detections":
        """Keep some of the boxes, in the order of ``selection``.

        Args:
            selection: a boolean mask ``(N,)``, integer indices ``(K,)`` or a slice.

        Raises:
            RangeError: ``selection`` does not fit N boxes.
        """
        index = _check_selection(selection, len(self))
        return Detections(self.xyxy[index], self.scores[index], self.class_ids[index])


def _unknown() -> NDArray[np.float32]:
    """A speed nobody knows; one number stands for every box."""
    return np.array(np.nan, np.float32)


@dataclass(frozen=True, eq=False)
class GroundTruth:
    """What a window truly shows.

    Attributes:
        xyxy: ``(N, 4) float32``, pixels of the upright picture, left, top, right, bottom.
        class_ids: ``(N,) int64``, from 0.
        ignore: ``(N,) bool``, True where a detection is neither hit nor miss (a crowd).
        speeds_px_s: ``(N,) float32``, how fast each object moves across the picture, pixels per
            second; NaN where nobody knows, which is the default for all.

    Raises:
        ShapeError: a shape or dtype differs, a coordinate is not finite, a box is turned inside
            out, or a class or speed is negative or infinite.

    Example:
        >>> truth = GroundTruth(np.float32([[10, 20, 40, 60]]), np.array([2]), np.array([False]))
        >>> len(truth.select(~truth.ignore))
        1
    """

    xyxy: NDArray[np.float32]
    class_ids: NDArray[np.int64]
    ignore: NDArray[np.bool_]
    speeds_px_s: NDArray[np.float32] = field(default_factory=_unknown)

    def __post_init__(self) -> None:
        _check_boxes(self.xyxy)
        _check_class_ids(self.class_ids, len(self.xyxy))
        _check_vector("ignore", self.ignore, np.bool_, len(self.xyxy))
        if isinstance(self.speeds_px_s, np.ndarray) and self.speeds_px_s.ndim == 0:
            object.__setattr__(self, "speeds_px_s", np.repeat(self.speeds_px_s, len(self.xyxy)))
        _check_vector("speeds_px_s", self.speeds_px_s, np.float32, len(self.xyxy))
        if (self.speeds_px_s < 0).any() or np.isinf(self.speeds_px_s).any():
            raise ShapeError("speeds_px_s: found a negative or infinite speed, wanted 0 or more")

    def __len__(self) -> int:
        return len(self.xyxy)

    @classmethod
    def empty(cls) -> "GroundTruth":
        """Give the truth about a window that shows nothing."""
        return cls(np.zeros((0, 4), np.float32), np.zeros(0, np.int64), np.zeros(0, np.bool_))

    def select(self, selection: Selection) -> "GroundTruth":
        """Keep some of the boxes, in the order of ``selection``.

        Args:
            selection: a boolean mask ``(N,)``, integer indices ``(K,)`` or a slice.

        Raises:
            RangeError: ``selection`` does not fit N boxes.
        """
        index = _check_selection(selection, len(self))
        return GroundTruth(
            self.xyxy[index], self.class_ids[index], self.ignore[index], self.speeds_px_s[index]
        )


def box_iou(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    """Intersection over union of every box of ``a`` with every box of ``b``.

    Args:
        a: ``(N, 4) float32`` xyxy.
        b: ``(M, 4) float32`` xyxy.

    Returns:
        ``(N, M) float32`` in 0..1; two boxes without any area have 0.

    Raises:
        ShapeError: an argument is not ``(N, 4) float32`` with x2 >= x1 and y2 >= y1.

    Example:
        >>> box_iou(np.float32([[0, 0, 2, 2]]), np.float32([[0, 0, 2, 1]]))
        array([[0.5]], dtype=float32)
    """
    _check_boxes(a)
    _check_boxes(b)
    intersection = _intersection(a, b)
    union = _area(a)[:, None] + _area(b) - intersection
    overlap = np.zeros_like(union)
    np.divide(intersection, union, out=overlap, where=union > 0)
    return overlap


def nms(
    detections: Detections, iou: float = 0.6, max_det: int = 300, pre_nms: int = 1000
) -> Detections:
    """Keep the best of the boxes of one class that overlap (greedy non-maximum suppression).

    The best box stays and drops every box of its class that overlaps it by more than ``iou``;
    then the best of the rest does the same. Equal scores keep the order they came in.

    Args:
        detections: candidates of one window, in any order.
        iou: overlap in 0..1 above which the lesser of two boxes is dropped.
        max_det: the most detections to return.
        pre_nms: candidates that take part, best first; the rest is dropped at once.

    Returns:
        The survivors, best first.

    Raises:
        RangeError: ``iou`` lies outside 0..1, or a limit is negative.

    Example:
        >>> boxes = np.float32([[0, 0, 9, 9], [0, 0, 9, 10], [0, 0, 9, 9]])
        >>> twins = Detections(boxes, np.float32([0.8, 0.9, 0.3]), np.array([0, 0, 1]))
        >>> nms(twins).scores
        array([0.9, 0.3], dtype=float32)
    """
    if not 0.0 <= iou <= 1.0:
        raise RangeError(f"iou: found {iou}, wanted 0..1")
    if max_det < 0 or pre_nms < 0:
        raise RangeError(f"max_det, pre_nms: found {max_det}, {pre_nms}, wanted 0 or more")
    order = np.argsort(-detections.scores, kind="stable")[:pre_nms]
    xyxy, class_ids = detections.xyxy[order], detections.class_ids[order]
    kept = np.zeros(0, np.intp)
    for start in range(0, len(order), _BLOCK):
        if len(kept) >= max_det:
            break
        block = np.arange(start, min(start + _BLOCK, len(order)))
        if len(kept):
            rivals = _rivals(xyxy[kept], class_ids[kept], xyxy[block], class_ids[block], iou)
            block = block[~rivals.any(axis=0)]
        rivals = _rivals(xyxy[block], class_ids[block], xyxy[block], class_ids[block], iou)
        kept = np.concatenate([kept, block[_survivors(rivals)]])
    return detections.select(order[kept[:max_det]])


def _survivors(rivals: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Greedy suppression of ``(N, N)`` rivalries, best first, as a fixed point.

    A box survives if no survivor before it is its rival. Starting from "all survive", each round
    settles at least one more box, in practice all of them in a few rounds (Cluster-NMS, Zheng et
    al., "Enhancing Geometric Factors in Model Learning and Inference for Object Detection and
    Instance Segmentation", 2020, Algorithm 2).
    """
    beats = np.triu(rivals, 1)
    survives = np.ones(len(beats), np.bool_)
    while True:
        settled: NDArray[np.bool_] = np.logical_not(beats[survives].any(axis=0))
        if np.array_equal(settled, survives):
            return settled
        survives = settled


def _rivals(
    a: NDArray[np.float32],
    a_class_ids: NDArray[np.int64],
    b: NDArray[np.float32],
    b_class_ids: NDArray[np.int64],
    iou: float,
) -> NDArray[np.bool_]:
    """``(N, M)``: same class, and intersection over union above ``iou`` (without the division)."""
    intersection = _intersection(a, b)
    union = _area(a)[:, None] + _area(b)
    union -= intersection
    union *= np.float32(iou)
    rivals: NDArray[np.bool_] = intersection > union
    rivals &= a_class_ids[:, None] == b_class_ids
    return rivals


def _intersection(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    """``(N, M) float32`` area that each box of ``a`` shares with each box of ``b``."""
    a_columns, b_columns = a.T[:, :, None], np.ascontiguousarray(b.T)
    width: NDArray[np.float32] = np.minimum(a_columns[2], b_columns[2])
    width -= np.maximum(a_columns[0], b_columns[0])
    height = np.minimum(a_columns[3], b_columns[3])
    height -= np.maximum(a_columns[1], b_columns[1])
    np.maximum(width, 0, out=width)
    np.maximum(height, 0, out=height)
    width *= height
    return width


def _area(xyxy: NDArray[np.float32]) -> NDArray[np.float32]:
    area: NDArray[np.float32] = (xyxy[:, 2] - xyxy[:, 0]) * (xyxy[:, 3] - xyxy[:, 1])
    return area


def _check_boxes(xyxy: NDArray[np.float32]) -> None:
    if not isinstance(xyxy, np.ndarray) or xyxy.dtype != np.float32:
        raise ShapeError(f"xyxy: found {_kind(xyxy)}, wanted (N, 4) float32")
    if xyxy.ndim != 2 or xyxy.shape[1] != 4:
        raise ShapeError(f"xyxy: found shape {xyxy.shape}, wanted (N, 4)")
    if not np.isfinite(xyxy).all():
        raise ShapeError("xyxy: found a number that is not finite")
    inside_out = (xyxy[:, 2:] < xyxy[:, :2]).any(axis=1)
    if inside_out.any():
        row = int(inside_out.argmax())
        raise ShapeError(f"xyxy[{row}]: found {xyxy[row].tolist()}, wanted x2 >= x1 and y2 >= y1")


def _check_class_ids(class_ids: NDArray[np.int64], count: int) -> None:
    _check_vector("class_ids", class_ids, np.int64, count)
    if count and class_ids.min() < 0:
        raise ShapeError(f"class_ids: found {class_ids.min()}, wanted 0 or more")


def _check_vector(name: str, vector: NDArray[Any], dtype: type[np.generic], count: int) -> None:
    if not isinstance(vector, np.ndarray) or vector.dtype != dtype or vector.shape != (count,):
        raise ShapeError(f"{name}: found {_kind(vector)}, wanted ({count},) {dtype.__name__}")


def _check_selection(selection: Selection, count: int) -> Selection:
    if isinstance(selection, slice):
        return selection
    if selection.dtype == np.bool_ and selection.shape != (count,):
        raise RangeError(f"selection: found a mask of shape {selection.shape}, wanted ({count},)")
    if selection.ndim != 1:
        raise RangeError(f"selection: found shape {selection.shape}, wanted one dimension")
    if selection.dtype != np.bool_ and selection.size:
        low, high = int(selection.min()), int(selection.max())
        if low < -count or high >= count:
            raise RangeError(f"selection: found indices {low}..{high}, wanted below {count}")
    return selection


def _kind(value: object) -> str:
    if isinstance(value, np.ndarray):
        return f"{value.shape} {value.dtype}"
    return type(value).__name__
