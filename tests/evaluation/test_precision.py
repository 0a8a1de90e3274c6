import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vidar_det.errors import ShapeError
from vidar_det.evaluation.matching import HIT, SIZES, Judgement, ScoredImage, judge
from vidar_det.evaluation.precision import average_precision

CLASSES = ["person", "vehicle", "cycle"]
Images = Callable[..., list[ScoredImage]]


def untied(image: ScoredImage, index: int) -> ScoredImage:
    """The same picture without equal scores, here or on other pictures: their order is free."""
    found = image.detections
    steps = (np.arange(len(found), dtype=np.float32) + 100 * index) * np.float32(1e-5)
    scores = dataclasses.replace(found, scores=found.scores + steps)
    return dataclasses.replace(image, detections=scores)


def reference(judgement: Judgement) -> np.ndarray:
    """COCOeval's average precision: ``(classes, sizes, overlaps)``, NaN without objects."""
    judgement.coco.accumulate()
    precision = judgement.coco.eval["precision"][..., -1].mean(axis=1)
    return np.where(precision < 0, np.nan, precision).transpose(1, 2, 0)


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_it_equals_pycocotools_for_every_class_size_and_overlap(
    random_images: Images, seed: int
) -> None:
    judgement = judge(random_images(seed), CLASSES)
    wanted = reference(judgement)
    for column, size in enumerate(SIZES):
        found = [average_precision(matches)[0] for matches in judgement.matches(size)]
        np.testing.assert_allclose(found, wanted[:, column], atol=1e-12)


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_weights_equal_pycocotools_on_repeated_and_absent_pictures(
    random_images: Images, seed: int
) -> None:
    images = [untied(image, index) for index, image in enumerate(random_images(seed))]
    weights = np.random.default_rng(seed).integers(0, 4, (1, len(images)))
    repeated = [
        image for image, weight in zip(images, weights[0], strict=True) for _ in range(weight)
    ]
    wanted = reference(judge(repeated, CLASSES))[:, 0]
    matches = judge(images, CLASSES).matches()
    found = [average_precision(each, weights)[0] for each in matches]
    np.testing.assert_allclose(found, wanted, atol=1e-12)


def test_fewer_overlaps_give_the_first_of_them(random_images: Images) -> None:
    matches = judge(random_images(1), CLASSES).matches()[0]
    np.testing.assert_array_equal(
        average_precision(matches, overlaps=1), average_precision(matches)[:, :1]
    )


def test_a_lighter_false_alarm_costs_less_and_none_costs_nothing(random_images: Images) -> None:
    matches = judge(random_images(2, 30), CLASSES).matches()[0]
    figures = [
        float(average_precision(matches, overlaps=1, alarm_weight=weight)[0, 0])
        for weight in (2.0, 1.0, 0.5, 0.0)
    ]
    assert figures == sorted(figures)
    shown = (matches.verdicts[0] == HIT).sum() / matches.objects.sum()
    assert figures[-1] == pytest.approx(shown, abs=0.01)


def test_weights_that_do_not_fit_are_refused(random_images: Images) -> None:
    matches = judge(random_images(1, 4), CLASSES).matches()[0]
    for wrong in (np.ones((1, 3), np.int64), np.ones(4, np.int64), np.ones((1, 4))):
        with pytest.raises(ShapeError, match=r"weights: found .* wanted \(R, 4\) int64"):
            average_precision(matches, wrong)  # type: ignore[arg-type]  # wrong on purpose
