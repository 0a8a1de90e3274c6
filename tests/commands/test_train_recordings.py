"""Training and validating on labelled recordings in another project's layout, read in place."""

import csv
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from vidar_det.commands.train import TrainSettings, train_recipe
from vidar_det.detector.predictor import load_detector
from vidar_det.errors import LabelError

RECIPE = """
width = 64
height = 64
mixed_precision = false
recalibrate_windows = 0
[model.encoding]
steps = 1
bin_planes = 16
[[recordings]]
folders = ["pku"]
classes = "vehicle=0"
[validation]
data = "pku"
split = "test"
format = "pku"
classes = "vehicle=0"
every_windows = 4
[[phases]]
windows = 4
batch = 2
steps = 1
recordings_share = 1.0
"""


@pytest.fixture
def root(tmp_path: Path, write_pku: Callable[..., Path]) -> Path:
    planes = (np.random.default_rng(0).random((40, 64, 64)) < 0.3).astype(np.uint8)
    keys = ("train/a/1", "test/b/1")
    text = "0.03 10,10,40,40,0 3,3,3,9,0"
    write_pku(tmp_path / "pku", dict.fromkeys(keys, text), dict.fromkeys(keys, planes))
    (tmp_path / "recipe.toml").write_text(RECIPE)
    return tmp_path


def train(root: Path, told: Callable[[Sequence[str]], None] = lambda sentences: None) -> Path:
    settings = TrainSettings(data_root=root, workers=0)
    return train_recipe(root / "recipe.toml", root / "run", settings, warn=told)


def test_a_pku_folder_is_trained_and_validated_on_in_place(root: Path) -> None:
    told: list[str] = []
    train(root, told.extend)
    assert load_detector(str(root / "run")).spec.window == 16
    with (root / "run" / "validation.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert rows
    assert {"mAP50", "AP50_vehicle"} <= rows[0].keys()
    assert any("pku: 1 boxes have no area and are dropped" in sentence for sentence in told)
    assert any("pku: class 'person' has no boxes" in sentence for sentence in told)


def test_classes_that_nobody_maps_are_refused_before_the_first_step(root: Path) -> None:
    (root / "recipe.toml").write_text(RECIPE.replace('classes = "vehicle=0"\nevery', "every"))
    with pytest.raises(LabelError, match=r"pku: class '0' is none of the wanted"):
        train(root)
    assert not (root / "run").exists()
