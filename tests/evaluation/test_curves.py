import json
import math
from collections.abc import Callable

import numpy as np
import pytest

from vidar_det.detections.boxes import Detections, GroundTruth
from vidar_det.evaluation.accuracy import summarize
from vidar_det.evaluation.curves import CONFIDENCES, Curves, draw_curves
from vidar_det.evaluation.matching import ScoredImage, judge

CLASSES = ["person", "vehicle", "cycle"]
Images = Callable[..., list[ScoredImage]]


def curves_of(found: list[tuple[float, float]], objects: int = 2) -> Curves:
    """Objects 100 px apart, detections as (left edge, score): at 0, 100 they hit, at 50 not."""
    lefts = np.arange(objects, dtype=np.float32) * 100

    def boxes(edges: np.ndarray) -> np.ndarray:
        rows = [(left, 0, left + 40, 40) for left in edges]
        return np.array(rows, np.float32).reshape(-1, 4)

    truth = GroundTruth(boxes(lefts), np.zeros(objects, np.int64), np.zeros(objects, np.bool_))
    edges, scores = np.array(found, np.float32).reshape(-1, 2).T
    detections = Detections(boxes(edges), scores.copy(), np.zeros(len(scores), np.int64))
    return draw_curves(judge([ScoredImage(truth, detections)], ["person"]))


def at(curve: np.ndarray, confidence: float) -> float:
    return float(curve[int(np.abs(CONFIDENCES - confidence).argmin())])


def test_curves_by_hand() -> None:
    person = curves_of([(0, 0.9), (50, 0.7), (100, 0.5)]).per_class["person"]
    for confidence, precision, recall in ((0.8, 1.0, 0.5), (0.6, 0.5, 0.5), (0.1, 2 / 3, 1.0)):
        assert at(person.precision, confidence) == pytest.approx(precision)
        assert at(person.recall, confidence) == pytest.approx(recall)
        f1 = 2 * precision * recall / (precision + recall)
        assert at(person.f1, confidence) == pytest.approx(f1)
    assert math.isnan(at(person.precision, 0.95))
    assert at(person.f1, 0.95) == 0.0
    assert (person.best_conf, person.best_f1) == (0.5, pytest.approx(0.8))
    np.testing.assert_allclose(person.interpolated[[0, 50, 51, 100]], [1, 1, 2 / 3, 2 / 3])


def test_a_score_that_is_asked_for_is_taken() -> None:
    person = curves_of([(0, 0.25), (100, 0.3)]).per_class["person"]
    assert at(person.recall, 0.25) == 1.0
    assert at(person.recall, 0.3) == 0.5
    assert at(person.recall, 0.31) == 0.0


def test_equal_scores_cannot_be_parted() -> None:
    # with the hit alone F1 would be 2/3; its equal brings a false alarm along
    person = curves_of([(0, 0.5), (50, 0.5)]).per_class["person"]
    assert (person.best_conf, person.best_f1) == (0.5, 0.5)


def test_the_mean_of_the_interpolated_precision_is_the_average_precision(
    random_images: Images,
) -> None:
    judgement = judge(random_images(7, 30), CLASSES)
    curves, report = draw_curves(judgement), summarize(judgement)
    for name, figures in report.per_class.items():
        assert curves.per_class[name].interpolated.mean() == pytest.approx(figures.AP50)
        assert curves.per_class[name].best_f1 >= curves.per_class[name].f1.max()
    mean = np.mean([c.f1 for c in curves.per_class.values()], axis=0)
    assert curves.best_f1 == pytest.approx(mean.max())
    assert at(mean, curves.best_conf) == pytest.approx(mean.max())


def test_no_object_and_no_detection_make_no_curve() -> None:
    nothing = curves_of([(0, 0.5)], objects=0)
    assert np.isnan(nothing.per_class["person"].f1).all()
    assert math.isnan(nothing.best_conf)
    blind = curves_of([]).per_class["person"]
    assert (blind.objects, blind.recall.max(), blind.interpolated.max()) == (2, 0.0, 0.0)
    assert math.isnan(blind.best_conf)
    for curves in (nothing, curves_of([])):
        plain = curves.to_json()
        assert json.loads(json.dumps(plain, allow_nan=False)) == plain
        assert plain["best_conf"] is None
