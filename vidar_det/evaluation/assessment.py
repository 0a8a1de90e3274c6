"""Scored pictures come in; everything that is told of their accuracy goes out."""

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from vidar_det.detections.boxes import Detections
from vidar_det.errors import ShapeError
from vidar_det.evaluation.accuracy import AccuracyReport, summarize
from vidar_det.evaluation.bootstrap import BootstrapSpec, Figures, compare, estimate
from vidar_det.evaluation.confusion import ConfusionMatrix, count_confusions
from vidar_det.evaluation.curves import Curves, draw_curves
from vidar_det.evaluation.gallery import Case, case_json, find_cases
from vidar_det.evaluation.matching import Judgement, ScoredImage, judge
from vidar_det.evaluation.slices import Slices, measure_slices


@dataclass(frozen=True)
class Comparison:
    """How much better a detector is than another on the same pictures.

    Attributes:
        other: what it is compared with.
        difference: this detector's figures less the other's.
        other_figures: the other's.
    """

    other: str
    difference: Figures
    other_figures: Figures

    def to_json(self) -> dict[str, Any]:
        """Give everything, ready for ``write_json``."""
        figures = self.other_figures.to_json()
        return {"other": self.other} | self.difference.to_json() | {"other_figures": figures}


@dataclass(frozen=True)
class Assessment:
    """How good a detector's boxes are.

    Attributes:
        judgement: the verdicts that everything else is counted from.
        accuracy: COCO's twelve figures, and two for each class.
        figures: mAP and AP50 with their intervals.
        slices: the same by speed, light, size and origin.
        curves: precision, recall and F1 along the scores.
        confusion: which class was taken for which.
        cases: the worst false alarms and misses.
        comparison: with another detector, if one was named.
    """

    judgement: Judgement
    accuracy: AccuracyReport
    figures: Figures
    slices: Slices
    curves: Curves
    confusion: ConfusionMatrix
    cases: Sequence[Case]
    comparison: Comparison | None = None

    def to_json(self) -> dict[str, Any]:
        """Give ``mAP, mAP50, per_class, ...``, ready for ``write_json``; what is not known is None.

        ``images`` is the number of pictures; ``intervals`` holds the bootstrap's figures.
        """
        images = self.judgement.images
        document = self.accuracy.to_json() | {
            "intervals": self.figures.to_json(),
            "slices": {
                fact: {name: figures.to_json() for name, figures in group.items()}
                for fact, group in self.slices.items()
            },
            "curves": self.curves.to_json(),
            "confusion": self.confusion.to_json(),
            "gallery": [case_json(case, images[case.picture]) for case in self.cases],
        }
        if self.comparison is not None:
            document["comparison"] = self.comparison.to_json()
        return document


def assess(
    images: Iterable[ScoredImage],
    classes: Sequence[str],
    rival: tuple[str, Sequence[Detections]] | None = None,
    bootstrap: BootstrapSpec | None = None,
) -> Assessment:
    """Measure the accuracy of detections in every way there is.

    Args:
        images: the pictures.
        classes: names; a class id is an index into them.
        rival: name of another detector, and what it found on each of the pictures; None compares
            with nobody.
        bootstrap: how scenes are drawn; the defaults if None.

    Returns:
        The figures.

    Raises:
        LabelError: a class id has no name.
        ShapeError: the rival saw more pictures, or fewer.

    Example:
        >>> assess([], ["person"]).accuracy.images
        0
    """
    judgement = judge(images, classes)
    return Assessment(
        judgement=judgement,
        accuracy=summarize(judgement),
        figures=estimate(judgement, bootstrap),
        slices=measure_slices(judgement, bootstrap),
        curves=draw_curves(judgement),
        confusion=count_confusions(judgement.images, judgement.classes),
        cases=find_cases(judgement),
        comparison=None if rival is None else _compare(judgement, *rival, bootstrap),
    )


def _compare(
    judgement: Judgement, name: str, found: Sequence[Detections], bootstrap: BootstrapSpec | None
) -> Comparison:
    images = judgement.images
    if len(found) != len(images):
        raise ShapeError(f"{name}: found {len(found)} pictures, wanted {len(images)}")
    theirs = [
        dataclasses.replace(image, detections=detections)
        for image, detections in zip(images, found, strict=True)
    ]
    other = judge(theirs, judgement.classes)
    return Comparison(name, compare(judgement, other, bootstrap), estimate(other, bootstrap))
