import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidar_det.detections.boxes import GroundTruth
from vidar_det.detections.label_reader import read_labels
from vidar_det.detections.labels import ImageRecord, Labels, Origin, labels_document
from vidar_det.errors import FormatError, LabelError, SourceError
from vidar_det.outputs import write_json

IMAGE = {"id": 5, "file_name": "a.dat", "width": 400, "height": 250}
ANNOTATION = {"id": 1, "image_id": 5, "category_id": 3, "bbox": [10, 20, 30, 40]}
DOCUMENT: dict[str, Any] = {
    "images": [IMAGE],
    "categories": [{"id": 3, "name": "vehicle"}, {"id": 1, "name": "person"}],
    "annotations": [ANNOTATION],
}


def file_of(folder: Path, document: object) -> Path:
    path = folder / "labels.json"
    path.write_text(json.dumps(document))
    return path


def changed(key: str, value: object) -> dict[str, Any]:
    document = copy.deepcopy(DOCUMENT)
    document[key] = value
    return document


@given(seed=st.integers(0, 2**32 - 1), counts=st.lists(st.integers(0, 4), max_size=4))
def test_labels_survive_the_file(
    tmp_path_factory: pytest.TempPathFactory, seed: int, counts: list[int]
) -> None:
    generator = np.random.default_rng(seed)
    truths = []
    for count in counts:
        corners = generator.uniform(0, 200, (count, 2))
        sides = generator.uniform(0.01, 50, (count, 2))
        xyxy = np.concatenate([corners, corners + sides], axis=1).astype(np.float32)
        class_ids, ignore = generator.integers(0, 3, count), generator.random(count) < 0.3
        speeds = generator.choice([np.nan, 0.0, 70.5, 3100.0], count).astype(np.float32)
        truths.append(GroundTruth(xyxy, class_ids, ignore, speeds))
    facts = (256, (0, 2), 12.5, "day", Origin("video", "camvid", "street 7"))
    images = tuple(
        ImageRecord(index + 1, f"recordings/{index}.dat", 400, 250, index, *facts)
        for index in range(len(counts))
    )
    written = Labels(("person", "vehicle", "cycle"), images, tuple(truths))
    path = tmp_path_factory.mktemp("labels") / "a.json"
    write_json(path, labels_document(written, "random"))
    read = read_labels(path)
    assert (read.classes, read.images, read.report) == (written.classes, images, written.report)
    for old, new in zip(truths, read.truths, strict=True):
        np.testing.assert_allclose(new.xyxy, old.xyxy, atol=2e-3)
        np.testing.assert_array_equal(new.class_ids, old.class_ids)
        np.testing.assert_array_equal(new.ignore, old.ignore)
        np.testing.assert_array_equal(new.speeds_px_s, old.speeds_px_s)


def test_the_files_own_classes_stand_by_category_id(tmp_path: Path) -> None:
    labels = read_labels(file_of(tmp_path, DOCUMENT))
    assert labels.classes == ("person", "vehicle")
    assert labels.images == (ImageRecord(5, "a.dat", 400, 250, scored=(0, 1)),)
    assert labels.truths[0].xyxy.tolist() == [[10, 20, 40, 60]]
    assert labels.truths[0].class_ids.tolist() == [1]
    assert labels.truths[0].ignore.tolist() == [False]


def test_classes_are_matched_by_name_and_absent_ones_are_not_scored(tmp_path: Path) -> None:
    labels = read_labels(file_of(tmp_path, DOCUMENT), ["cycle", "vehicle", "person"])
    assert labels.classes == ("cycle", "vehicle", "person")
    assert labels.truths[0].class_ids.tolist() == [1]
    assert labels.images[0].scored == (1, 2)


def test_an_empty_scored_list_scores_nothing(tmp_path: Path) -> None:
    labels = read_labels(file_of(tmp_path, changed("images", [IMAGE | {"scored": []}])))
    assert labels.images[0].scored == ()


