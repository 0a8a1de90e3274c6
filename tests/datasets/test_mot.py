"""Tracking scenes with ``spikes_gt.txt``: what is read in place, what is left out or refused."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from vidar_det.datasets.mot import mot_splits, parse_row, read_mot
from vidar_det.datasets.reading import ReadingSpec
from vidar_det.detections.labels import Labels
from vidar_det.errors import FormatError, RangeError, SourceError
from vidar_det.spikes.sidecar import RecordingOptions

WriteBare = Callable[[Path, NDArray[np.uint8]], None]
SIZE = (64, 40)
PLANES = 60


@pytest.fixture
def scene(tmp_path: Path, write_bare: WriteBare) -> Callable[..., Path]:
    """Writes scenes into one folder; without rows a scene has no labels."""

    def write(rows: str | None, name: str = "ball") -> Path:
        write_bare(tmp_path / name / "spikes.dat", np.zeros((PLANES, SIZE[1], SIZE[0]), np.uint8))
        (tmp_path / "config.yaml").write_text(f"spike_w: {SIZE[0]}\nspike_h: {SIZE[1]}\n")
        if rows is not None:
            (tmp_path / name / "spikes_gt.txt").write_text(rows)
        return tmp_path

    return write


def labels_of(root: Path, **settings: Any) -> Labels:
    (split,) = mot_splits(root).values()
    return read_mot(root, split, ReadingSpec(**({"window": 20} | settings)))


def test_a_row_is_the_middle_of_a_window(scene: Callable[..., Path]) -> None:
    root = scene("30,1,10,4,16,26,1,-1,-1,-1\n40,1,12,4,16,26,1,-1,-1,-1\n\n")
    labels = labels_of(root)
    assert labels.classes == ("object",)
    assert [image.file_name for image in labels.images] == ["ball/spikes.dat"] * 2
    assert [(image.plane_start, image.plane_count) for image in labels.images] == [
        (20, 20),
        (30, 20),
    ]
    assert [truth.xyxy.tolist() for truth in labels.truths] == [
        [[10, 4, 26, 30]],
        [[12, 4, 28, 30]],
    ]
    assert labels.images[0].scored == (0,)
    assert labels.images[0].origin.scene == "ball"
    assert labels.report.warnings == ()


def test_objects_of_one_readout_lie_on_one_picture_in_time_order(
    scene: Callable[..., Path],
) -> None:
    rows = "40,1,1,1,5,5,1,-1,-1,-1\n30,2,2,2,5,5,1,-1,-1,-1\n30, 7, 3, 3, 5, 5, 1\n"
    labels = labels_of(scene(rows))
    assert [len(truth) for truth in labels.truths] == [2, 1]


def test_readouts_too_near_to_an_end_are_left_out_and_counted(scene: Callable[..., Path]) -> None:
    rows = "\n".join(f"{frame},1,1,1,5,5,1,-1,-1,-1" for frame in (0, 9, 10, 50, 51, 60))
    labels = labels_of(scene(rows))
    assert [image.plane_start for image in labels.images] == [0, 40]
    assert "4 labelled readouts lie too near" in labels.report.warnings[0]


def test_a_window_longer_than_the_recording_is_refused(scene: Callable[..., Path]) -> None:
    with pytest.raises(RangeError, match=r"spikes\.dat: found 60 planes, wanted 61 around"):
        labels_of(scene("30,1,1,1,5,5,1,-1,-1,-1"), window=61)


def test_a_row_of_little_confidence_is_neither_hit_nor_miss(scene: Callable[..., Path]) -> None:
    labels = labels_of(scene("30,1,1,1,5,5,0,-1,-1,-1\n30,2,1,1,5,5,1,-1,-1,-1\n30,3,1,1,5,5\n"))
    assert labels.truths[0].ignore.tolist() == [True, False, False]
    assert labels.report.warnings == ("1 boxes have a confidence below 0.5 and are ignored",)


def test_boxes_without_area_are_dropped_and_counted(scene: Callable[..., Path]) -> None:
    labels = labels_of(scene("30,1,1,1,0,5,1,-1,-1,-1\n30,2,70,1,5,5,1,-1,-1,-1\n"))
    assert (labels.report.empty, labels.report.outside) == (1, 1)
    assert len(labels.truths[0]) == 0


def test_an_object_is_as_fast_as_its_track_over_the_window(scene: Callable[..., Path]) -> None:
    rows = "\n".join(f"{frame},1,{frame / 10},{frame / 10},5,5,1" for frame in (20, 30, 40))
    labels = labels_of(scene(rows))
    speeds = [truth.speeds_px_s[0] for truth in labels.truths]
    assert speeds[1] == pytest.approx(np.sqrt(2) * 0.1 * 20_000)
    assert np.isnan([speeds[0], speeds[2]]).all()


@pytest.mark.parametrize(
    ("label_flip", "pixels", "wanted"),
    [
        ("auto", "auto", [10, 4, 26, 30]),
        ("auto", "none", [10, 10, 26, 36]),
        ("auto", "both", [38, 4, 54, 30]),
        ("lr", "auto", [38, 4, 54, 30]),
        ("transpose", "auto", [4, 10, 30, 26]),
    ],
)
def test_labels_flip_with_the_pixels(
    scene: Callable[..., Path], label_flip: str, pixels: str, wanted: list[int]
) -> None:
    options = RecordingOptions(flip=pixels)  # type: ignore[arg-type]  # a test's short cut
    root = scene("30,1,10,4,16,26,1,-1,-1,-1")
    labels = labels_of(root, label_flip=label_flip, options=options)
    assert labels.truths[0].xyxy.tolist() == [wanted]


def test_scenes_are_one_split_unless_folders_part_them(
    tmp_path: Path, scene: Callable[..., Path]
) -> None:
    row = "30,1,1,1,5,5,1,-1,-1,-1"
    assert mot_splits(scene(row)) == {"all": tmp_path}
    assert mot_splits(tmp_path / "ball") == {"all": tmp_path / "ball"}
    parted = tmp_path / "parted"
    (parted / "train").mkdir(parents=True)
    (tmp_path / "ball").rename(parted / "train" / "ball")
    assert mot_splits(parted) == {"train": parted / "train"}


def test_a_scene_may_be_opened_alone(scene: Callable[..., Path]) -> None:
    root = scene("30,1,1,1,5,5,1,-1,-1,-1") / "ball"
    options = RecordingOptions(width=SIZE[0], height=SIZE[1])
    assert labels_of(root, options=options).images[0].file_name == "spikes.dat"


def test_scenes_without_labels_are_left_out_and_counted(scene: Callable[..., Path]) -> None:
    scene(None, "dark")
    labels = labels_of(scene("30,1,1,1,5,5,1,-1,-1,-1"))
    assert labels.report.warnings == ("1 scenes have no spikes_gt.txt and are left out",)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("31,1,1,1,5", r"spikes_gt\.txt, line 3: found '31,1,1,1,5', wanted frame,id"),
        ("31,1,x,1,5,5", "line 3: found 'x', wanted a number"),
        ("31.5,1,1,1,5,5", r"found 31\.5,1, wanted whole"),
        ("-1,1,1,1,5,5", "found -1,1, wanted whole"),
        ("30,1,2,2,5,5", "line 3: found object 1 twice in one frame"),
        ("31 1 2 2 5 5", "wanted frame,id"),
    ],
)
def test_a_malformed_row_is_refused_by_file_and_number(
    scene: Callable[..., Path], row: str, words: str
) -> None:
    with pytest.raises(FormatError, match=words):
        labels_of(scene(f"30,1,1,1,5,5\n\n{row}\n"))


def test_a_label_behind_the_end_is_refused(scene: Callable[..., Path]) -> None:
    with pytest.raises(RangeError, match="line 1: found frame 61 of a recording of 60"):
        labels_of(scene("61,1,1,1,5,5"))


def test_labels_without_a_recording_or_text_are_refused(scene: Callable[..., Path]) -> None:
    root = scene("30,1,1,1,5,5")
    (root / "ball" / "spikes_gt.txt").write_bytes(b"\xff\xff")
    with pytest.raises(FormatError, match="no readable text"):
        labels_of(root)
    (root / "ball" / "spikes.dat").unlink()
    with pytest.raises(SourceError, match=r"spikes\.dat: found nothing"):
        labels_of(root)


def test_a_row_needs_no_confidence() -> None:
    assert parse_row("3,1,1,2,5,6", "memory").confidence == 1
