"""Verdicts on one or two sets of detections come in; figures with their intervals go out.

Pictures of one scene look alike, so scenes are drawn and not pictures: Efron and Tibshirani, "An
Introduction to the Bootstrap" (1993), percentile intervals. Two sets are compared on equal draws.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vidar_det.errors import ConfigError, ShapeError
from vidar_det.evaluation.matching import ClassMatches, Judgement, ScoredImage
from vidar_det.evaluation.precision import average_precision


@dataclass(frozen=True)
class BootstrapSpec:
    """How scenes are drawn.

    Attributes:
        resamples: how often.
        seed: decides every draw.
        level: share of the draws that lies inside an interval.

    Raises:
        ConfigError: there is nothing to draw, or ``level`` is no share.

    Example:
        >>> BootstrapSpec().resamples
        1000
    """

    resamples: int = 1000
    seed: int = 0
    level: float = 0.95

    def __post_init__(self) -> None:
        if self.resamples < 1 or self.seed < 0 or not 0 < self.level < 1:
            raise ConfigError(f"bootstrap: found {self}; wanted 1 draw or more, a level in 0..1")


class Estimate(NamedTuple):
    """A figure, and the interval that most resamples fall into; NaN where there is none.

    Attributes:
        value: the figure itself, from all pictures.
        low: lower end of its interval.
        high: upper end.
    """

    value: float
    low: float
    high: float

    def to_json(self) -> dict[str, float | None]:
        """Give the three numbers, ready for ``write_json``; NaN becomes None."""
        return {key: None if math.isnan(x) else x for key, x in self._asdict().items()}


@dataclass(frozen=True)
class Figures:
    """Average precision with intervals, or the difference of two detectors in it.

    Attributes:
        mAP: mean over the classes and the overlaps 0.50:0.05:0.95.
        mAP50: mean over the classes at overlap 0.50.
        per_class: class name -> its ``AP`` and ``AP50``.
        scenes: how many different scenes there are to draw from; with one there is no interval.
        bootstrap: how they were drawn.
    """

    mAP: Estimate
    mAP50: Estimate
    per_class: Mapping[str, Mapping[str, Estimate]]
    scenes: int
    bootstrap: BootstrapSpec

    def to_json(self) -> dict[str, Any]:
        """Give everything, ready for ``write_json``."""
        return {
            "mAP": self.mAP.to_json(),
            "mAP50": self.mAP50.to_json(),
            "per_class": {
                name: {key: figure.to_json() for key, figure in figures.items()}
                for name, figures in self.per_class.items()
            },
            "scenes": self.scenes,
            **dataclasses.asdict(self.bootstrap),
        }


def draw_scenes(
    images: Sequence[ScoredImage], bootstrap: BootstrapSpec | None = None
) -> NDArray[np.int64]:
    """Draw as many scenes as there are, with replacement, again and again.

    Args:
        images: pictures; those whose records name the same scene, or else the same recording, are
            drawn together. A picture without a record is a scene of its own.
        bootstrap: how often; the defaults if None.

    Returns:
        ``(1 + resamples, I) int64``: how often each picture counts. The first row counts each once.

    Example:
        >>> from vidar_det.detections.boxes import Detections, GroundTruth
        >>> image = ScoredImage(GroundTruth.empty(), Detections.empty())
        >>> draw_scenes([image, image], BootstrapSpec(resamples=2, seed=1)).tolist()
        [[1, 1], [1, 1], [2, 0]]
    """
    bootstrap = bootstrap or BootstrapSpec()
    scenes = scene_numbers(images)
    count = int(scenes.max(initial=-1)) + 1
    once = np.ones((1, len(images)), np.int64)
    if count == 0:
        return np.repeat(once, 1 + bootstrap.resamples, axis=0)
    generator = np.random.default_rng(bootstrap.seed)
    drawn = generator.multinomial(count, np.full(count, 1 / count), bootstrap.resamples)
    return np.concatenate([once, drawn[:, scenes].astype(np.int64)])


def scene_numbers(images: Sequence[ScoredImage]) -> NDArray[np.int64]:
    """Number the scenes from 0, ``(I,) int64``: the same number for pictures of the same scene."""
    numbers: dict[object, int] = {}
    found = []
    for index, image in enumerate(images):
        recording = image.record and image.record.file_name
        name = scene_of(image) or recording or index
        found.append(numbers.setdefault(name, len(numbers)))
    return np.array(found, np.int64)


def scene_of(image: ScoredImage) -> str | None:
    """Name the scene of a picture; None where its labels do not."""
    return None if image.record is None else image.record.origin.scene


def estimate(judgement: Judgement, bootstrap: BootstrapSpec | None = None) -> Figures:
    """Find the interval of each average precision.

    Args:
        judgement: the verdicts on all objects.
        bootstrap: how scenes are drawn; the defaults if None.

    Returns:
        The figures; their values are pycocotools' own.

    Example:
        >>> from vidar_det.evaluation.matching import judge
        >>> estimate(judge([], ["person"])).mAP.to_json()
        {'value': None, 'low': None, 'high': None}
    """
    bootstrap = bootstrap or BootstrapSpec()
    precision = resample(judgement.matches(), draw_scenes(judgement.images, bootstrap))
    return _figures(judgement, precision, mean_known(precision), bootstrap)


def compare(
    judgement: Judgement, other: Judgement, bootstrap: BootstrapSpec | None = None
) -> Figures:
    """Find how much better one set of detections is than another, on the same draws of scenes.

    Args:
        judgement: the verdicts on the one.
        other: the verdicts on the other, of the same pictures in the same order.
        bootstrap: how scenes are drawn; the defaults if None.

    Returns:
        Differences, above 0 where ``judgement`` is the better. An interval that holds 0 shows no
        difference.

    Raises:
        ShapeError: the two show different pictures or classes.

    Example:
        >>> from vidar_det.evaluation.matching import judge
        >>> compare(judge([], ["person"]), judge([], ["person"])).scenes
        0
    """
    bootstrap = bootstrap or BootstrapSpec()
    ours, theirs = judgement.matches(), other.matches()
    objects = [[matches.objects.tolist() for matches in side] for side in (ours, theirs)]
    if judgement.classes != other.classes or objects[0] != objects[1]:
        raise ShapeError("comparison: found other pictures or classes, wanted the same for both")
    draws = draw_scenes(judgement.images, bootstrap)
    precision, rival = resample(ours, draws), resample(theirs, draws)
    means = mean_known(precision) - mean_known(rival)
    return _figures(judgement, precision - rival, means, bootstrap)


def resample(
    matches: Sequence[ClassMatches],
    draws: NDArray[np.int64],
    overlaps: int = 10,
    alarm_weights: Sequence[float] | None = None,
) -> NDArray[np.float64]:
    """Average precision of each class in each draw: ``(R, classes, overlaps) float64``."""
    counts = [1.0] * len(matches) if alarm_weights is None else alarm_weights
    pairs = zip(matches, counts, strict=True)
    found = [average_precision(each, draws, overlaps, weight) for each, weight in pairs]
    return np.stack(found, axis=1) if found else np.zeros((len(draws), 0, overlaps))


def mean_known(precision: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean over the classes that have an object: ``(R, classes, X)`` to ``(R, X)``; else NaN."""
    known = ~np.isnan(precision)
    total = np.where(known, precision, 0.0).sum(axis=1)
    mean: NDArray[np.float64] = np.full(total.shape, np.nan)
    np.divide(total, known.sum(axis=1), out=mean, where=known.any(axis=1))
    return mean


