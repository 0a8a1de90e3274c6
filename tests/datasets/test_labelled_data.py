"""Folders of labelled recordings: which layout they have, and their classes by name."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from vidar_det.datasets.dataset import SpikeDataset
from vidar_det.datasets.labelled_data import ForeignDataset, open_labelled_data
from vidar_det.datasets.reading import ReadingSpec, drawn_flip, flip_box
from vidar_det.datasets.simulate import SceneSet, simulate_scenes
from vidar_det.datasets.windows import labelled_windows
from vidar_det.errors import ConfigError, LabelError, SourceError
from vidar_det.spikes.procedural import procedural_backgrounds, procedural_sprites
from vidar_det.spikes.recording import write_recording
from vidar_det.spikes.scene_spec import SceneSpec
from vidar_det.spikes.sidecar import RecordingOptions
from vidar_det.spikes.stream import Sensor

WritePku = Callable[..., Path]
FLIPS = ("none", "ud", "lr", "both")
PLANES = np.zeros((40, 40, 64), np.uint8)
LINE = "0.03 1,2,3,4,0 5,6,7,8,4 9,9,9,9,4"


@pytest.fixture
def pku(tmp_path: Path, write_pku: WritePku) -> Path:
    keys = ("train/a/1", "test/b/1")
    return write_pku(tmp_path / "pku", dict.fromkeys(keys, LINE), dict.fromkeys(keys, PLANES))


def test_a_spike_dataset_is_recognised(tmp_path: Path) -> None:
    (tmp_path / "val.json").write_text('{"images": [], "annotations": [], "categories": []}')
    (tmp_path / "dataset.toml").write_text(
        'format = 1\nclasses = ["person"]\n[splits]\nval = "val.json"\n'
    )
    assert isinstance(open_labelled_data(tmp_path), SpikeDataset)
    with pytest.raises(ConfigError, match=r"label flip lr.*upright"):
        open_labelled_data(tmp_path, ReadingSpec(label_flip="lr"))
    with pytest.raises(ConfigError, match=r"width=400.*the sidecar of each recording"):
        open_labelled_data(tmp_path, ReadingSpec(options=RecordingOptions(width=400)))
    with pytest.raises(SourceError, match="found no SPLIT/labels beside SPLIT/Vidar"):
        open_labelled_data(tmp_path, ReadingSpec(format="pku"))


def test_numbered_classes_are_mapped_by_name(pku: Path) -> None:
    data = open_labelled_data(pku, classes={"person": ("4",), "vehicle": ("0",), "cycle": ()})
    assert isinstance(data, ForeignDataset)
    labels = data.labels("train")
    assert labels.classes == ("person", "vehicle", "cycle")
    assert labels.truths[0].class_ids.tolist() == [1, 0]
    assert labels.images[0].scored == (0, 1)
    assert open_labelled_data(pku).labels("train").classes == ("0", "4")


def test_a_class_that_is_not_wanted_is_refused_and_the_options_named(pku: Path) -> None:
    data = open_labelled_data(pku, classes={"vehicle": ("0",)})
    with pytest.raises(LabelError, match=r"class .4. .*--classes \"CLASS=4\".*\"none=4\""):
        data.labels("test")


def test_a_class_may_be_left_out(pku: Path) -> None:
    data = open_labelled_data(pku, classes={"vehicle": ("0",), "none": ("4",)})
    labels = data.labels("test")
    assert len(labels.truths[0]) == 1
    assert "1 boxes are of classes that are left out" in labels.report.warnings


def test_an_unknown_split_is_refused(pku: Path) -> None:
    with pytest.raises(LabelError, match="no split 'tset'; did you mean 'test'"):
        open_labelled_data(pku).labels("tset")


def test_an_empty_split_is_refused(pku: Path) -> None:
    (pku / "val" / "labels").mkdir(parents=True)
    (pku / "val" / "Vidar").mkdir()
    with pytest.raises(LabelError, match=r"val: found no labels, wanted at least one"):
        open_labelled_data(pku).labels("val")


def test_tracking_scenes_are_recognised(
    tmp_path: Path, write_bare: Callable[[Path, NDArray[np.uint8]], None]
) -> None:
    write_bare(tmp_path / "ball" / "spikes.dat", PLANES)
    (tmp_path / "ball" / "spikes_gt.txt").write_text("20,1,1,1,5,5,1,-1,-1,-1\n")
    reading = ReadingSpec(options=RecordingOptions(width=64, height=40), window=32)
    data = open_labelled_data(tmp_path, reading, {"vehicle": ("object",)})
    assert data.labels("all").images[0].plane_start == 4
    assert data.open(tmp_path / "ball" / "spikes.dat").shape == (40, 40, 64)


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(SourceError, match=r"wanted dataset\.toml.*Vidar.*spikes_gt\.txt"):
        open_labelled_data(tmp_path)
    with pytest.raises(SourceError, match="no such folder"):
        open_labelled_data(tmp_path / "b")


def test_a_sidecar_comes_before_the_config_of_the_dataset(pku: Path) -> None:
    sequence = pku / "test" / "Vidar" / "b"
    write_recording(pku / "other.dat", PLANES[:, :, :40], Sensor(40, 40))
    (pku / "other.toml").rename(sequence.with_name("b.toml"))
    assert open_labelled_data(pku).open(sequence).shape == (64, 40, 40)


@pytest.mark.parametrize("drawn_on", FLIPS)
@pytest.mark.parametrize("pixels", FLIPS)
def test_labels_follow_their_pixels(drawn_on: str, pixels: str) -> None:
    size, box = (64, 40), (3.0, 5.0, 20.0, 9.0)  # where the stored planes show something
    on_picture = flip_box(box, size, pixels)
    as_drawn = flip_box(box, size, drawn_on)
    assert flip_box(as_drawn, size, drawn_flip(drawn_on, pixels)) == on_picture


def test_one_dataset_in_three_layouts_is_one_dataset(
    tmp_path: Path,
    write_pku: WritePku,
    write_bare: Callable[[Path, NDArray[np.uint8]], None],
) -> None:
    scene = SceneSpec(width=64, height=64, objects=(2, 3), height_px=(20, 40))
    generator = np.random.default_rng(1)
    scenes = SceneSet(
        procedural_sprites(generator, 1), procedural_backgrounds(generator, 1, 64, 64), 3, scene, 96
    )
    ours = simulate_scenes(tmp_path / "ours", scenes)
    expected = list(ours.labelled_windows("test", 64))
    texts, recordings, track = {}, {}, tmp_path / "mot" / "track"
    for number, item in enumerate(expected):
        key = f"test/scene/{number + 9}"  # 9, 10, 11: their order is not that of words
        words = [
            f"{64 - right},{top},{64 - left},{bottom},{class_id}"
            for (left, top, right, bottom), class_id in zip(
                item.truth.xyxy.tolist(), item.truth.class_ids, strict=True
            )
        ]
        texts[key] = " ".join([f"{0.01 + 0.02 * number:.2f}", *words])
        recordings[key] = item.window.stream[:]
        write_bare(track.with_name(f"track{number}") / "spikes.dat", item.window.stream[:])
        rows = [
            f"48,{index},{left},{top},{right - left},{bottom - top},1,-1,-1,-1"
            for index, (left, top, right, bottom) in enumerate(item.truth.xyxy.tolist())
        ]
        (track.with_name(f"track{number}") / "spikes_gt.txt").write_text("\n".join(rows))
    numbered = {name: (str(index),) for index, name in enumerate(ours.classes)}
    square = RecordingOptions(width=64, height=64)
    pku = open_labelled_data(write_pku(tmp_path / "pku", texts, recordings), classes=numbered)
    mot = open_labelled_data(tmp_path / "mot", ReadingSpec(options=square, window=64))
    for data, split in ((pku, "test"), (mot, "all")):
        windows = labelled_windows(data.folder, data.labels(split), 64, data.open)
        for found, item in zip(windows, expected, strict=True):
            assert np.array_equal(found.window.planes, item.window.planes)
            assert found.truth.xyxy == pytest.approx(item.truth.xyxy, abs=1e-3)
            if data is pku:
                assert found.truth.class_ids.tolist() == item.truth.class_ids.tolist()
