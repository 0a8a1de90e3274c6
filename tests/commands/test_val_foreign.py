"""Scoring on datasets in other projects' layouts, read in place."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

from vidar_det.cli import app
from vidar_det.commands.val import ValSettings, validate
from vidar_det.datasets.reading import ReadingSpec
from vidar_det.detector.predictor import Detector, load_detector
from vidar_det.errors import LabelError, RangeError
from vidar_det.spikes.sidecar import RecordingOptions

BLANK = np.zeros((150, 64, 96), np.uint8)
LINE = "0.03 10,10,40,40,0 20,20,20,50,0 50,5,90,60,2 1,1,9,9,7"
MAPPED = {"vehicle": ("0",), "person": ("2",), "none": ("7",)}


@pytest.fixture
def pku(tmp_path: Path, write_pku: Callable[..., Path]) -> Path:
    keys = ("test/a/1", "test/a/2", "train/a/1")
    return write_pku(tmp_path / "pku", dict.fromkeys(keys, LINE), dict.fromkeys(keys, BLANK))


@pytest.fixture(scope="module")
def detector(fresh_weights: Path) -> Detector:
    return load_detector(str(fresh_weights))


def test_a_pku_folder_is_scored_in_place(pku: Path, detector: Detector) -> None:
    before = sorted(pku.rglob("*"))
    summary = validate(detector, pku, ValSettings(classes=MAPPED))
    assert sorted(pku.rglob("*")) == before
    assert summary.accuracy.images == 2
    objects = {name: found.objects for name, found in summary.accuracy.per_class.items()}
    assert objects == {"person": 2, "vehicle": 2, "cycle": 0}
    assert summary.to_json()["labels"]["empty"] == 2
    told = " ".join(summary.warnings)
    assert "2 boxes have no area and are dropped" in told
    assert "2 boxes are of classes that are left out" in told
    assert "class 'cycle' has no boxes to find here" in told


def test_numbered_classes_that_nobody_maps_are_refused(pku: Path, detector: Detector) -> None:
    with pytest.raises(LabelError, match=r"class '0' is none of .*--classes"):
        validate(detector, pku)


def test_a_window_longer_than_the_labelled_file_is_refused(
    tmp_path: Path, write_pku: Callable[..., Path], detector: Detector
) -> None:
    keys = ("test/a/1", "test/a/2")
    recordings = {keys[0]: BLANK, keys[1]: BLANK[:100]}
    root = write_pku(tmp_path / "pku", dict.fromkeys(keys, LINE), recordings)
    with pytest.raises(RangeError, match=r"image 2.*range of 100 planes, wanted a window of 128"):
        validate(detector, root, ValSettings(classes=MAPPED))


def test_tracking_scenes_are_scored_over_the_nets_own_window(
    tmp_path: Path, write_bare: Callable[[Path, NDArray[np.uint8]], None], detector: Detector
) -> None:
    write_bare(tmp_path / "ball" / "spikes.dat", BLANK)
    rows = "".join(f"{frame},1,10,10,30,30,1,-1,-1,-1\n" for frame in (60, 64, 86, 90))
    (tmp_path / "ball" / "spikes_gt.txt").write_text(rows)
    reading = ReadingSpec(options=RecordingOptions(width=96, height=64))
    settings = ValSettings("all", {"vehicle": ("object",)}, reading=reading)
    summary = validate(detector, tmp_path, settings)
    assert summary.accuracy.images == 2
    assert "2 labelled readouts lie too near" in summary.warnings[0]


def test_the_command_takes_a_pku_folder(pku: Path, fresh_weights: Path) -> None:
    arguments = ["val", "--data", pku, "--weights", fresh_weights, "--json", "--format", "pku"]
    mapping = "vehicle=0,person=2,none=7"
    words = [str(word) for word in (*arguments, "--classes", mapping, "--label-flip", "none")]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["labels"]["empty"] == 2
    assert "labels are flipped" not in result.stderr
    assert "have no area" in result.stderr
