import json

import numpy as np
import pytest

from vidar_det.detections.boxes import Detections
from vidar_det.detections.coco import detections_of
from vidar_det.detections.predictions import (
    ClipRecord,
    ModelRecord,
    Predictions,
    TimingRecord,
    WindowRecord,
)
from vidar_det.errors import LabelError

MODEL = ModelRecord("nano", "abc123", 520_000, 2, runtime="OpenVINO 2026.4", precision="float32")
CLIP = ClipRecord(400, 250, planes=128, rate_hz=20_000.0, layout="plain", flip="ud")
WINDOWS = (WindowRecord(0, 0, 64, 0.0), WindowRecord(1, 64, 64, 3200.0))
TIMING = TimingRecord(decode=3.1, inference=41.0, total=52.7)


def found(class_id: int = 0) -> Detections:
    box, score = np.array([[10, 20, 40, 60]], np.float32), np.array([0.93], np.float32)
    return Detections(box, score, np.array([class_id]))


def test_the_envelope_holds_what_the_contract_names() -> None:
    detections = (found(), Detections.empty())
    predictions = Predictions(
        MODEL, CLIP, ("person",), WINDOWS, detections, TIMING, ("3 bytes trail",)
    )
    assert json.loads(json.dumps(predictions.to_json())) == {
        "model": {
            "name": "nano",
            "version": "abc123",
            "params": 520_000,
            "time_steps": 2,
            "runtime": "OpenVINO 2026.4",
            "precision": "float32",
        },
        "clip": {
            "width": 400,
            "height": 250,
            "planes": 128,
            "rate_hz": 20_000.0,
            "layout": "plain",
            "flip": "ud",
            "sha256": None,
            "trailing_bytes": 0,
        },
        "images": [
            {"id": 0, "plane_start": 0, "plane_count": 64, "t_start_us": 0.0},
            {"id": 1, "plane_start": 64, "plane_count": 64, "t_start_us": 3200.0},
        ],
        "categories": [{"id": 1, "name": "person"}],
        "detections": [
            {"image_id": 0, "category_id": 1, "bbox": [10.0, 20.0, 30.0, 40.0], "score": 0.93}
        ],
        "timing_ms": {"decode": 3.1, "inference": 41.0, "total": 52.7},
        "warnings": ["3 bytes trail"],
    }


def test_a_request_names_itself_first() -> None:
    predictions = Predictions(MODEL, CLIP, (), (), (), TIMING, request_id="r-1")
    document = predictions.to_json()
    assert next(iter(document.items())) == ("request_id", "r-1")


def test_the_detections_of_an_envelope_can_be_read_back() -> None:
    predictions = Predictions(MODEL, CLIP, ("a", "b"), WINDOWS, (found(1), found(0)), TIMING)
    read = detections_of(predictions.to_json()["detections"])
    assert read[0].class_ids.tolist() == [1]
    assert read[1].xyxy.tolist() == [[10, 20, 40, 60]]


def test_windows_and_detections_must_pair() -> None:
    with pytest.raises(LabelError, match="found 2 windows and 1 detections"):
        Predictions(MODEL, CLIP, ("person",), WINDOWS, (found(),), TIMING)


def test_a_class_id_without_a_name_is_refused() -> None:
    with pytest.raises(LabelError, match="found class id 1, wanted below 1"):
        Predictions(MODEL, CLIP, ("person",), WINDOWS, (found(), found(1)), TIMING)
