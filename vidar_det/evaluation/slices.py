"""Judged pictures come in; average precision by speed, light, size and origin goes out.

All false alarms count at every speed, so precision falls where objects are few. Normalised average
precision takes each class for as frequent in the slice as it is over all: Hoiem, Chodpathumwan,
Dai, "Diagnosing Error in Object Detectors", ECCV 2012, section 2.2.
"""

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidar_det.detections.labels import ImageRecord
from vidar_det.evaluation.bootstrap import (
    BootstrapSpec,
    Estimate,
    draw_scenes,
    estimate_of,
    mean_known,
    resample,
    scene_numbers,
)
from vidar_det.evaluation.matching import (
    HIT,
    SHOWN_CONF,
    SIZES,
    ClassMatches,
    Judgement,
    ScoredImage,
    judge,
)

SPEEDS_PX_S: Mapping[str, tuple[float, float]] = MappingProxyType(
    {"0": (0.0, 10.0), "<200": (10.0, 200.0), "200-1000": (200.0, 1000.0), ">1000": (1e3, math.inf)}
)
"""Names of speeds in pixels per second; each holds its lower end and not its upper one."""
LIGHTS = ("dark", "dim", "daylight", "bright")
UNKNOWN = "unknown"
_NO_RECORD = ImageRecord(0, "", 1, 1)


@dataclass(frozen=True)
class SliceFigures:
    """How well the objects of one kind are found.

    Attributes:
        pictures: how many pictures have a part in it.
        objects: how many objects there are to find.
        mAP: mean over the classes that have an object, and the overlaps 0.50:0.05:0.95.
        mAP50: the same at overlap 0.50, with its interval.
        recall: share of the objects that a detection of a score of at least 0.25 finds, at overlap
            0.50; unlike precision it does not fall when few objects stand among many false alarms.
        per_class: class name -> its AP50 and its objects; NaN without any object.
        normalised50: mAP50 normalised, with its interval; None but by speed.
    """

    pictures: int
    objects: int
    mAP: float
    mAP50: Estimate
    recall: float
    per_class: Mapping[str, tuple[float, int]]
    normalised50: Estimate | None = None

    def to_json(self) -> dict[str, Any]:
        """Give everything, ready for ``write_json``; NaN becomes None."""
        return {
            "pictures": self.pictures,
            "objects": self.objects,
            "mAP": _known(self.mAP),
            "mAP50": self.mAP50.to_json(),
            "normalised50": None if self.normalised50 is None else self.normalised50.to_json(),
            "recall": _known(self.recall),
            "per_class": {
                name: {"AP50": _known(precision), "objects": objects}
                for name, (precision, objects) in self.per_class.items()
            },
        }


Slices = Mapping[str, Mapping[str, SliceFigures]]
"""What objects are told apart by -> name of the slice -> its figures."""


def measure_slices(judgement: Judgement, bootstrap: BootstrapSpec | None = None) -> Slices:
    """Score parts of a dataset on their own.

    By ``speed_px_s`` and ``size`` objects are told apart: objects of another slice need not be
    found, the detection that finds one is neither hit nor miss, and what finds nothing stays a
    false alarm of every slice (by size, as COCO has it, only of its own size). By ``light``,
    ``kind`` and ``source`` whole pictures are. What is not known makes a slice ``unknown``.
    Compare speeds by their normalised precision, or by recall.

    Args:
        judgement: the verdicts on all objects.
        bootstrap: how scenes are drawn; the defaults if None.

    Returns:
        The slices that hold a picture, in their natural order; of ``light``, ``kind`` and
        ``source`` only those that some picture states.

    Example:
        >>> measure_slices(judge([], ["person"]))["size"]["small"].objects
        0
    """
    bootstrap = bootstrap or BootstrapSpec()
    draws, matches = draw_scenes(judgement.images, bootstrap), judgement.matches()

    def measure(
        some: Sequence[ClassMatches], picked: NDArray[np.bool_] | None = None
    ) -> SliceFigures:
        weights = draws if picked is None else draws * picked
        return _figures(judgement, some, weights, bootstrap.level)

    def measure_speed(some: Sequence[ClassMatches]) -> SliceFigures:
        shares = [_share(part, whole) for part, whole in zip(some, matches, strict=True)]
        means = mean_known(resample(some, draws, 1, shares))[:, 0]
        figures = measure(some)
        scenes = _scenes_with(judgement, some, draws[0])
        normalised = estimate_of(means, bootstrap.level, scenes)
        return dataclasses.replace(figures, normalised50=normalised)

    found = {"speed_px_s": {name: measure_speed(each) for name, each in _by_speed(judgement)}}
    for fact, stated in _stated_facts(judgement.images).items():
        names = [*LIGHTS, *sorted(set(stated) - {*LIGHTS, UNKNOWN}), UNKNOWN]
        found[fact] = {
            name: measure(matches, np.array(stated) == name) for name in names if name in stated
        }
    return found | {"size": {size: measure(judgement.matches(size)) for size in SIZES[1:]}}


