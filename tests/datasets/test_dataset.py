"""Spike datasets on disk: what is read back, and what is refused."""

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vidar_det.datasets.class_map import (
    complete_class_map,
    match_classes,
    merge_scored,
    parse_class_map,
)
from vidar_det.datasets.dataset import open_dataset
from vidar_det.datasets.windows import OPEN_RECORDINGS, Recordings
from vidar_det.errors import (
    ConfigError,
    FormatError,
    GeometryError,
    LabelError,
    RangeError,
    SourceError,
    VidarError,
)
from vidar_det.spikes.recording import write_recording
from vidar_det.spikes.stream import Sensor

PLANES = 32


def image(number: int = 1, **changes: Any) -> dict[str, Any]:
    entry = {"id": number, "file_name": f"recordings/{number}.dat", "width": 16, "height": 8}
    return entry | {"plane_start": 0, "plane_count": PLANES} | changes


def box(number: int, category_id: int, **changes: Any) -> dict[str, Any]:
    entry = {"id": number, "image_id": 1, "category_id": category_id, "bbox": [1, 2, 3, 4]}
    return entry | changes


def make_dataset(
    folder: Path,
    *,
    images: list[dict[str, Any]] | None = None,
    boxes: list[dict[str, Any]] | None = None,
    names: tuple[str, ...] = ("person", "car", "bus"),
    header: str | None = None,
) -> Path:
    """A dataset of one split ``val``; recording N has a single lit pixel in plane N."""
    images = [image()] if images is None else images
    (folder / "recordings").mkdir(parents=True)
    (folder / "annotations").mkdir()
    for file_name in {entry["file_name"] for entry in images}:
        planes = np.zeros((PLANES, 8, 16), np.uint8)
        planes[int(Path(file_name).stem), 0, 0] = 1
        write_recording(folder / file_name, planes, Sensor(16, 8))
    document = {
        "images": images,
        "annotations": boxes or [],
        "categories": [{"id": index + 1, "name": name} for index, name in enumerate(names)],
    }
    (folder / "annotations" / "val.json").write_text(json.dumps(document))
    text = f'format = 1\nclasses = {list(names)}\n[splits]\nval = "annotations/val.json"\n'
    (folder / "dataset.toml").write_text(text if header is None else header)
    return folder


def read(folder: Path, length: int = PLANES, split: str = "val") -> None:
    for _ in open_dataset(folder).labelled_windows(split, length):
        pass


def test_a_window_is_the_middle_of_its_range(tmp_path: Path) -> None:
    dataset = open_dataset(
        make_dataset(tmp_path / "data", images=[image(plane_start=4, plane_count=20)])
    )
    (found,) = dataset.labelled_windows("val", 8)
    assert (found.window.start, found.window.length) == (10, 8)
    assert found.window.planes.shape == (8, 8, 16)


def test_windows_come_in_the_order_of_the_file_each_from_its_own_recording(tmp_path: Path) -> None:
    images = [image(3), image(1), image(2)]
    dataset = open_dataset(make_dataset(tmp_path / "data", images=images))
    for found in dataset.labelled_windows("val", PLANES):
        assert int(found.window.planes.reshape(PLANES, -1).any(axis=1).argmax()) == found.image.id


def test_more_recordings_than_stay_open_are_all_read(tmp_path: Path) -> None:
    images = [image(number) for number in range(1, OPEN_RECORDINGS + 4)]
    dataset = open_dataset(make_dataset(tmp_path / "data", images=images))
    found = [item.image.id for item in dataset.labelled_windows("val", 4)]
    assert found == list(range(1, OPEN_RECORDINGS + 4))


def test_classes_are_matched_by_name_and_not_by_number(tmp_path: Path) -> None:
    folder = make_dataset(tmp_path / "data", boxes=[box(1, 1), box(2, 2)], names=("car", "person"))
    (found,) = open_dataset(folder, ["person", "dog", "car"]).labelled_windows("val", 4)
    assert found.truth.class_ids.tolist() == [2, 0]
    assert found.scored == (0, 2)


