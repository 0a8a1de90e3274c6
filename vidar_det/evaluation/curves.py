"""Verdicts on each class come in; precision, recall and F1 along the scores go out."""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidar_det.evaluation.matching import HIT, ClassMatches, Judgement
from vidar_det.evaluation.precision import RECALLS

CONFIDENCES = np.linspace(0.0, 1.0, 101)
"""Lowest scores that F1 is drawn over."""


@dataclass(frozen=True, eq=False)
class ClassCurves:
    """How one class fares as weaker and weaker detections are taken in, at overlap 0.50.

    Attributes:
        interpolated: ``(101,) float64``, the best precision at a recall of 0.00:0.01:1.00 or more,
            0 where that is never reached; its mean is the average precision.
        precision: ``(101,) float64`` of the detections with a score of at least 0.00:0.01:1.00;
            NaN where there are none.
        recall: ``(101,) float64`` of the same.
        f1: ``(101,) float64`` of the same: 2 hits / (detections + objects).
        best_conf: the lowest score to take for the highest F1; NaN without any hit.
        best_f1: that F1.
        objects: how many there are to find; all curves are NaN without any.
    """

    interpolated: NDArray[np.float64]
    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    f1: NDArray[np.float64]
    best_conf: float
    best_f1: float
    objects: int


@dataclass(frozen=True, eq=False)
class Curves:
    """The curves of all classes.

    Attributes:
        per_class: by name.
        best_conf: the score of 0.00:0.01:1.00 at which F1, averaged over the classes that have
            an object, is highest; NaN without any hit.
        best_f1: that mean.
    """

    per_class: Mapping[str, ClassCurves]
    best_conf: float
    best_f1: float

    def to_json(self) -> dict[str, Any]:
        """Give everything, ready for ``write_json``; NaN becomes None."""
        document: dict[str, Any] = _plain(dataclasses.asdict(self))
        return document | {"recalls": RECALLS.tolist(), "confidences": CONFIDENCES.tolist()}


def draw_curves(judgement: Judgement) -> Curves:
    """Follow precision, recall and F1 of each class along its scores.

    Args:
        judgement: the verdicts on all objects.

    Returns:
        The curves, at overlap 0.50.

    Example:
        >>> from vidar_det.evaluation.matching import judge
        >>> draw_curves(judge([], ["person"])).per_class["person"].objects
        0
    """
    matches = zip(judgement.classes, judgement.matches(), strict=True)
    per_class = {name: _follow(each) for name, each in matches}
    known = [curves.f1 for curves in per_class.values() if curves.objects]
    mean = np.mean(known, axis=0) if known else np.zeros(len(CONFIDENCES))
    return Curves(per_class, *_best(CONFIDENCES, mean))


def _follow(matches: ClassMatches) -> ClassCurves:
    objects = int(matches.objects.sum())
    nowhere = np.full(len(RECALLS), np.nan)
    if objects == 0:
        return ClassCurves(nowhere, nowhere, nowhere, nowhere, math.nan, math.nan, 0)
    counts = matches.verdicts[0] != 0
    scores, is_hit = matches.scores[counts], matches.verdicts[0, counts] == HIT
    hits = np.concatenate([[0], np.cumsum(is_hit)])
    taken = np.arange(len(hits))
    f1 = 2 * hits / (taken + objects)
    ends = np.append(scores[1:] < scores[:-1], True)[: len(scores)]  # equal scores come together
    at = len(scores) - np.searchsorted(scores[::-1], CONFIDENCES.astype(np.float32))
    precision = np.full(len(at), np.nan)
    np.divide(hits[at], taken[at], out=precision, where=taken[at] > 0)
    return ClassCurves(
        _interpolate(hits[1:][is_hit], taken[1:][is_hit], objects),
        precision,
        hits[at] / objects,
        f1[at],
        *_best(scores[ends], f1[1:][ends]),
        objects,
    )


def _interpolate(
    hits: NDArray[np.int64], taken: NDArray[np.int64], objects: int
) -> NDArray[np.float64]:
    best = np.maximum.accumulate((hits / np.maximum(taken, 1))[::-1])[::-1]
    reached = np.searchsorted(hits / objects, RECALLS)
    return np.append(best, 0.0)[reached]


def _best(scores: NDArray[np.float64], f1: NDArray[np.float64]) -> tuple[float, float]:
    """The highest F1 and the highest score that gives it."""
    if not f1.any():
        return math.nan, math.nan
    best = np.flatnonzero(f1 == f1.max())
    index = best[scores[best].argmax()]
    return float(scores[index]), float(f1[index])


def _plain(value: Any) -> Any:
    """Arrays as lists, NaN as None, all the way down."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return [_plain(item) for item in value.tolist()]
    return None if isinstance(value, float) and math.isnan(value) else value
