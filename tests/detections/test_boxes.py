from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from vidar_det.detections.boxes import Detections, GroundTruth, box_iou, nms
from vidar_det.errors import RangeError, ShapeError


def random_detections(seed: int, count: int, classes: int = 3, side: int = 60) -> Detections:
    generator = np.random.default_rng(seed)
    corners = generator.integers(0, side, (count, 2))
    sizes = generator.integers(0, side, (count, 2))
    xyxy = np.concatenate([corners, corners + sizes], axis=1).astype(np.float32)
    scores = generator.integers(0, 10, count).astype(np.float32) / 10  # many ties
    return Detections(xyxy, scores, generator.integers(0, classes, count))


def reference_iou(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    width = max(0.0, min(float(a[2]), float(b[2])) - max(float(a[0]), float(b[0])))
    height = max(0.0, min(float(a[3]), float(b[3])) - max(float(a[1]), float(b[1])))
    area_a, area_b = (float(box[2] - box[0]) * float(box[3] - box[1]) for box in (a, b))
    union = area_a + area_b - width * height
    return width * height / union if union else 0.0


def reference_nms(detections: Detections, iou: float) -> list[int]:
    order = sorted(range(len(detections)), key=lambda i: (-float(detections.scores[i]), i))
    kept: list[int] = []
    for i in order:
        rivals = (k for k in kept if detections.class_ids[k] == detections.class_ids[i])
        if all(reference_iou(detections.xyxy[k], detections.xyxy[i]) <= iou for k in rivals):
            kept.append(i)
    return kept


def near_a_tie(detections: Detections, iou: float) -> bool:
    return bool((np.abs(box_iou(detections.xyxy, detections.xyxy) - iou) < 1e-6).any())


@given(seed=st.integers(0, 2**32 - 1), n=st.integers(0, 8), m=st.integers(0, 8))
def test_overlaps_equal_the_definition_box_by_box(seed: int, n: int, m: int) -> None:
    a, b = random_detections(seed, n).xyxy, random_detections(seed + 1, m).xyxy
    found = box_iou(a, b)
    wanted = np.array([[reference_iou(p, q) for q in b] for p in a]).reshape(n, m)
    assert found.dtype == np.float32
    assert found.shape == (n, m)
    np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_boxes_without_area_overlap_nothing() -> None:
    point = np.array([[3, 3, 3, 3]], np.float32)
    assert box_iou(point, point).tolist() == [[0.0]]


@given(
    seed=st.integers(0, 2**32 - 1),
    count=st.integers(0, 60),
    iou=st.sampled_from([0.05, 0.31, 0.53, 0.71]),
)
def test_suppression_equals_the_greedy_definition(seed: int, count: int, iou: float) -> None:
    detections = random_detections(seed, count)
    assume(not near_a_tie(detections, iou))
    wanted = detections.select(np.array(reference_nms(detections, iou), np.int64))
    found = nms(detections, iou)
    np.testing.assert_array_equal(found.xyxy, wanted.xyxy)
    np.testing.assert_array_equal(found.scores, wanted.scores)
    np.testing.assert_array_equal(found.class_ids, wanted.class_ids)


@pytest.mark.parametrize("count", [127, 128, 129, 400, 1000])
def test_suppression_holds_across_its_blocks(count: int) -> None:
    detections = random_detections(7, count, classes=2, side=97)
    iou = 0.32173
    assert not near_a_tie(detections, iou)
    kept = np.array(reference_nms(detections, iou))
    found = nms(detections, iou, max_det=count)
    assert len(kept) < count
    np.testing.assert_array_equal(found.xyxy, detections.xyxy[kept])
    np.testing.assert_array_equal(found.class_ids, detections.class_ids[kept])


def test_a_chain_of_rivals_keeps_every_second_box() -> None:
    # each box overlaps only its neighbours: the first drops the second, which so spares the third
    left = np.arange(9, dtype=np.float32) * 4
    xyxy = np.stack([left, left * 0, left + 10, left * 0 + 10], axis=1)
    chain = Detections(xyxy, np.linspace(0.9, 0.1, 9, dtype=np.float32), np.zeros(9, np.int64))
    assert nms(chain, 0.3).xyxy[:, 0].tolist() == [0, 8, 16, 24, 32]


def test_an_overlap_of_exactly_the_limit_stays() -> None:
    xyxy = np.array([[0, 0, 2, 2], [0, 0, 2, 1]], np.float32)
    pair = Detections(xyxy, np.array([0.9, 0.8], np.float32), np.zeros(2, np.int64))
    assert len(nms(pair, 0.5)) == 2
    assert len(nms(pair, 0.49)) == 1


def test_classes_do_not_suppress_each_other() -> None:
    xyxy = np.array([[0, 0, 9, 9]] * 3, np.float32)
    detections = Detections(xyxy, np.array([0.5, 0.9, 0.7], np.float32), np.array([0, 1, 0]))
    assert nms(detections).class_ids.tolist() == [1, 0]


def test_equal_scores_keep_the_first_box() -> None:
    xyxy = np.array([[1, 0, 10, 10], [0, 0, 10, 10], [50, 50, 60, 60]], np.float32)
    ties = Detections(xyxy, np.full(3, 0.5, np.float32), np.zeros(3, np.int64))
    assert nms(ties).xyxy[:, 0].tolist() == [1, 50]


def test_limits_keep_the_best() -> None:
    left = np.arange(0, 200, 10, dtype=np.float32)
    xyxy = np.stack([left, left, left + 5, left + 5], axis=1)
    apart = Detections(xyxy, np.linspace(0, 1, 20, dtype=np.float32), np.zeros(20, np.int64))
    assert nms(apart, max_det=3).xyxy[:, 0].tolist() == [190, 180, 170]
    assert nms(apart, pre_nms=4).xyxy[:, 0].tolist() == [190, 180, 170, 160]
    assert len(nms(apart, max_det=0)) == 0


def test_nothing_in_nothing_out() -> None:
    assert len(nms(Detections.empty())) == 0
    assert len(GroundTruth.empty()) == 0


def test_suppression_leaves_its_argument_alone() -> None:
    detections = random_detections(3, 50)
    before = detections.xyxy.copy(), detections.scores.copy(), detections.class_ids.copy()
    nms(detections, 0.3)
    after = detections.xyxy, detections.scores, detections.class_ids
    for old, new in zip(before, after, strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize(
    "arguments", [{"iou": -0.1}, {"iou": 1.5}, {"iou": float("nan")}, {"max_det": -1}]
)
def test_impossible_limits_are_refused(arguments: dict[str, float]) -> None:
    with pytest.raises(RangeError, match="found"):
        nms(Detections.empty(), **arguments)  # type: ignore[arg-type]  # wrong on purpose


def test_selection_takes_masks_indices_and_slices() -> None:
    detections = random_detections(1, 4)
    assert len(detections.select(np.array([True, False, True, False]))) == 2
    np.testing.assert_array_equal(detections.select(np.array([3, 0])).xyxy, detections.xyxy[[3, 0]])
    assert len(detections.select(slice(1, None))) == 3
    truth = GroundTruth(detections.xyxy, detections.class_ids, np.array([True, False, False, True]))
    np.testing.assert_array_equal(truth.select(~truth.ignore).xyxy, detections.xyxy[1:3])


def test_a_speed_is_unknown_unless_it_is_said() -> None:
    detections = random_detections(1, 3)
    boxes = detections.xyxy, detections.class_ids, np.zeros(3, np.bool_)
    assert np.isnan(GroundTruth(*boxes).speeds_px_s).all()
    moving = GroundTruth(*boxes, np.array([0, np.nan, 90], np.float32))
    assert moving.select(np.array([2, 0])).speeds_px_s.tolist() == [90.0, 0.0]
    for wrong in (np.zeros(2, np.float32), np.zeros(3), np.full(3, -1, np.float32)):
        with pytest.raises(ShapeError, match="speeds_px_s"):
            GroundTruth(*boxes, wrong)  # type: ignore[arg-type]  # wrong on purpose


@pytest.mark.parametrize(
    "selection", [np.ones(3, np.bool_), np.array([4]), np.array([-5]), np.zeros((2, 2), np.int64)]
)
def test_a_selection_that_does_not_fit_is_refused(selection: NDArray[np.int64]) -> None:
    with pytest.raises(RangeError, match="selection"):
        random_detections(1, 4).select(selection)


BOX = np.array([[0, 0, 1, 1]], np.float32)
WRONG_BOXES: list[Callable[[], object]] = [
    lambda: BOX.astype(np.float64),
    lambda: BOX[0],
    lambda: np.zeros((1, 5), np.float32),
    lambda: [[0, 0, 1, 1]],
    lambda: np.array([[0, 0, np.nan, 1]], np.float32),
    lambda: np.array([[0, 0, np.inf, 1]], np.float32),
    lambda: np.array([[2, 0, 1, 1]], np.float32),
    lambda: np.array([[0, 2, 1, 1]], np.float32),
]


@pytest.mark.parametrize("wrong", WRONG_BOXES)
def test_wrong_boxes_are_refused_at_birth(wrong: Callable[[], NDArray[np.float32]]) -> None:
    one = np.zeros(1, np.int64)
    with pytest.raises(ShapeError, match="xyxy"):
        Detections(wrong(), np.zeros(1, np.float32), one)
    with pytest.raises(ShapeError, match="xyxy"):
        GroundTruth(wrong(), one, np.zeros(1, np.bool_))
    with pytest.raises(ShapeError, match="xyxy"):
        box_iou(BOX, wrong())


def test_wrong_scores_classes_and_marks_are_refused_at_birth() -> None:
    score, class_id = np.zeros(1, np.float32), np.zeros(1, np.int64)
    for wrong in (np.zeros(2, np.float32), np.zeros(1), np.array([np.nan], np.float32)):
        with pytest.raises(ShapeError, match="scores"):
            Detections(BOX, wrong.astype(wrong.dtype), class_id)
    for wrong_ids in (np.zeros(2, np.int64), np.zeros(1, np.int32), np.array([-1])):
        with pytest.raises(ShapeError, match="class_ids"):
            Detections(BOX, score, wrong_ids)  # type: ignore[arg-type]  # wrong on purpose
    with pytest.raises(ShapeError, match="ignore"):
        GroundTruth(BOX, class_id, np.zeros(1, np.uint8))
