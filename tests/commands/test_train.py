import csv
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from vidar_det.commands.simulate import SimulateSettings, simulate
from vidar_det.commands.train import TrainSettings, train_recipe
from vidar_det.commands.val import ValSettings, validate
from vidar_det.datasets.capture import CaptureSpec
from vidar_det.detector.predictor import load_detector
from vidar_det.errors import CheckpointError, ConfigError, LabelError, OutputError, SourceError

RECIPE = """
width = 64
height = 64
mixed_precision = false
recalibrate_windows = 2
[[composed]]
procedural_sprites = 1
procedural_backgrounds = 1
[[phases]]
windows = 4
batch = 2
"""
HERE = TrainSettings(workers=0)


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.toml"
    path.write_text(RECIPE)
    return path


def test_training_leaves_weights_that_load_and_their_recipe(recipe: Path, tmp_path: Path) -> None:
    told: list[tuple[int, int, str]] = []
    path = train_recipe(recipe, tmp_path / "run", HERE, lambda *step: told.append(step))
    assert path == tmp_path / "run" / "model.safetensors"
    assert (tmp_path / "run" / "recipe.toml").read_text() == RECIPE
    assert load_detector(str(tmp_path / "run")).spec.classes == ("person", "vehicle", "cycle")
    assert [step[:2] for step in told] == [(1, 2), (2, 2), (1, 1)]
    assert "phase 1 of 1" in told[0][2]
    assert "total" in told[0][2]
    assert "batch normalisation" in told[2][2]


def test_a_run_is_refused_resumed_or_replaced(recipe: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    train_recipe(recipe, run, HERE)
    rows = len((run / "progress.csv").read_text().splitlines())
    with pytest.raises(OutputError, match="holds files already"):
        train_recipe(recipe, run, HERE)
    train_recipe(recipe, run, TrainSettings(workers=0, resume=True))
    assert len((run / "progress.csv").read_text().splitlines()) == rows
    train_recipe(recipe, run, TrainSettings(workers=0, overwrite=True))
    assert len((run / "progress.csv").read_text().splitlines()) == rows


@pytest.fixture(scope="module")
def traffic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A spike dataset of two short scenes, with a split ``test``."""
    folder = tmp_path_factory.mktemp("data") / "traffic"
    capture = CaptureSpec(seed=4)
    settings = SimulateSettings(capture=capture, planes=128, size=(96, 64), count=2)
    simulate("street", folder, settings)
    return folder


VALIDATION = """
[validation]
data = "traffic"
split = "test"
every_windows = 2
"""


def test_the_weights_are_scored_on_a_dataset_while_they_learn(
    recipe: Path, tmp_path: Path, traffic: Path
) -> None:
    recipe.write_text(RECIPE + VALIDATION)
    train_recipe(recipe, tmp_path / "run", replace(HERE, data_root=traffic.parent))
    with (tmp_path / "run" / "validation.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["windows"]) for row in rows] == [2, 4, 4]
    names = ("mAP", "mAP50", "AP50_person", "AP50_vehicle", "AP50_cycle")
    assert tuple(rows[0])[3:] == names
    assert all(0 <= float(row["mAP50"]) <= 1 for row in rows)
    # the last row is of the weights as they are stored
    summary = validate(load_detector(str(tmp_path / "run")), traffic, ValSettings(split="test"))
    assert float(rows[-1]["mAP50"]) == pytest.approx(summary.accuracy.mAP50, abs=1e-5)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (('"traffic"', '"trafic"'), SourceError, "trafic"),
        (('"test"', '"tset"'), LabelError, "no split 'tset'; did you mean 'test'"),
        (("= 2", '= 2\nclasses = "persn"'), LabelError, "did you mean 'person'"),
        (("= 2", "= 0"), ConfigError, "every_windows 0"),
    ],
)
def test_a_dataset_that_does_not_fit_is_refused_before_the_run(
    recipe: Path,
    tmp_path: Path,
    traffic: Path,
    change: tuple[str, str],
    error: type[Exception],
    message: str,
) -> None:
    recipe.write_text(RECIPE + VALIDATION.replace(*change))
    with pytest.raises(error, match=message):
        train_recipe(recipe, tmp_path / "run", replace(HERE, data_root=traffic.parent))
    assert not (tmp_path / "run").exists()


def test_tensorboard_shows_the_same_figures(recipe: Path, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="the extra [tensorboard] is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    train_recipe(recipe, tmp_path / "run", replace(HERE, tensorboard=True))
    events = EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    events.Reload()
    scalars = [(event.step, event.value) for event in events.Scalars("loss/total")]
    with (tmp_path / "run" / "progress.csv").open(newline="") as file:
        losses = [float(row["total"]) for row in csv.DictReader(file)]
    assert [step for step, _ in scalars] == [2, 4]
    assert [value for _, value in scalars] == pytest.approx(losses, abs=1e-4)


def test_without_tensorboard_the_run_says_what_to_install(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(ConfigError, match=r"pip install 'vidar-det\[tensorboard\]'"):
        train_recipe(recipe, tmp_path / "run", replace(HERE, tensorboard=True))
    assert not (tmp_path / "run").exists()


def test_another_recipe_cannot_go_on_with_a_run(recipe: Path, tmp_path: Path) -> None:
    train_recipe(recipe, tmp_path / "run", HERE)
    recipe.write_text("seed = 5" + RECIPE)
    with pytest.raises(CheckpointError, match="another recipe"):
        train_recipe(recipe, tmp_path / "run", TrainSettings(workers=0, resume=True))
    assert (tmp_path / "run" / "recipe.toml").read_text() == RECIPE


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("sed = 1" + RECIPE, ConfigError, "unknown key 'sed'; did you mean 'seed'"),
        (RECIPE.replace("procedural_sprites = 1", 'sprites = "none"'), SourceError, "none"),
        ("width =", ConfigError, "no TOML file"),
    ],
)
def test_a_wrong_recipe_leaves_no_folder(
    recipe: Path, tmp_path: Path, text: str, error: type[Exception], message: str
) -> None:
    recipe.write_text(text)
    with pytest.raises(error, match=message):
        train_recipe(recipe, tmp_path / "run", TrainSettings(data_root=tmp_path, workers=0))
    assert not (tmp_path / "run").exists()


def test_a_missing_recipe_or_device_is_refused(recipe: Path, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"none\.toml: no such recipe"):
        train_recipe(tmp_path / "none.toml", tmp_path / "run", HERE)
    with pytest.raises(ConfigError, match="device 'abacus'"):
        train_recipe(recipe, tmp_path / "run", TrainSettings(device="abacus"))
    assert not (tmp_path / "run").exists()
