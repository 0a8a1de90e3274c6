from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidar_det.detections.boxes import Detections
from vidar_det.detections.coco import categories_of, detections_of, results_of, xywh_of, xyxy_of
from vidar_det.errors import FormatError, LabelError

ENTRY = {"image_id": 3, "category_id": 2, "bbox": [10, 20.5, 30, 40], "score": 0.5}


@given(seed=st.integers(0, 2**32 - 1), count=st.integers(1, 20))
def test_detections_survive_the_results_list(seed: int, count: int) -> None:
    generator = np.random.default_rng(seed)
    corners = generator.uniform(-5, 400, (count, 2, 2))
    xyxy = np.sort(corners, axis=1).reshape(count, 4).astype(np.float32)
    scores = generator.random(count, np.float32)
    detections = Detections(xyxy, scores, generator.integers(0, 3, count))
    found = detections_of(results_of(detections, 5))
    assert list(found) == [5]
    np.testing.assert_allclose(found[5].xyxy, xyxy, atol=2e-3)
    np.testing.assert_allclose(found[5].scores, scores, atol=1e-6)
    np.testing.assert_array_equal(found[5].class_ids, detections.class_ids)


def test_one_detection_in_coco_words() -> None:
    xyxy, score = np.array([[10, 20, 40, 60]], np.float32), np.array([0.93], np.float32)
    [entry] = results_of(Detections(xyxy, score, np.array([0])), 0)
    wanted = {"image_id": 0, "category_id": 1, "bbox": [10.0, 20.0, 30.0, 40.0], "score": 0.93}
    assert entry == wanted
    assert {type(value) for value in entry["bbox"]} == {float}


def test_results_of_several_windows_come_back_by_window() -> None:
    found = detections_of([ENTRY, ENTRY | {"image_id": 1}, ENTRY | {"score": 1}])
    assert {image_id: len(detections) for image_id, detections in found.items()} == {3: 2, 1: 1}
    assert found[3].scores.tolist() == [0.5, 1.0]
    assert found[3].xyxy.tolist() == [[10, 20.5, 40, 60.5]] * 2
    assert found[3].class_ids.tolist() == [1, 1]


def test_no_results_are_no_detections() -> None:
    assert results_of(Detections.empty(), 1) == []
    assert detections_of([]) == {}


def test_boxes_turn_both_ways() -> None:
    xyxy = np.array([[1, 2, 4, 6]], np.float32)
    assert xywh_of(xyxy) == [[1.0, 2.0, 3.0, 4.0]]
    assert xyxy_of(xywh_of(xyxy)).tolist() == xyxy.tolist()
    assert xyxy_of([]).shape == (0, 4)
    assert xywh_of(np.zeros((0, 4), np.float32)) == []


def test_categories_count_from_one() -> None:
    assert categories_of(("a", "b")) == [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"score": "high"}, r"results\[0\]: score: found 'high', wanted float"),
        ({"score": True}, "score: found True"),
        ({"score": float("nan")}, "score: found nan"),
        ({"image_id": 1.5}, "image_id: found 1.5, wanted int"),
        ({"bbox": [1, 2, 3]}, "bbox: found 3 values"),
        ({"bbox": [1, 2, 3, None]}, "bbox: found None"),
        ({"bbox": "1 2 3 4"}, "bbox: found '1 2 3 4', wanted list"),
    ],
)
def test_malformed_results_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(FormatError, match=message):
        detections_of([ENTRY | change])


def test_a_missing_key_and_a_non_object_are_refused() -> None:
    with pytest.raises(FormatError, match="key 'score' is missing"):
        detections_of([{key: ENTRY[key] for key in ("image_id", "category_id", "bbox")}])
    with pytest.raises(FormatError, match="wanted an object"):
        detections_of([7])  # type: ignore[list-item]  # wrong on purpose


@pytest.mark.parametrize("change", [{"category_id": 0}, {"bbox": [0, 0, -1, 2]}])
def test_impossible_results_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(LabelError, match=r"results\[0\]: found"):
        detections_of([ENTRY | change])
