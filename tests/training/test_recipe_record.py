import ast
import math
from dataclasses import replace

import pytest

from vidar_det.spikes.scene_spec import SceneSpec
from vidar_det.training.recipe import ComposedMix, PhaseSpec, RecipeSpec, ValidationSpec
from vidar_det.training.recipe_record import find_difference, record_recipe

RECIPE = RecipeSpec(
    phases=(PhaseSpec(windows=64), PhaseSpec(windows=32, scale=0.5)),
    composed=(ComposedMix(scene=SceneSpec(objects=(1, 2))),),
)


def test_a_recipe_agrees_with_its_own_record() -> None:
    assert find_difference(record_recipe(RECIPE), RECIPE) is None


@pytest.mark.parametrize(
    ("other", "difference"),
    [
        (replace(RECIPE, seed=3), "seed was 0 and is 3"),
        (replace(RECIPE, profiles=("ideal",)), "profiles[0] was 'daylight' and is 'ideal'"),
        (
            replace(RECIPE, phases=(RECIPE.phases[0], PhaseSpec(windows=32))),
            "phases[1].scale was 0.5 and is 1.0",
        ),
        (
            replace(RECIPE, composed=(ComposedMix(scene=SceneSpec(objects=(1, 3))),)),
            "composed[0].scene.objects[1] was 2 and is 3",
        ),
    ],
)
def test_the_first_difference_is_named(other: RecipeSpec, difference: str) -> None:
    assert find_difference(record_recipe(RECIPE), other) == difference


def test_another_number_of_phases_is_a_difference() -> None:
    other = replace(RECIPE, phases=RECIPE.phases[:1])
    assert (find_difference(record_recipe(RECIPE), other) or "").startswith("phases was ({")


def test_a_key_that_came_later_must_hold_its_default() -> None:
    record = ast.literal_eval(record_recipe(RECIPE))
    del record["ema"], record["phases"][0]["warmup"], record["model"]
    old = repr(record)
    assert find_difference(old, RECIPE) is None
    assert find_difference(old, replace(RECIPE, ema=0.9)) == "ema was 0.998 and is 0.9"
    warm = replace(RECIPE, phases=(replace(RECIPE.phases[0], warmup=0.5), RECIPE.phases[1]))
    assert find_difference(old, warm) == "phases[0].warmup was 0.02 and is 0.5"
    small = replace(RECIPE, model=replace(RECIPE.model, size="small"))
    assert "model was ModelSpec(size='nano'" in (find_difference(old, small) or "")


def test_a_key_that_is_gone_is_a_difference() -> None:
    record = ast.literal_eval(record_recipe(RECIPE)) | {"mosaic": 0.5}
    assert find_difference(repr(record), RECIPE) == "mosaic was 0.5 and is no longer known"


def test_what_no_step_depends_on_may_change() -> None:
    other = replace(RECIPE, recalibrate_windows=7, validation=ValidationSpec("traffic"))
    assert find_difference(record_recipe(RECIPE), other) is None
    assert find_difference(record_recipe(other), RECIPE) is None


def test_infinity_agrees_with_itself_and_is_compared_as_a_whole() -> None:
    endless = replace(RECIPE, clip=math.inf)
    assert find_difference(record_recipe(endless), endless) is None
    other = find_difference(record_recipe(endless), RECIPE)
    assert other == "the record cannot be compared key by key"
