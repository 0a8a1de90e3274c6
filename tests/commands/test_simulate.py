from pathlib import Path

import cv2
import numpy as np
import pytest

from vidar_det.commands.simulate import SCENE_NAMES, SimulateSettings, simulate
from vidar_det.datasets.capture import CaptureSpec
from vidar_det.datasets.dataset import open_dataset
from vidar_det.detections.label_reader import read_labels
from vidar_det.errors import ConfigError, OutputError, SourceError
from vidar_det.spikes.recording import open_recording
from vidar_det.spikes.video import VideoWriter

SMALL = SimulateSettings(planes=64, window=32, size=(96, 64))


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / "moving.mp4"
    with VideoWriter(path, 30.0) as writer:
        for shift in range(6):
            picture = np.zeros((64, 96), np.uint8)
            picture[20:40, 10 + 4 * shift : 40 + 4 * shift] = 200
            writer.write(picture)
    return path


def test_a_named_scene_becomes_a_recording_with_exact_boxes(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    assert simulate("street", tmp_path / "a.dat", SMALL, lambda *done: told.append(done)) == ()
    assert open_recording(tmp_path / "a.dat").shape == (64, 64, 96)
    labels = read_labels(tmp_path / "a.json")
    assert [image.plane_start for image in labels.images] == [0, 32]
    assert told[-1] == (64, 64)


@pytest.mark.parametrize("name", ["composed", "fast"])
def test_many_scenes_become_a_dataset(tmp_path: Path, name: str) -> None:
    settings = SimulateSettings(planes=32, size=(96, 64), count=2, splits=("val",))
    simulate(name, tmp_path / "set", settings)
    dataset = open_dataset(tmp_path / "set")
    assert list(dataset.splits) == ["val"]
    assert len(list(dataset.labelled_windows("val", 32))) == 2


def test_the_seed_decides_the_planes(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        settings = SimulateSettings(CaptureSpec(seed=seed), planes=32, window=32, size=(96, 64))
        simulate("street", tmp_path / f"{name}.dat", settings)
    a, b, c = ((tmp_path / f"{name}.dat").read_bytes() for name in "abc")
    assert a == b != c


def test_a_video_becomes_a_recording(video: Path, tmp_path: Path) -> None:
    simulate(str(video), tmp_path / "moving.dat", SimulateSettings(planes=100, speed=10.0))
    assert open_recording(tmp_path / "moving.dat").shape == (100, 64, 96)


def test_annotated_pictures_become_a_dataset(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "one.png"), np.full((64, 96), 120, np.uint8))
    (tmp_path / "labels.json").write_text(
        """{"images": [{"id": 1, "file_name": "one.png", "width": 96, "height": 64,
                        "split": "val", "scored": [1]}],
            "categories": [{"id": 1, "name": "person"}],
            "annotations": [
              {"id": 1, "image_id": 1, "category_id": 1, "bbox": [30, 10, 20, 40]},
              {"id": 2, "image_id": 1, "category_id": 1, "bbox": [30, 10, 0, 40]}]}"""
    )
    settings = SimulateSettings(planes=64, size=(96, 64))
    warnings = simulate(str(tmp_path / "labels.json"), tmp_path / "set", settings)
    assert warnings == ("1 boxes have no area or lie outside their picture and are dropped",)
    assert list(open_dataset(tmp_path / "set").splits) == ["val"]


def test_an_unknown_source_is_refused_with_the_nearest_scene(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="did you mean 'street'"):
        simulate("stret", tmp_path / "a.dat")
    assert set(SCENE_NAMES) >= {"street", "composed"}


def test_settings_that_contradict_each_other_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--count"):
        simulate("composed", tmp_path / "a.dat")
    with pytest.raises(ConfigError, match="--count"):
        simulate("street", tmp_path / "a.dat", SimulateSettings(sprites=tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_what_exists_stays_unless_overwriting_is_allowed(tmp_path: Path) -> None:
    simulate("street", tmp_path / "a.dat", SMALL)
    with pytest.raises(OutputError, match="exists already"):
        simulate("street", tmp_path / "a.dat", SMALL)


def test_an_unreadable_video_is_refused(tmp_path: Path) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    with pytest.raises(SourceError, match=r"broken\.mp4"):
        simulate(str(tmp_path / "broken.mp4"), tmp_path / "a.dat")
    assert not (tmp_path / "a.dat").exists()
