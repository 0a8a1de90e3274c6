import dataclasses
import json
from collections.abc import Callable

import cv2
import numpy as np
import pytest

from vidar_det.detections.boxes import Detections, GroundTruth
from vidar_det.detections.labels import ImageRecord
from vidar_det.evaluation.gallery import MARK, Case, case_json, describe_case, draw_case, find_cases
from vidar_det.evaluation.matching import ScoredImage, judge
from vidar_det.spikes.stream import Sensor, SpikeStream

CLASSES = ["person", "vehicle"]
SMALL, LARGE, FREE = (10.0, 10.0, 30.0, 30.0), (10.0, 40.0, 70.0, 80.0), (80.0, 10.0, 95.0, 40.0)
Row = tuple[tuple[float, ...], int]


def image_of(objects: list[Row], found: list[tuple[Row, float]], name: str = "a") -> ScoredImage:
    def boxes(rows: list[Row]) -> tuple[np.ndarray, np.ndarray]:
        xyxy = np.array([box for box, _ in rows], np.float32).reshape(-1, 4)
        return xyxy, np.array([class_id for _, class_id in rows], np.int64)

    xyxy, class_ids = boxes([row for row, _ in found])
    scores = np.array([score for _, score in found], np.float32)
    truth = GroundTruth(*boxes(objects), np.zeros(len(objects), np.bool_))
    record = ImageRecord(1, f"recordings/{name}.dat", 100, 90, plane_start=64, plane_count=16)
    return ScoredImage(truth, Detections(xyxy, scores, class_ids), record=record)


def cases_of(*images: ScoredImage, **limits: int) -> list[Case]:
    return find_cases(judge(images, CLASSES), **limits)


def test_the_surest_false_alarm_and_the_largest_miss_come_first() -> None:
    images = [
        image_of([(SMALL, 0)], [((FREE, 1), 0.6)], "a"),
        image_of([(LARGE, 1)], [((FREE, 0), 0.9), ((SMALL, 0), 0.2)], "b"),
        image_of([(SMALL, 0)], [((SMALL, 0), 0.9)], "c"),
    ]
    cases = cases_of(*images)
    assert [(case.kind, case.picture, case.class_name) for case in cases] == [
        ("false alarm", 1, "person"),
        ("false alarm", 0, "vehicle"),
        ("miss", 1, "vehicle"),
        ("miss", 0, "person"),
    ]
    assert cases[0].score == pytest.approx(0.9)
    assert (cases[0].other, cases[0].overlap, cases[2].score) == (None, 0.0, None)
    assert [case.kind for case in cases_of(*images, count=1)] == ["false alarm", "miss"]


def test_what_only_a_weak_detection_finds_is_missed() -> None:
    (case,) = cases_of(image_of([(LARGE, 1)], [((LARGE, 1), 0.2)]))
    assert (case.kind, case.overlap) == ("miss", pytest.approx(1.0))
    assert case.score == pytest.approx(0.2)
    assert "nearest vehicle 0.20 overlaps it by 1.00" in describe_case(case)


def test_a_case_says_what_is_near_it() -> None:
    wrong, again = cases_of(
        image_of([(LARGE, 1)], [((LARGE, 0), 0.8), ((LARGE, 1), 0.9), ((LARGE, 1), 0.7)])
    )
    assert describe_case(wrong) == "false alarm, person 0.80, overlap 1.00 with a vehicle"
    assert describe_case(again).endswith("overlap 1.00 with a vehicle that was found already")


def test_one_scene_does_not_fill_the_gallery() -> None:
    clip = [image_of([(LARGE, 1)], [((FREE, 0), 0.9)], "clip") for _ in range(5)]
    other = image_of([(SMALL, 0)], [((FREE, 0), 0.3)], "other")
    cases = cases_of(*clip, other)
    assert [case.picture for case in cases if case.kind == "false alarm"] == [0, 1, 5]
    assert [case.picture for case in cases if case.kind == "miss"] == [0, 1, 5]


def test_ignored_objects_and_unscored_classes_are_no_cases(
    random_images: Callable[..., list[ScoredImage]],
) -> None:
    image = image_of([(LARGE, 1)], [((LARGE, 1), 0.9), ((SMALL, 0), 0.9)])
    ignored = dataclasses.replace(image.truth, ignore=np.ones(1, np.bool_))
    assert cases_of(dataclasses.replace(image, truth=ignored, scored=(1,))) == []
    judgement = judge(random_images(2, 30), ["person", "vehicle", "cycle"])
    objects = sum(int(matches.objects.sum()) for matches in judgement.matches())
    assert 0 < len([c for c in find_cases(judgement, 99) if c.kind == "miss"]) < objects


@pytest.mark.parametrize("kind", ["miss", "false alarm"])
def test_a_case_is_framed_on_the_picture_of_its_window(kind: str) -> None:
    image = image_of([(LARGE, 1)], [((FREE, 0), 0.9)])
    case = next(case for case in cases_of(image) if case.kind == kind)
    planes = np.ones((96, 90, 100), np.uint8)
    window = next(SpikeStream.from_planes(planes, Sensor(100, 90)).windows(16, start=64))
    before = image.truth.xyxy.copy()
    picture = draw_case(case, image, window, CLASSES)
    drawn = cv2.imdecode(np.frombuffer(picture.png, np.uint8), cv2.IMREAD_COLOR_RGB)
    assert drawn.shape == (90, 100, 3)
    left, top, right, bottom = (int(edge) for edge in case.xyxy)
    assert drawn[(top + bottom) // 2, left - 2].tolist() == list(MARK)
    assert drawn[bottom + 1, (left + right) // 2].tolist() == list(MARK)
    assert picture.caption.startswith("a.dat, planes 64-79: ")
    np.testing.assert_array_equal(image.truth.xyxy, before)


def test_a_case_becomes_plain_json() -> None:
    image = image_of([(LARGE, 1)], [])
    (case,) = cases_of(image)
    plain = case_json(case, image)
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    place = plain["recording"], plain["plane_start"], plain["plane_count"]
    assert place == ("recordings/a.dat", 64, 16)
