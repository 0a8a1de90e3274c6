import json
from pathlib import Path

import cv2
import numpy as np
import pytest

import vidar_det
from vidar_det.commands.demo import STRIDE, run_demo
from vidar_det.commands.simulate import SimulateSettings, simulate
from vidar_det.datasets.capture import CaptureSpec
from vidar_det.errors import CheckpointError, SourceError
from vidar_det.spikes.demo import find_demo


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    folder = tmp_path / "scene"
    folder.mkdir()
    simulate("street", folder / "demo.dat", SimulateSettings(planes=256, size=(96, 64)))
    return folder


def test_the_demo_detects_scores_and_draws(
    scene: Path, fresh_weights: Path, tmp_path: Path
) -> None:
    summary = run_demo(tmp_path / "out", str(fresh_weights), folder=scene)
    files = sorted(file.name for file in (tmp_path / "out").iterdir())
    assert files == ["annotated.mp4", "detection.png", "predictions.json"]
    document = json.loads((tmp_path / "out" / "predictions.json").read_text())
    assert len(document["images"]) == (256 - 128) // STRIDE + 1
    assert summary.accuracy.images == 2
    assert summary.prediction.out == str(tmp_path / "out")
    picture = cv2.imread(str(tmp_path / "out" / "detection.png"))
    assert picture is not None
    assert picture.shape[1:] == (192, 3)


def test_a_failing_demo_leaves_nothing(scene: Path, fresh_weights: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="nanno"):
        run_demo(tmp_path / "out", "nanno", folder=scene)

    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_demo(tmp_path / "out", str(fresh_weights), folder=scene, report=interrupt)
    assert not (tmp_path / "out").exists()


def test_the_recording_lies_in_the_package_or_in_the_repository(tmp_path: Path) -> None:
    package = tmp_path / "site" / "vidar_det"
    package.mkdir(parents=True)
    with pytest.raises(SourceError, match="the demo recording is missing"):
        find_demo(package)
    (tmp_path / "site" / "data").mkdir()
    (tmp_path / "site" / "data" / "demo.dat").touch()
    assert find_demo(package) == tmp_path / "site" / "data"
    (package / "demo").mkdir()
    (package / "demo" / "demo.dat").touch()
    assert find_demo(package) == package / "demo"


def test_the_recording_that_comes_along_is_what_its_command_makes(tmp_path: Path) -> None:
    kept = find_demo()
    readme = (Path(vidar_det.__file__).parent.parent / "data" / "README.md").read_text()
    assert "vidar-det simulate street --width 256 --height 160 --seed 1 -o demo.dat" in readme
    simulate(
        "street", tmp_path / "demo.dat", SimulateSettings(CaptureSpec(seed=1), size=(256, 160))
    )
    made = np.unpackbits(np.fromfile(tmp_path / "demo.dat", np.uint8))
    stored = np.unpackbits(np.fromfile(kept / "demo.dat", np.uint8))
    # another processor may round light differently: few bits may move by one readout
    assert made.size == stored.size
    assert (made != stored).mean() < 0.001
    assert (kept / "demo.dat").stat().st_size <= 2_000_000
    made_labels = json.loads((tmp_path / "demo.json").read_text())["annotations"]
    stored_labels = json.loads((kept / "demo.json").read_text())["annotations"]
    for ours, theirs in zip(made_labels, stored_labels, strict=True):
        assert ours["category_id"] == theirs["category_id"]
        assert ours["bbox"] == pytest.approx(theirs["bbox"], abs=0.01)