def test_an_unknown_class_is_refused_with_the_nearest_name(tmp_path: Path) -> None:
    with pytest.raises(LabelError, match=r"unknown class 'vehicle'; did you mean 'vehicles'\?"):
        read_labels(file_of(tmp_path, DOCUMENT), ["person", "vehicles"])


@pytest.mark.parametrize("mark", ["iscrowd", "ignore"])
def test_a_crowd_is_ignored(tmp_path: Path, mark: str) -> None:
    labels = read_labels(file_of(tmp_path, changed("annotations", [ANNOTATION | {mark: 1}])))
    assert labels.truths[0].ignore.tolist() == [True]


def test_boxes_that_cannot_be_found_are_dropped_and_counted(tmp_path: Path) -> None:
    boxes = [
        [10, 20, 30, 40],
        [10, 20, 0, 40],
        [10, 20, 30, -4],
        [400, 20, 30, 40],
        [-30, 20, 30, 40],
        [10, 250, 30, 40],
        [380, 20, 30, 40],
        [370.5, 20, 30, 40],
    ]
    entries = [ANNOTATION | {"id": index, "bbox": box} for index, box in enumerate(boxes)]
    labels = read_labels(file_of(tmp_path, changed("annotations", entries)))
    report = labels.report
    assert (report.empty, report.outside, report.crossing) == (2, 3, 1)
    assert labels.truths[0].xyxy[:, 0].tolist() == [10, 380, 370.5]


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("images", [IMAGE, IMAGE], "image id 5 occurs more than once"),
        ("annotations", [ANNOTATION, ANNOTATION], "annotation id 1 occurs more than once"),
        ("categories", [{"id": 3, "name": "a"}] * 2, "category id 3 occurs more than once"),
        (
            "categories",
            [{"id": 3, "name": "a"}, {"id": 4, "name": "a"}],
            "category name 'a' occurs more than once",
        ),
        ("annotations", [ANNOTATION | {"image_id": 6}], "image id 6 is none of the images"),
        ("annotations", [ANNOTATION | {"category_id": 2}], "category id 2 is none of"),
        (
            "annotations",
            [ANNOTATION | {"speed_px_s": -3}],
            r"annotations\[0\]: found speed_px_s -3",
        ),
        ("images", [IMAGE | {"scored": [9]}], "scored: found category id 9 without a name"),
        ("images", [IMAGE | {"width": 0}], r"images\[0\]: found 0 x 250 pixels"),
    ],
)
def test_labels_that_contradict_themselves_are_refused(
    tmp_path: Path, key: str, value: object, message: str
) -> None:
    with pytest.raises(LabelError, match=message):
        read_labels(file_of(tmp_path, changed(key, value)))


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ([], "found a list, wanted a COCO object"),
        ({"images": []}, "key 'annotations' is missing"),
        (changed("images", {}), "images: found {}, wanted list"),
        (changed("images", [{"id": 1}]), r"images\[0\]: key 'width' is missing"),
        (changed("images", [IMAGE | {"scored": [[]]}]), r"scored: found \[\], wanted int"),
        (changed("images", [IMAGE | {"plane_start": "0"}]), "plane_start: found '0', wanted int"),
        (changed("annotations", [3]), "found 3, wanted an object"),
        (changed("annotations", [ANNOTATION | {"bbox": [1, 2, 3]}]), "bbox: found 3 values"),
    ],
)
def test_what_is_no_coco_is_refused(tmp_path: Path, document: object, message: str) -> None:
    with pytest.raises(FormatError, match=message) as failure:
        read_labels(file_of(tmp_path, document))
    assert "labels.json" in str(failure.value)


def test_missing_and_broken_files_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"none\.json: cannot be read: No such file"):
        read_labels(tmp_path / "none.json")
    broken = tmp_path / "broken.json"
    broken.write_text('{"images": [')
    with pytest.raises(FormatError, match=r"broken\.json: found no JSON"):
        read_labels(broken)