def test_a_merged_class_is_scored_where_all_of_its_parts_are(tmp_path: Path) -> None:
    images = [image(1, scored=[1, 2]), image(2, scored=[2, 3]), image(3)]
    boxes = [box(1, 2), box(2, 3), box(3, 1)]
    folder = make_dataset(tmp_path / "data", images=images, boxes=boxes)
    classes = {"person": ("person",), "vehicle": ("car", "bus")}
    found = list(open_dataset(folder, classes).labelled_windows("val", 4))
    assert [item.scored for item in found] == [(0,), (1,), (0, 1)]
    assert found[0].truth.class_ids.tolist() == [1, 1, 0]


def test_ignored_boxes_stay_ignored(tmp_path: Path) -> None:
    folder = make_dataset(
        tmp_path / "data", boxes=[box(1, 1), box(2, 1, iscrowd=1), box(3, 1, ignore=1)]
    )
    (found,) = open_dataset(folder).labelled_windows("val", 4)
    assert found.truth.ignore.tolist() == [False, True, True]


def test_boxes_outside_the_picture_or_without_area_are_dropped_and_counted(tmp_path: Path) -> None:
    boxes = [box(1, 1), box(2, 1, bbox=[3, 3, 0, 5]), box(3, 1, bbox=[40, 3, 5, 5])]
    labels = open_dataset(make_dataset(tmp_path / "data", boxes=boxes)).labels("val")
    assert (labels.report.empty, labels.report.outside) == (1, 1)
    assert len(labels.truths[0]) == 1


def test_an_unwanted_class_is_refused_and_the_mapping_option_named(tmp_path: Path) -> None:
    folder = make_dataset(tmp_path / "data")
    with pytest.raises(LabelError, match=r"'bus' is none of the wanted.*--classes \"CLASS=bus\""):
        open_dataset(folder, ["person", "car"])
    with pytest.raises(LabelError, match="did you mean 'perso'"):
        open_dataset(folder, ["perso", "car", "bus"])


def test_an_unknown_split_is_refused_with_the_nearest_name(tmp_path: Path) -> None:
    folder = make_dataset(tmp_path / "data")
    with pytest.raises(LabelError, match="no split 'vall'; did you mean 'val'"):
        read(folder, split="vall")


def test_every_recording_is_checked_before_the_first_window(tmp_path: Path) -> None:
    folder = make_dataset(tmp_path / "data", images=[image(1), image(2)])
    (folder / "recordings" / "2.dat").unlink()
    with pytest.raises(SourceError, match=r"2\.dat"):
        open_dataset(folder).labelled_windows("val", 4)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"width": 8}, GeometryError, "found a recording of 16x8 pixels, wanted 8x8"),
        ({"plane_start": 1}, RangeError, "found 32 planes, wanted 1..33"),
        ({"plane_count": 3}, RangeError, "found a labelled range of 3 planes, wanted a window of"),
        ({"plane_start": -1}, FormatError, "found plane_start -1"),
        ({"plane_count": None}, FormatError, "plane_count 0"),
    ],
)
def test_an_image_that_does_not_fit_its_recording_is_refused(
    tmp_path: Path, changes: dict[str, Any], error: type[VidarError], message: str
) -> None:
    folder = make_dataset(tmp_path / "data", images=[image(**changes)])
    with pytest.raises(error, match=message):
        read(folder, length=4)


def test_a_split_without_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LabelError, match="found no images"):
        read(make_dataset(tmp_path / "data", images=[]))


GOOD_SPLITS = '[splits]\nval = "annotations/val.json"\n'