def estimate_of(values: NDArray[np.float64], level: float, scenes: int) -> Estimate:
    """Take the first of ``(R,)`` values as the figure, quantiles of the others as its interval."""
    drawn = values[1:][~np.isnan(values[1:])]
    if scenes < 2 or not len(drawn):
        return Estimate(float(values[0]), math.nan, math.nan)
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return Estimate(float(values[0]), float(low), float(high))


def _figures(
    judgement: Judgement,
    per_class: NDArray[np.float64],
    means: NDArray[np.float64],
    bootstrap: BootstrapSpec,
) -> Figures:
    """Estimates from ``(R, classes, 10)``, and from ``(R, 10)`` over all classes."""
    scenes = int(scene_numbers(judgement.images).max(initial=-1)) + 1

    def take(values: NDArray[np.float64]) -> Estimate:
        return estimate_of(values, bootstrap.level, scenes)

    return Figures(
        mAP=take(means.mean(axis=1)),
        mAP50=take(means[:, 0]),
        per_class={
            name: {
                "AP": take(per_class[:, class_id].mean(axis=1)),
                "AP50": take(per_class[:, class_id, 0]),
            }
            for class_id, name in enumerate(judgement.classes)
        },
        scenes=scenes,
        bootstrap=bootstrap,
    )
