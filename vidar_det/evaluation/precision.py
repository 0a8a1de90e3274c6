"""Verdicts and weights of pictures come in; COCO's average precision goes out, any number of times.

A picture of weight 2 counts as if it were there twice, one of weight 0 as if it were not there:
parts of a dataset and resamples of it are scored without matching anything again.
"""

import numpy as np
from numpy.typing import NDArray

from vidar_det.compilation import compiled
from vidar_det.errors import ShapeError
from vidar_det.evaluation.matching import ALARM, HIT, ClassMatches

RECALLS = np.linspace(0.0, 1.0, 101)
"""COCO averages precision over these recalls."""


def average_precision(
    matches: ClassMatches,
    weights: NDArray[np.int64] | None = None,
    overlaps: int = 10,
    alarm_weight: float = 1.0,
) -> NDArray[np.float64]:
    """Average precision of one class: the mean over 101 recalls of the best precision there or on.

    Args:
        matches: the verdicts on the class.
        weights: ``(R, I) int64``, 0 or more: how often each picture counts, R times over. None
            counts each once.
        overlaps: how many of the overlaps 0.50:0.05:0.95 to judge at, lowest first.
        alarm_weight: what a false alarm counts, in hits.

    Returns:
        ``(R, overlaps) float64``; NaN where there is no object to find. It equals COCOeval's on
        the same pictures, up to the order of equal scores on pictures that count more than once.

    Raises:
        ShapeError: ``weights`` does not fit the pictures.

    Example:
        >>> from vidar_det.detections.boxes import Detections, GroundTruth
        >>> from vidar_det.evaluation.matching import ScoredImage, judge
        >>> box, person = np.float32([[10, 20, 40, 60]]), np.array([0])
        >>> image = ScoredImage(GroundTruth(box, person, np.array([False])), Detections.empty())
        >>> (matches,) = judge([image], ["person"]).matches()
        >>> average_precision(matches, np.array([[1], [0]]), overlaps=1).tolist()
        [[0.0], [nan]]
    """
    count = len(matches.objects)
    weights = np.ones((1, count), np.int64) if weights is None else weights
    if weights.ndim != 2 or weights.shape[1] != count or weights.dtype != np.int64:
        shape = f"{weights.shape} {weights.dtype}"
        raise ShapeError(f"weights: found {shape}, wanted (R, {count}) int64")
    average = np.full((len(weights), overlaps), np.nan)
    objects = (weights @ matches.objects).tolist()
    counts = np.zeros((2, len(matches.scores)), np.int64)
    for overlap, verdicts in enumerate(matches.verdicts[:overlaps]):
        is_hit = np.flatnonzero(verdicts == HIT)
        for draw in np.flatnonzero(objects).tolist():
            _count(verdicts, matches.pictures, weights[draw], counts)
            average[draw, overlap] = _mean_precision(counts[:, is_hit], objects[draw], alarm_weight)
    return average


def _mean_precision(counts: NDArray[np.int64], objects: int, alarm_weight: float) -> float:
    """Interpolate as COCOeval does, from the hits alone: between two hits precision only falls."""
    hits, alarms = counts
    precision = hits / (hits + alarm_weight * alarms + np.spacing(1))
    best = np.maximum.accumulate(precision[::-1])[::-1]
    reached = np.searchsorted(hits / objects, RECALLS)
    return float(best[reached[reached < len(best)]].sum() / len(RECALLS))


@compiled
def _count(
    verdicts: NDArray[np.int8],
    pictures: NDArray[np.int64],
    weights: NDArray[np.int64],
    counts: NDArray[np.int64],
) -> None:
    """Count hits and false alarms down the scores."""
    hits, alarms = 0, 0
    for index in range(len(pictures)):
        weight = weights[pictures[index]]
        hits += weight * (verdicts[index] == HIT)
        alarms += weight * (verdicts[index] == ALARM)
        counts[0, index] = hits
        counts[1, index] = alarms
