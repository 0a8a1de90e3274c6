from pathlib import Path

import pytest

from vidar_det.commands.train import TrainSettings, train_recipe
from vidar_det.detector.predictor import load_detector
from vidar_det.errors import CheckpointError, ConfigError, OutputError, SourceError

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