def object_speeds(image: ScoredImage) -> NDArray[np.float64]:
    """Say how fast each object of a picture moves, pixels per second.

    Args:
        image: the picture. Where not one of its boxes has a speed, the picture's own stands for
            all of them: old datasets say no more.

    Returns:
        ``(N,) float64``; NaN where nobody knows.
    """
    speeds = image.truth.speeds_px_s.astype(np.float64)
    stated = image.record and image.record.speed_px_s
    if stated is not None and np.isnan(speeds).all():
        return np.full(len(speeds), stated)
    return speeds


def _by_speed(judgement: Judgement) -> Iterator[tuple[str, tuple[ClassMatches, ...]]]:
    """Judge once more for each speed; objects without one make a slice if there are any."""
    speeds = [object_speeds(image) for image in judgement.images]
    marks = {
        name: [(low <= each) & (each < high) for each in speeds]
        for name, (low, high) in SPEEDS_PX_S.items()
    }
    unknown = [np.isnan(each) for each in speeds]
    if any(each.any() for each in unknown):
        marks[UNKNOWN] = unknown
    for name, counted in marks.items():
        yield name, judge(judgement.images, judgement.classes, counted).matches()


def _stated_facts(images: Sequence[ScoredImage]) -> dict[str, list[str]]:
    """What each picture says of itself, of the facts that some picture states."""
    records = [image.record or _NO_RECORD for image in images]
    facts = {
        "light": [record.light or UNKNOWN for record in records],
        "kind": [record.origin.kind or UNKNOWN for record in records],
        "source": [record.origin.source or UNKNOWN for record in records],
    }
    return {name: stated for name, stated in facts.items() if set(stated) - {UNKNOWN}}


def _figures(
    judgement: Judgement,
    matches: Sequence[ClassMatches],
    weights: NDArray[np.int64],
    level: float,
) -> SliceFigures:
    once = weights[:1]
    objects = [int((once @ each.objects)[0]) for each in matches]
    means = mean_known(resample(matches, weights, overlaps=1))[:, 0]
    exact = resample(matches, once)
    hits = sum(_count_shown_hits(each, once[0]) for each in matches)
    columns = zip(judgement.classes, exact[0, :, 0].tolist(), objects, strict=True)
    return SliceFigures(
        pictures=int(once.sum()),
        objects=sum(objects),
        mAP=float(mean_known(exact).mean()),
        mAP50=estimate_of(means, level, _scenes_with(judgement, matches, once[0])),
        recall=hits / sum(objects) if sum(objects) else math.nan,
        per_class={name: (precision, count) for name, precision, count in columns},
    )


def _scenes_with(
    judgement: Judgement, matches: Sequence[ClassMatches], picked: NDArray[np.int64]
) -> int:
    """How many scenes have an object to find."""
    holds = np.sum([each.objects for each in matches], axis=0) * picked > 0
    return len(set(scene_numbers(judgement.images)[holds].tolist()))


def _share(part: ClassMatches, whole: ClassMatches) -> float:
    """Share of a class's objects that are in a slice."""
    return float(part.objects.sum() / max(1, whole.objects.sum()))


def _count_shown_hits(matches: ClassMatches, weights: NDArray[np.int64]) -> int:
    shown = (matches.verdicts[0] == HIT) & (matches.scores >= SHOWN_CONF)
    return int(weights[matches.pictures[shown]].sum())


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value
