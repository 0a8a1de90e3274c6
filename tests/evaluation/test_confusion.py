import json
from collections.abc import Callable

import numpy as np
import pytest

from vidar_det.detections.boxes import Detections, GroundTruth
from vidar_det.evaluation.confusion import count_confusions
from vidar_det.evaluation.matching import ScoredImage, judge

CLASSES = ["person", "cycle"]
HERE, NEAR, ELSEWHERE = (10, 10, 50, 50), (10, 10, 50, 58), (200, 100, 260, 160)
Row = tuple[tuple[int, int, int, int], int]


def image_of(
    objects: list[Row], found: list[tuple[Row, float]], ignored: tuple[int, ...] = ()
) -> ScoredImage:
    def boxes(rows: list[Row]) -> tuple[np.ndarray, np.ndarray]:
        xyxy = np.array([box for box, _ in rows], np.float32).reshape(-1, 4)
        return xyxy, np.array([class_id for _, class_id in rows], np.int64)

    ignore = np.isin(np.arange(len(objects)), ignored)
    xyxy, class_ids = boxes([row for row, _ in found])
    scores = np.array([score for _, score in found], np.float32)
    return ScoredImage(GroundTruth(*boxes(objects), ignore), Detections(xyxy, scores, class_ids))


def counted(*images: ScoredImage, **limits: float) -> list[list[int]]:
    counts: list[list[int]] = count_confusions(images, CLASSES, **limits).counts.tolist()
    return counts


def test_hits_misses_alarms_and_confusions_have_their_places() -> None:
    hit = image_of([(HERE, 0)], [((HERE, 0), 0.9)])
    missed = image_of([(HERE, 1)], [])
    alarm = image_of([], [((ELSEWHERE, 1), 0.9)])
    taken_for = image_of([(HERE, 0)], [((NEAR, 1), 0.9)])
    found = counted(hit, missed, alarm, taken_for)
    assert found == [[1, 1, 0], [0, 0, 1], [0, 1, 0]]


def test_the_surest_chooses_first_whatever_its_class() -> None:
    image = image_of([(HERE, 0)], [((HERE, 0), 0.5), ((NEAR, 1), 0.9)])
    assert counted(image) == [[0, 1, 0], [0, 0, 0], [1, 0, 0]]


def test_a_rider_and_his_cycle_are_each_found_as_what_they_are() -> None:
    # the cycle's box fits the person's place better than its own, the person's the cycle's
    image = image_of([(HERE, 0), (NEAR, 1)], [((NEAR, 0), 0.9), ((HERE, 1), 0.8)])
    assert counted(image) == [[1, 0, 0], [0, 1, 0], [0, 0, 0]]


def test_weak_and_loose_detections_find_nothing() -> None:
    weak = image_of([(HERE, 0)], [((HERE, 0), 0.2)])
    assert counted(weak) == [[0, 0, 1], [0, 0, 0], [0, 0, 0]]
    assert counted(weak, conf=0.2) == [[1, 0, 0], [0, 0, 0], [0, 0, 0]]
    loose = image_of([(HERE, 0)], [((NEAR, 0), 0.9)])
    assert counted(loose, iou=0.9) == [[0, 0, 1], [0, 0, 0], [1, 0, 0]]


def test_an_ignored_box_swallows_detections_of_its_class_alone() -> None:
    crowd = (0, 0, 300, 200)
    found = [((HERE, 0), 0.9), ((ELSEWHERE, 0), 0.8), ((ELSEWHERE, 1), 0.7)]
    assert counted(image_of([(crowd, 0)], found, ignored=(0,))) == [[0, 0, 0], [0, 0, 0], [0, 1, 0]]


def test_every_object_is_counted_once(random_images: Callable[..., list[ScoredImage]]) -> None:
    classes = ["person", "vehicle", "cycle"]
    judgement = judge(random_images(3, 40), classes)
    matrix = count_confusions(judgement.images, classes)
    objects = [int(matches.objects.sum()) for matches in judgement.matches()]
    assert matrix.counts[:3].sum(axis=1).tolist() == objects
    shown = sum(int((image.detections.scores >= 0.25).sum()) for image in judgement.images)
    assert matrix.counts[:, :3].sum() <= shown


def test_the_matrix_becomes_plain_json() -> None:
    plain = count_confusions([], CLASSES).to_json()
    assert json.loads(json.dumps(plain)) == plain
    assert plain["labels"] == ["person", "cycle", "background"]
    assert (plain["conf"], plain["iou"]) == pytest.approx((0.25, 0.5))
