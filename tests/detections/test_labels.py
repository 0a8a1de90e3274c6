import dataclasses

import numpy as np
import pytest

from vidar_det.detections.boxes import GroundTruth
from vidar_det.detections.labels import ImageRecord, Labels, Origin, labels_document
from vidar_det.errors import LabelError

PICTURE = ImageRecord(1, "recordings/a.dat", 400, 250, plane_start=8, plane_count=256)


def truth_of(*class_ids: int, ignore: bool = False) -> GroundTruth:
    count = len(class_ids)
    xyxy = np.array([[1, 2, 4, 6]] * count, np.float32).reshape(-1, 4)
    return GroundTruth(xyxy, np.array(class_ids, np.int64), np.full(count, ignore))


def test_the_document_says_everything_in_coco_words() -> None:
    images = (PICTURE, ImageRecord(7, "b.dat", 8, 8, scored=(1,), speed_px_s=80.0, light="night"))
    labels = Labels(("person", "cycle"), images, (truth_of(1), truth_of(0, ignore=True)))
    document = labels_document(labels, "two boxes")
    assert document["info"]["description"] == "two boxes"
    assert document["categories"] == [{"id": 1, "name": "person"}, {"id": 2, "name": "cycle"}]
    assert document["images"] == [
        {
            "id": 1,
            "file_name": "recordings/a.dat",
            "plane_start": 8,
            "plane_count": 256,
            "width": 400,
            "height": 250,
            "scored": [1, 2],
        },
        {
            "id": 7,
            "file_name": "b.dat",
            "plane_start": 0,
            "plane_count": 0,
            "width": 8,
            "height": 8,
            "scored": [2],
            "speed_px_s": 80.0,
            "light": "night",
        },
    ]
    box = {"bbox": [1.0, 2.0, 3.0, 4.0], "area": 12.0}
    assert document["annotations"] == [
        {"id": 1, "image_id": 1, "category_id": 2, **box, "iscrowd": 0, "ignore": 0},
        {"id": 2, "image_id": 7, "category_id": 1, **box, "iscrowd": 1, "ignore": 1},
    ]


def test_known_speeds_and_origins_are_said_and_unknown_ones_left_out() -> None:
    image = ImageRecord(1, "a.dat", 8, 8, origin=Origin("still", scene="yard"))
    speeds = np.array([np.nan, 0.0, 1234.567], np.float32)
    truth = dataclasses.replace(truth_of(0, 0, 0), speeds_px_s=speeds)
    document = labels_document(Labels(("person",), (image,), (truth,)), "three boxes")
    found = [entry.get("speed_px_s", "absent") for entry in document["annotations"]]
    assert found == ["absent", 0.0, 1234.6]
    origin = {key: document["images"][0].get(key, "absent") for key in Origin._fields}
    assert origin == {"kind": "still", "source": "absent", "scene": "yard"}


def test_a_truth_for_each_image_is_wanted() -> None:
    with pytest.raises(LabelError, match="found 1 images and 2 truths"):
        Labels(("person",), (PICTURE,), (truth_of(), truth_of()))


def test_repeated_ids_and_names_are_refused() -> None:
    with pytest.raises(LabelError, match="image id 1 occurs more than once"):
        Labels(("person",), (PICTURE, PICTURE), (truth_of(), truth_of()))
    with pytest.raises(LabelError, match="class 'person' occurs more than once"):
        Labels(("person", "person"), (PICTURE,), (truth_of(),))


@pytest.mark.parametrize("scored", [(0,), (0, 5), (-1,)])
def test_a_class_id_without_a_name_is_refused(scored: tuple[int, ...]) -> None:
    image = ImageRecord(4, "a.dat", 8, 8, scored=scored)
    with pytest.raises(LabelError, match=r"image 4: found class ids .*, wanted 0\.\.1"):
        Labels(("person", "cycle"), (image,), (truth_of(2),))
