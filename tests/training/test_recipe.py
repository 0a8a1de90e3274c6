from dataclasses import replace
from pathlib import Path

import pytest

from vidar_det.errors import ConfigError, SourceError
from vidar_det.training.recipe import (
    ComposedMix,
    PhaseSpec,
    RecipeSpec,
    ValidationSpec,
    read_recipe,
)

RECIPE = RecipeSpec(
    (PhaseSpec(windows=40, batch=16), PhaseSpec(windows=9, batch=4)), composed=(ComposedMix(),)
)


def test_a_recipe_is_read_strictly(tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text("[[phases]]\nwindows = 16\n[[composed]]\nweight = 2\n")
    assert read_recipe(path).phases[0].windows == 16
    path.write_text("[[phases]]\nwindow = 16\n[[composed]]\n")
    with pytest.raises(ConfigError, match="did you mean 'windows'"):
        read_recipe(path)
    path.write_text("phases = ")
    with pytest.raises(ConfigError, match="no TOML"):
        read_recipe(path)
    path.write_text("[[phases]]\nwindows = 16\n")
    with pytest.raises(ConfigError, match="no data"):
        read_recipe(path)
    with pytest.raises(SourceError, match="no such recipe"):
        read_recipe(tmp_path / "none.toml")


def test_validation_is_a_table_or_nothing(tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    base = "[[phases]]\nwindows = 16\n[[composed]]\n"
    path.write_text(base)
    assert read_recipe(path).validation is None
    path.write_text(base + '[validation]\ndata = "traffic"\n')
    assert read_recipe(path).validation == ValidationSpec("traffic", "val", 20_000)
    path.write_text(base + '[validation]\nsplit = "val"\n')
    with pytest.raises(ConfigError, match="'data' is missing"):
        read_recipe(path)
    path.write_text(base + '[validation]\ndata = "traffic"\nevery_windows = 0\n')
    with pytest.raises(ConfigError, match="found every_windows 0, wanted > 0"):
        read_recipe(path)


def test_windows_to_measure_normalisation_on_cannot_be_fewer_than_none() -> None:
    assert replace(RECIPE, recalibrate_windows=0).recalibrate_windows == 0
    with pytest.raises(ConfigError, match="found recalibrate_windows -1, wanted 0 or more"):
        replace(RECIPE, recalibrate_windows=-1)


@pytest.mark.parametrize(
    ("phase", "step", "seen"), [(0, 0, 0), (0, 2, 32), (1, 0, 32), (1, 1, 36), (2, 0, 40)]
)
def test_windows_seen_are_those_of_whole_batches(phase: int, step: int, seen: int) -> None:
    assert RECIPE.windows_at(phase, step) == seen
