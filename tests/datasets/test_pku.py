"""Folders in the layout of PKU-Vidar-DVS: what is read in place, what is dropped or refused."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vidar_det.datasets.foreign import open_foreign
from vidar_det.datasets.pku import parse_line, pku_splits, read_pku
from vidar_det.datasets.reading import ReadingSpec
from vidar_det.datasets.windows import LabelledWindow, labelled_windows
from vidar_det.detections.labels import Labels
from vidar_det.errors import FormatError, GeometryError, SourceError, VidarError
from vidar_det.spikes.recording import write_recording
from vidar_det.spikes.sidecar import RecordingOptions
from vidar_det.spikes.stream import Sensor

REAL_LINE = Path(__file__).parents[3] / "shared" / "data" / "recordings"
REAL_LINE /= "PKU-Vidar-DVS_00046_rotation_5000K_200r_1.txt"

SIZE = (64, 40)
BOX = (10, 4, 26, 30)
MIRRORED = "38,4,54,30,0"
"""``BOX`` as the dataset says it: left and right change places."""

WritePku = Callable[..., Path]


def planes(count: int = 40, lit: int | None = None) -> np.ndarray:
    """Dark planes; plane ``lit`` shows the box."""
    made = np.zeros((count, SIZE[1], SIZE[0]), np.uint8)
    if lit is not None:
        left, top, right, bottom = BOX
        made[lit, top:bottom, left:right] = 1
    return made


def labels_of(root: Path, split: str = "train", **settings: Any) -> Labels:
    return read_pku(root, root / split, ReadingSpec(**settings))


def windows_of(root: Path, labels: Labels, length: int) -> Iterator[LabelledWindow]:
    opener = partial(open_foreign, options=RecordingOptions(), root=root)
    return labelled_windows(root, labels, length, opener)


@pytest.mark.skipif(not REAL_LINE.is_file(), reason="the real label file is not here")
def test_the_real_label_line_reads_as_corners() -> None:
    boxes = parse_line(REAL_LINE.read_text(), "real")
    assert len(boxes) == 5
    assert boxes[0].xyxy == (157.0, 90.0, 178.0, 102.0)
    assert {box.category for box in boxes} == {"0"}
    assert all(box.xyxy[2] <= 400 and box.xyxy[3] <= 250 for box in boxes)
    assert sum(box.xyxy[0] == box.xyxy[2] for box in boxes) == 1


@pytest.mark.skipif(not REAL_LINE.is_file(), reason="the real label file is not here")
def test_the_real_label_lies_on_its_readouts(tmp_path: Path, write_pku: WritePku) -> None:
    recordings = {"train/a/1": np.zeros((8, 250, 400), np.uint8)}
    root = write_pku(tmp_path, {"train/a/1": REAL_LINE.read_text()}, recordings)
    labels = labels_of(root)
    assert labels.report.empty == 1
    assert (labels.report.outside, labels.report.crossing) == (0, 0)
    assert labels.truths[0].xyxy[0].tolist() == [400 - 178, 90, 400 - 157, 102]


def test_boxes_lie_on_the_upright_picture_in_the_middle_of_their_file(
    tmp_path: Path, write_pku: WritePku
) -> None:
    recordings = {f"train/car/{number}": planes(lit=20) for number in (0, 1)}
    root = write_pku(tmp_path, {"train/car/1": f"0.03 {MIRRORED}"}, recordings)
    labels = labels_of(root)
    (found,) = windows_of(root, labels, 2)
    assert found.image.file_name == "train/Vidar/car"
    assert (found.window.start, found.window.length) == (59, 2)
    rows, columns = np.nonzero(found.window.planes[1])
    seen = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    assert found.truth.xyxy.tolist() == [seen] == [list(BOX)]
    assert found.scored == (0,)
    assert found.image.origin == ("camera", tmp_path.name, "car")


def test_files_are_read_in_the_order_of_their_numbers(tmp_path: Path, write_pku: WritePku) -> None:
    numbers = (9, 10, 2, 100)
    recordings = {f"train/a/{number}": planes(lit=number % 7) for number in numbers}
    texts = {f"train/a/{number}": f"0.0 {MIRRORED}" for number in numbers}
    root = write_pku(tmp_path, texts, recordings)
    found = list(windows_of(root, labels_of(root), 40))
    assert [item.window.start for item in found] == [0, 40, 80, 120]
    lit = [int(item.window.planes.any(axis=(1, 2)).argmax()) for item in found]
    assert lit == [number % 7 for number in sorted(numbers)]


def test_every_split_and_sequence_is_found(tmp_path: Path, write_pku: WritePku) -> None:
    keys = ("train/b/1", "train/a/1", "test/c/1")
    root = write_pku(tmp_path, dict.fromkeys(keys, "0.03"), dict.fromkeys(keys, planes()))
    (root / "notes").mkdir()
    assert list(pku_splits(root)) == ["test", "train"]
    names = [image.file_name for image in labels_of(root).images]
    assert names == ["train/Vidar/a", "train/Vidar/b"]


def test_a_line_without_boxes_is_a_picture_without_objects(
    tmp_path: Path, write_pku: WritePku
) -> None:
    root = write_pku(tmp_path, {"train/a/1": "0.03\n\n"}, {"train/a/1": planes()})
    labels = labels_of(root)
    assert [len(truth) for truth in labels.truths] == [0]


def test_what_is_dropped_or_carries_no_label_is_counted(
    tmp_path: Path, write_pku: WritePku
) -> None:
    keys = [f"train/a/{number}" for number in (1, 2, 3)]
    texts = {
        keys[0]: f"0.03 {MIRRORED} 5,5,5,9,0 9,5,5,9,2 90,5,95,9,0",
        keys[1]: " \n",
    }
    recordings = dict.fromkeys([*keys, "train/unlabelled/1"], planes())
    labels = labels_of(write_pku(tmp_path, texts, recordings))
    assert (labels.report.empty, labels.report.outside) == (2, 1)
    assert labels.classes == ("0", "2")
    notes = " ".join(labels.report.warnings)
    for words in (
        "2 boxes have no area",
        "1 boxes lie outside",
        "1 sequences carry no labels",
        "1 files of readouts carry no label",
        "1 label files are empty",
        "1 labelled files hold other than 400",
        "labels are flipped onto the picture (lr)",
    ):
        assert words in notes


@pytest.mark.parametrize(
    ("flip", "label_flip", "wanted"),
    [
        ("auto", "auto", [10, 4, 26, 30]),
        ("ud", "none", [38, 4, 54, 30]),
        ("ud", "ud", [38, 10, 54, 36]),
        ("ud", "both", [10, 10, 26, 36]),
        ("both", "auto", [38, 4, 54, 30]),
        ("none", "auto", [10, 10, 26, 36]),
        ("lr", "auto", [38, 10, 54, 36]),
    ],
)
def test_labels_flip_with_the_pixels(
    tmp_path: Path, write_pku: WritePku, flip: str, label_flip: str, wanted: list[int]
) -> None:
    root = write_pku(tmp_path, {"train/a/1": f"0.03 {MIRRORED}"}, {"train/a/1": planes()})
    options = RecordingOptions(flip=flip)  # type: ignore[arg-type]  # a test's short cut
    labels = labels_of(root, options=options, label_flip=label_flip)
    assert labels.truths[0].xyxy.tolist() == [wanted]


def test_geometry_comes_from_options_then_from_the_config_then_is_400x250(
    tmp_path: Path, write_pku: WritePku
) -> None:
    root = write_pku(tmp_path, {"train/a/1": "0.03"}, {"train/a/1": planes(25)})
    assert (labels_of(root).images[0].width, labels_of(root).images[0].plane_count) == (64, 25)
    options = RecordingOptions(width=40, height=32)
    assert labels_of(root, options=options).images[0].plane_count == 50
    (root / "config.yaml").unlink()
    recording = root / "train" / "Vidar" / "a" / "1.dat"
    recording.write_bytes(bytes(400 * 12_500))
    image = labels_of(root).images[0]
    assert (image.width, image.height, image.plane_count) == (400, 250, 400)


def test_a_recording_with_padded_rows_is_read_as_told(tmp_path: Path, write_pku: WritePku) -> None:
    root = write_pku(tmp_path, {"train/a/1": "0.03"}, {"train/a/1": planes(1)})
    (root / "config.yaml").unlink()
    (root / "train" / "Vidar" / "a" / "1.dat").write_bytes(bytes(2 * 13_000))
    options = RecordingOptions(layout="row-padded")
    assert labels_of(root, options=options).images[0].plane_count == 2


def test_files_that_are_cut_mid_plane_are_refused(tmp_path: Path, write_pku: WritePku) -> None:
    root = write_pku(tmp_path, {"train/a/1": "0.03"}, {"train/a/1": planes(1)})
    (root / "config.yaml").unlink()
    recording = root / "train" / "Vidar" / "a" / "1.dat"
    blank = np.zeros((3, 1000, 1000), np.uint8)
    write_recording(recording, blank, Sensor(1000, 1000), layout="m1k40", overwrite=True)
    options = RecordingOptions(width=1000, height=1000, layout="m1k40")
    with pytest.raises(GeometryError, match="found layout m1k40, wanted plain or row-padded"):
        labels_of(root, options=options)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("now 1,2,3,4,0", r"1\.txt, line 1: found 'now', wanted a time"),
        ("0.03 1,2,3,4", r"1\.txt, line 1: found '1,2,3,4', wanted x1,y1,x2,y2,class"),
        ("0.03 1,2,3,4,car", "found '1,2,3,4,car'"),
        ("0.03 1,2,x,4,0", "found 'x', wanted a coordinate"),
        ("0.03 1,2,nan,4,0", "found 'nan', wanted a coordinate"),
        ("\n0.03 1,2,3,4,0\n0.05", r"1\.txt, line 3: found another line"),
        ("0.03 1,2,3,4,-1", "found '1,2,3,4,-1'"),
    ],
)
def test_a_malformed_line_is_refused_by_file_and_number(
    tmp_path: Path, write_pku: WritePku, text: str, words: str
) -> None:
    root = write_pku(tmp_path, {"train/a/1": text}, {"train/a/1": planes()})
    with pytest.raises(FormatError, match=words):
        labels_of(root)


def test_a_label_that_is_no_text_is_refused(tmp_path: Path, write_pku: WritePku) -> None:
    root = write_pku(tmp_path, {"train/a/1": "0.03"}, {"train/a/1": planes()})
    (root / "train" / "labels" / "a" / "1.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(FormatError, match="no readable text"):
        labels_of(root)


@pytest.mark.parametrize(
    ("name", "error", "words"),
    [
        ("train/a/one", FormatError, r"one\.txt: found this name, wanted a number"),
        ("train/a/01", FormatError, "wanted one of them"),
        ("train/a/7", SourceError, r"7\.dat: found nothing, but .*7\.txt labels it"),
        ("train/b/1", SourceError, r"Vidar/b: found nothing, wanted the recording of"),
    ],
)
def test_a_label_without_its_recording_is_refused(
    tmp_path: Path, write_pku: WritePku, name: str, error: type[VidarError], words: str
) -> None:
    texts = {"train/a/1": "0.03", name: "0.03"}
    root = write_pku(tmp_path, texts, {"train/a/1": planes()})
    with pytest.raises(error, match=words):
        labels_of(root)


def test_a_sequence_without_recordings_is_refused(tmp_path: Path, write_pku: WritePku) -> None:
    root = write_pku(tmp_path, {"train/a/1": "0.03"}, {"train/a/1": planes()})
    (root / "train" / "Vidar" / "a" / "1.dat").unlink()
    with pytest.raises(SourceError, match=r"found no \.dat files"):
        labels_of(root)


def test_a_partial_plane_may_end_a_sequence_but_not_shift_it(
    tmp_path: Path, write_pku: WritePku
) -> None:
    keys = ("train/a/1", "train/a/2")
    root = write_pku(tmp_path, dict.fromkeys(keys, "0.03"), dict.fromkeys(keys, planes()))
    folder = root / "train" / "Vidar" / "a"
    with (folder / "2.dat").open("ab") as file:
        file.write(b"\0" * 5)
    assert [image.plane_count for image in labels_of(root).images] == [40, 40]
    with (folder / "1.dat").open("ab") as file:
        file.write(b"\0" * 5)
    with pytest.raises(FormatError, match=r"1\.dat: found 12805 bytes, wanted whole planes of 320"):
        labels_of(root)
