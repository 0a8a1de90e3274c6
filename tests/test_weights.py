"""Named weights: what is shipped fits its recipe, and says how good it is."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from vidar_det import load_detector
from vidar_det.detector.checkpoint import load_network, read_checkpoint
from vidar_det.detector.weights_file import find_weights
from vidar_det.pruning.costs import count_macs, count_params
from vidar_det.pruning.detectors import cut_detector, detector_groups
from vidar_det.pruning.plan import PruningPlan, Target
from vidar_det.pruning.plan_report import plan_markdown
from vidar_det.training.recipe import read_recipe
from vidar_det.training.start import detector_spec

ROOT = Path(__file__).parents[1] / "weights"
NAMES = sorted(path.name for path in ROOT.iterdir() if path.is_dir())


def test_the_default_weights_are_there() -> None:
    assert "nano" in NAMES


PRUNED = [name for name in NAMES if (ROOT / name / "plan.json").exists()]


@pytest.mark.parametrize("name", PRUNED)
def test_pruned_weights_are_what_their_plan_leaves_of_the_dense_network(name: str) -> None:
    checkpoint = read_checkpoint(find_weights(name))
    base, _, asked = checkpoint.version.partition(", ")
    target = Target.parse(asked)
    dense = load_network(find_weights(base))
    groups = detector_groups(dense)
    mapping = json.loads((ROOT / name / "plan.json").read_text())
    is_in_macs = target.unit == "macs"
    price = count_macs(groups) if is_in_macs else count_params(dense, groups)
    plan = PruningPlan.from_mapping(mapping, groups, price)
    assert plan.target == target
    assert cut_detector(dense, groups, plan.kept).spec == checkpoint.spec
    left = load_network(find_weights(name))
    cost = count_macs(detector_groups(left)).total() if is_in_macs else load_detector(name).params
    assert plan.cost == cost <= plan.target.budget(plan.dense)
    assert (ROOT / name / "plan.md").read_text() == plan_markdown(plan)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in PRUNED])
def test_weights_are_the_network_of_their_recipe(name: str) -> None:
    recipe = read_recipe(ROOT / name / "recipe.toml")
    if (ROOT / name / "finish.toml").exists():  # goes on from what the recipe trained
        finish = read_recipe(ROOT / name / "finish.toml")
        recipe = replace(finish, model=replace(finish.model, weights="", size=recipe.model.size))
    path = find_weights(name)
    assert path.parent.name == name
    assert read_checkpoint(path).spec == detector_spec(recipe)
    assert path.stat().st_size < 6 << 20


@pytest.mark.parametrize("name", NAMES)
def test_weights_come_with_a_card_and_their_figures(name: str) -> None:
    metrics = json.loads((ROOT / name / "metrics.json").read_text())
    assert metrics["params"] == load_detector(name).params
    card = (ROOT / name / "CARD.md").read_text()
    for figures in metrics["sets"].values():
        assert 0 < figures["mAP"] < figures["mAP50"] < 1
        assert f"{figures['mAP50']:.3f}" in card
        assert f"{figures['mAP']:.3f}" in card