@pytest.mark.parametrize(
    ("header", "error", "message"),
    [
        (f'format = 2\nclasses = ["a"]\n{GOOD_SPLITS}', FormatError, "found format 2, wanted 1"),
        (f'classes = ["a"]\n{GOOD_SPLITS}', ConfigError, "'format' is missing"),
        (f"format = 1\nclasses = []\n{GOOD_SPLITS}", ConfigError, "wanted different names"),
        (f'format = 1\nclasses = ["a", "a"]\n{GOOD_SPLITS}', ConfigError, "wanted different names"),
        (f'format = 1\nclases = ["a"]\n{GOOD_SPLITS}', ConfigError, "did you mean 'classes'"),
        ('format = 1\nclasses = ["a"]\n', ConfigError, r"wanted a table \[splits\]"),
        ('format = 1\nclasses = ["a"]\n[splits]\nval = 3\n', ConfigError, "splits.val: found 3"),
        ('format = 1\nclasses = ["a"]\n[splits]\nval = "no.json"\n', SourceError, "no.json"),
        ("format = ", ConfigError, "no readable TOML"),
    ],
)
def test_a_broken_header_is_refused(
    tmp_path: Path, header: str, error: type[VidarError], message: str
) -> None:
    folder = make_dataset(tmp_path / "data", header=header)
    with pytest.raises(error, match=message):
        open_dataset(folder)


def test_a_folder_without_a_header_is_no_dataset(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"dataset\.toml: found nothing"):
        open_dataset(tmp_path)


def test_a_class_map_reads_as_it_is_written() -> None:
    assert parse_class_map(" person , vehicle=car + bus") == {
        "person": ("person",),
        "vehicle": ("car", "bus"),
    }


@pytest.mark.parametrize("text", ["", "person,,car", "vehicle=", "vehicle=car+", "a,a"])
def test_a_broken_class_map_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_class_map(text)


def test_a_category_of_two_classes_is_refused() -> None:
    with pytest.raises(LabelError, match="'car' belongs to two classes"):
        parse_class_map("vehicle=car,auto=car")


def test_a_net_class_whose_name_counts_as_another_holds_nothing() -> None:
    known = ["person", "vehicle", "cycle"]
    complete = complete_class_map({"vehicle": ("cycle",), "none": ("person", "dog")}, known)
    assert complete == {
        "person": (),
        "vehicle": ("cycle",),
        "cycle": (),
        "none": ("person", "dog"),
    }


def test_boxes_of_classes_that_are_left_out_are_dropped_and_counted(tmp_path: Path) -> None:
    boxes = [box(1, 1), box(2, 2), box(3, 3), box(4, 2)]
    folder = make_dataset(tmp_path / "data", boxes=boxes)
    dataset = open_dataset(folder, {"bus": ("bus",), "none": ("car", "person")})
    labels = dataset.labels("val")
    assert dataset.classes == labels.classes == ("bus",)
    assert labels.truths[0].class_ids.tolist() == [0]
    assert labels.images[0].scored == (0,)
    assert labels.report.warnings == ("3 boxes are of classes that are left out",)


def test_recordings_that_go_to_another_process_open_anew(tmp_path: Path) -> None:
    folder = make_dataset(tmp_path / "data")
    record = open_dataset(folder).labels("val").images[0]
    recordings = Recordings(folder)
    here = recordings.middle(record, 4, shift=-3)
    copied = pickle.loads(pickle.dumps(recordings))  # noqa: S301  # bytes of our own
    there = copied.middle(record, 4, shift=-3)
    assert here.start == there.start == 11
    assert (here.planes == there.planes).all()


@pytest.mark.parametrize("shift", [-15, 15])
def test_a_window_that_leaves_its_range_is_refused(tmp_path: Path, shift: int) -> None:
    folder = make_dataset(tmp_path / "data")
    record = open_dataset(folder).labels("val").images[0]
    with pytest.raises(RangeError, match=f"window of 4, {shift} planes late"):
        Recordings(folder).middle(record, 4, shift)


def test_matching_names_an_unknown_class_and_its_source() -> None:
    with pytest.raises(LabelError, match="traffic: class 'dog'"):
        match_classes(["dog"], {"person": ("person",)}, "traffic")


def test_without_a_list_every_class_is_scored() -> None:
    assert merge_scored(None, {0: 1, 1: 1, 2: 0}) == (0, 1)
