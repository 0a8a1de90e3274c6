from collections.abc import Callable

import numpy as np
import pytest

from vidar_det.detections.boxes import Detections, GroundTruth
from vidar_det.errors import LabelError
from vidar_det.evaluation.accuracy import evaluate
from vidar_det.evaluation.matching import ALARM, HIT, ScoredImage, judge

BOX, ELSEWHERE = (10.0, 10.0, 50.0, 50.0), (200.0, 100.0, 260.0, 160.0)


def truth_of(*boxes: tuple[float, ...], ignore: tuple[bool, ...] = ()) -> GroundTruth:
    count = len(boxes)
    marks = np.array(ignore or [False] * count, np.bool_)
    return GroundTruth(np.array(boxes, np.float32).reshape(-1, 4), np.zeros(count, np.int64), marks)


def found_of(*rows: tuple[tuple[float, ...], float]) -> Detections:
    boxes = np.array([box for box, _ in rows], np.float32).reshape(-1, 4)
    scores = np.array([score for _, score in rows], np.float32)
    return Detections(boxes, scores, np.zeros(len(rows), np.int64))


def test_each_detection_knows_what_it_found_and_where_it_stood() -> None:
    images = [
        ScoredImage(truth_of(ELSEWHERE), found_of((BOX, 0.3))),
        ScoredImage(truth_of(ELSEWHERE, BOX), found_of((ELSEWHERE, 0.2), (BOX, 0.9))),
    ]
    (matches,) = judge(images, ["person"]).matches()
    np.testing.assert_allclose(matches.scores, [0.9, 0.3, 0.2], atol=1e-6)
    assert matches.pictures.tolist() == [1, 0, 1]
    assert matches.rows.tolist() == [1, 0, 0]
    assert matches.found.tolist() == [1, -1, 0]
    assert matches.verdicts.tolist() == [[HIT, ALARM, HIT]] * 10
    assert matches.objects.tolist() == [1, 2]


def test_an_object_is_found_once_and_by_the_surest() -> None:
    image = ScoredImage(truth_of(BOX), found_of((BOX, 0.4), (BOX, 0.6)))
    (matches,) = judge([image], ["person"]).matches()
    assert matches.rows.tolist() == [1, 0]
    assert matches.verdicts[0].tolist() == [HIT, ALARM]


def test_an_object_that_does_not_count_is_found_by_one_detection_without_blame() -> None:
    inside = (12.0, 12.0, 20.0, 20.0)
    image = ScoredImage(truth_of(BOX, ELSEWHERE), found_of((BOX, 0.9), (BOX, 0.8), (inside, 0.7)))
    (matches,) = judge([image], ["person"], [np.array([False, True])]).matches()
    assert matches.verdicts[0].tolist() == [0, ALARM, ALARM]
    assert matches.objects.tolist() == [1]
    crowd = ScoredImage(truth_of(BOX, ELSEWHERE, ignore=(True, False)), image.detections)
    (absorbed,) = judge([crowd], ["person"]).matches()
    assert absorbed.verdicts[0].tolist() == [0, 0, 0]


def test_sizes_count_their_own_objects() -> None:
    small = (0.0, 0.0, 20.0, 20.0)
    images = [ScoredImage(truth_of(small, ELSEWHERE), found_of((small, 0.9), (BOX, 0.5)))]
    judgement = judge(images, ["person"])
    objects = [judgement.matches(size)[0].objects.tolist() for size in ("all", "small", "medium")]
    assert objects == [[2], [1], [1]]
    assert judgement.matches("small")[0].verdicts[0].tolist() == [HIT, 0]
    assert judgement.matches("medium")[0].verdicts[0].tolist() == [0, ALARM]


def test_without_detections_or_objects_there_is_nothing_to_say() -> None:
    for images in ([], [ScoredImage(GroundTruth.empty(), Detections.empty())]):
        (matches,) = judge(images, ["person"]).matches()
        assert len(matches.scores) == 0
        assert matches.objects.tolist() == [0] * len(images)


def test_matches_hold_the_objects_that_the_figures_count(
    random_images: Callable[..., list[ScoredImage]],
) -> None:
    images, classes = random_images(4), ["person", "vehicle", "cycle"]
    report = evaluate(images, classes)
    counted = [int(matches.objects.sum()) for matches in judge(images, classes).matches()]
    assert counted == [figures.objects for figures in report.per_class.values()]


def test_a_class_id_without_a_name_is_refused() -> None:
    with pytest.raises(LabelError, match=r"found class ids 0\.\.0, wanted 0\.\.-1"):
        judge([ScoredImage(truth_of(BOX), Detections.empty())], [])
