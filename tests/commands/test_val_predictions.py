import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vidar_det.commands.val_predictions import predictions_document, read_predictions
from vidar_det.detections.boxes import Detections
from vidar_det.detections.labels import ImageRecord
from vidar_det.errors import FormatError, LabelError, SourceError
from vidar_det.outputs import write_json

IMAGES = [ImageRecord(n, f"recordings/{n}.dat", 400, 250, plane_count=128) for n in (7, 3)]
CLASSES = ["person", "cycle"]


def found_of(*class_ids: int) -> Detections:
    boxes = np.array([[n, 0, n + 9, 9] for n in range(len(class_ids))], np.float32).reshape(-1, 4)
    scores = np.linspace(0.9, 0.1, len(class_ids), dtype=np.float32)
    return Detections(boxes, scores, np.array(class_ids, np.int64))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "predictions.json"
    found = [found_of(1, 0), found_of()]
    write_json(path, predictions_document("nano", "traffic", "val", CLASSES, IMAGES, found))
    return path


def changed(path: Path, **changes: Any) -> Path:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    return path


def test_what_was_found_survives_the_file(path: Path) -> None:
    name, (first, second) = read_predictions(path, CLASSES, IMAGES)
    assert name == "nano"
    np.testing.assert_allclose(first.xyxy, found_of(1, 0).xyxy)
    np.testing.assert_allclose(first.scores, [0.9, 0.1])
    assert (first.class_ids.tolist(), len(second)) == ([1, 0], 0)


def test_images_are_matched_by_id_and_classes_by_name(path: Path) -> None:
    _, (first, second) = read_predictions(path, CLASSES[::-1], IMAGES[::-1])
    assert (len(first), second.class_ids.tolist()) == (0, [0, 1])


def test_predictions_of_something_else_are_refused(path: Path) -> None:
    other = [ImageRecord(7, "recordings/8.dat", 400, 250, plane_count=128)]
    with pytest.raises(LabelError, match=r"image 7: .*predictions of another split or dataset"):
        read_predictions(path, CLASSES, other)
    with pytest.raises(LabelError, match="image 9: found nothing"):
        read_predictions(path, CLASSES, [ImageRecord(9, "9.dat", 8, 8)])
    with pytest.raises(LabelError, match="found classes"):
        read_predictions(path, ["person"], IMAGES)
    entry = {"image_id": 7, "category_id": 3, "bbox": [0, 0, 1, 1], "score": 0.5}
    with pytest.raises(LabelError, match=r"found category id 3, wanted 1\.\.2"):
        read_predictions(changed(path, detections=[entry]), CLASSES, IMAGES)


def test_broken_and_missing_files_are_refused(path: Path, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"none\.json: cannot be read"):
        read_predictions(tmp_path / "none.json", CLASSES, IMAGES)
    with pytest.raises(FormatError, match="detections: found 3"):
        read_predictions(changed(path, detections=3), CLASSES, IMAGES)
    for text in ("[]", "{", "{}"):
        path.write_text(text)
        with pytest.raises(FormatError, match=r"predictions\.json"):
            read_predictions(path, CLASSES, IMAGES)
