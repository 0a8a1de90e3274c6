"""From weights and a budget to smaller weights."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from vidar_det.commands.prune import PruneSettings, prune_weights
from vidar_det.commands.prune_recipe import Lessons
from vidar_det.detector.checkpoint import load_network, read_checkpoint, save_checkpoint
from vidar_det.detector.network import build_detector, count_params
from vidar_det.detector.spec import EncodingSpec, size_spec
from vidar_det.errors import CheckpointError, ConfigError, OutputError, PruningError
from vidar_det.pruning.detectors import check_cut, cut_detector, detector_groups
from vidar_det.pruning.plan import PlanRules, Target

WEIGHTS = Path(__file__).parents[2] / "weights"

RECIPE = """
mixed_precision = false
recalibrate_windows = 4
width = 96
height = 64
[model.encoding]
steps = 2
bin_planes = 16
[[composed]]
procedural_sprites = 1
procedural_backgrounds = 1
[[phases]]
windows = 8
batch = 2
"""


@pytest.fixture
def dense(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    path = tmp_path / "dense.safetensors"
    network = build_detector(size_spec("nano", encoding=EncodingSpec(steps=2, bin_planes=16)))
    for name, parameter in network.named_parameters():
        if name.endswith(".1.weight"):  # as after training: no two channels matter alike
            torch.nn.init.uniform_(parameter, 0.3, 1.5)
    save_checkpoint(path, network)
    return path


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "recipe.toml"
    path.write_text(RECIPE)
    return path


ONE_SHOT = Lessons(windows=0)


def settings(target: str, lessons: Lessons = ONE_SHOT, **other: object) -> PruneSettings:
    return PruneSettings(Target.parse(target), lessons, workers=0, **other)  # type: ignore[arg-type]


def test_one_shot_cuts_to_the_budget_and_leaves_the_input_alone(
    dense: Path, tmp_path: Path
) -> None:
    before = dense.read_bytes()
    summary = prune_weights(str(dense), tmp_path / "out", settings("params=0.5"))
    assert dense.read_bytes() == before
    network, whole = load_network(summary.path), load_network(dense)
    assert count_params(network) == summary.plan.cost <= 0.5 * count_params(whole)
    assert count_params(network) > 0.49 * count_params(whole)
    assert "score it before you use it" in summary.warnings[0]
    plan = json.loads((tmp_path / "out/plan.json").read_text())
    assert plan["cost"]["after"] == summary.plan.cost
    page = (tmp_path / "out/plan.md").read_text()
    assert "| backbone.stem + backbone.stages.0.csp.join | 32 |" in page
    stem = next(layer for layer in summary.plan.layers if layer.name == "backbone.stem.0")
    assert f"| backbone.stem | 32 | {stem.after} | A |" in page
    assert f"| backbone.stages.0.csp.join | 32 | {stem.after} | A |" in page
    assert "| head.scores.0.read | 3 | 3 | stays |" in page
    assert (tmp_path / "out/plan.png").read_bytes()[:4] == b"\x89PNG"


def test_one_shot_with_data_plans_by_the_loss_and_measures_the_normalisation_anew(
    dense: Path, recipe: Path, tmp_path: Path
) -> None:
    lessons = Lessons(recipe=recipe, windows=0)
    summary = prune_weights(str(dense), tmp_path / "a", settings("macs=0.6", lessons))
    by_size = prune_weights(str(dense), tmp_path / "b", settings("macs=0.6")).plan
    assert summary.plan.cost <= 0.6 * by_size.dense
    assert not np.array_equal(summary.plan.kept, by_size.kept)
    whole = load_network(dense)
    cut = cut_detector(whole, detector_groups(whole), summary.plan.kept).state_dict()
    found = load_network(summary.path).state_dict()
    moved = {name for name in cut if not torch.equal(cut[name].half(), found[name].half())}
    assert moved
    assert all("running" in name for name in moved)


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_a_trained_run_meets_its_budget_and_goes_on_after_a_kill(
    share: float, dense: Path, recipe: Path, tmp_path: Path
) -> None:
    lessons = Lessons(recipe=recipe, windows=16, threshold_share=share)
    whole = prune_weights(str(dense), tmp_path / "whole", settings("params=0.4", lessons))
    network = load_network(whole.path)
    assert count_params(network) == whole.plan.cost <= 0.4 * count_params(load_network(dense))
    stages = ("threshold, ", "tuning, ") if share else ("tuning, ",)
    rows = {
        stage: len((tmp_path / "whole" / stage[:-2] / "progress.csv").read_text().splitlines()) - 1
        for stage in stages
    }
    assert sum(rows.values()) == 8

    for stage in stages:
        steps: list[str] = []

        def stop(done: int, _: int, note: str, stage: str = stage, told: list[str] = steps) -> None:
            told.append(note)
            if note.startswith(stage) and done == 3:
                raise KeyboardInterrupt

        out = tmp_path / stage.strip(", ")
        with pytest.raises(KeyboardInterrupt):
            prune_weights(str(dense), out, settings("params=0.4", lessons), stop)
        again = prune_weights(str(dense), out, settings("params=0.4", lessons, resume=True))
        one, other = (read_checkpoint(summary.path).tensors for summary in (whole, again))
        assert all(torch.equal(one[name], other[name]) for name in one)


def test_another_run_is_not_resumed(dense: Path, tmp_path: Path) -> None:
    prune_weights(str(dense), tmp_path / "out", settings("params=0.5"))
    with pytest.raises(CheckpointError, match=r"found another run's rho, 0\.5; wanted 0\.0"):
        prune_weights(str(dense), tmp_path / "out", settings("params=0.5", rho=0.0, resume=True))
    with pytest.raises(OutputError, match="holds files already"):
        prune_weights(str(dense), tmp_path / "out", settings("params=0.5"))


@pytest.mark.parametrize("inside", ["", "tuning"])
def test_the_dense_weights_are_never_overwritten(inside: str, dense: Path, tmp_path: Path) -> None:
    home = tmp_path / "run" / inside
    home.mkdir(parents=True)
    source = dense.rename(home / "model.safetensors")
    before = source.read_bytes()
    for choice in ({}, {"overwrite": True}, {"resume": True}):
        with pytest.raises(OutputError, match="holds the weights to prune"):
            prune_weights(str(source), tmp_path / "run", settings("params=0.5", **choice))
    assert source.read_bytes() == before


def test_nothing_of_a_run_that_is_overwritten_is_resumed(
    dense: Path, recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, lessons = tmp_path / "out", Lessons(recipe=recipe, windows=16)
    prune_weights(str(dense), out, settings("params=0.5", lessons))

    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    other = settings("params=0.3", lessons, overwrite=True)
    with monkeypatch.context() as patch:
        patch.setattr("vidar_det.commands.prune.plan_in_rounds", stopped)
        with pytest.raises(KeyboardInterrupt):
            prune_weights(str(dense), out, other)
    again = prune_weights(str(dense), out, settings("params=0.3", lessons, resume=True))
    assert again.plan.cost <= 0.3 * again.plan.dense
    assert count_params(load_network(again.path)) == again.plan.cost


def test_a_run_that_is_refused_leaves_nothing_behind(dense: Path, tmp_path: Path) -> None:
    for target in ("params=0.001", "params=9999999"):
        with pytest.raises(PruningError, match=f"target {target}"):
            prune_weights(str(dense), tmp_path / "out", settings(target))
    summary = prune_weights(str(dense), tmp_path / "out", settings("params=0.5"))
    assert read_checkpoint(summary.path).version == "dense, params=0.5"


def test_layers_that_were_not_named_keep_their_width(dense: Path, tmp_path: Path) -> None:
    asked = settings("params=0.8", layers=("neck.*", "head.*"))
    summary = prune_weights(str(dense), tmp_path / "out", asked)
    narrow, whole = load_network(summary.path).spec, load_network(dense).spec
    assert narrow.stages == whole.stages
    assert narrow.top_down != whole.top_down or narrow.bottom_up != whole.bottom_up


@pytest.mark.parametrize(("windows", "share"), [(8, 0.0), (16, 0.5)])
def test_frozen_layers_are_neither_cut_nor_trained(
    windows: int, share: float, dense: Path, recipe: Path, tmp_path: Path
) -> None:
    frozen = ("backbone.stem", "backbone.stages.0.*")
    lessons = Lessons(recipe=recipe, windows=windows, threshold_share=share)
    asked = settings("params=0.5", lessons, frozen=frozen)
    summary = prune_weights(str(dense), tmp_path / "out", asked)
    before, after = (load_network(path).state_dict() for path in (dense, summary.path))
    still = ("backbone.stem.", "backbone.stages.0.")
    assert summary.plan.cost <= 0.5 * count_params(load_network(dense))
    for name, value in before.items():
        if name.startswith(still):
            assert torch.equal(value, after[name]), name
        elif name.startswith("backbone.stages.1.down.1.") and "num_" not in name:
            assert value.shape != after[name].shape or not torch.equal(value, after[name]), name
    with pytest.raises(
        ConfigError, match=r"backbone\.stem is tied to backbone\.stages\.0\.csp\.join"
    ):
        prune_weights(str(dense), tmp_path / "a", settings("params=0.5", frozen=frozen[:1]))


def test_a_budget_that_is_met_cuts_nothing_and_another_teacher_is_heard(
    dense: Path, recipe: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.safetensors"
    save_checkpoint(other, build_detector(load_network(dense).spec))
    lessons = Lessons(recipe=recipe, windows=8)
    tuned = [
        prune_weights(str(dense), tmp_path / f"{at}", settings("params=1", lessons, teacher=who))
        for at, who in enumerate(("", str(dense), str(other)))
    ]
    whole = load_network(dense)
    assert all(summary.plan.kept.all() for summary in tuned)
    alone, same, taught = (load_network(one.path).state_dict() for one in tuned)
    moved = "head.boxes.0.read.weight"
    assert not torch.equal(whole.state_dict()[moved].half(), alone[moved].half())
    assert all(torch.equal(alone[name], same[name]) for name in alone)
    assert not torch.equal(alone[moved], taught[moved])


def test_a_teacher_of_other_things_is_refused(dense: Path, recipe: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.safetensors"
    save_checkpoint(other, build_detector(size_spec("nano", classes=("person",))))
    given = settings("params=0.5", Lessons(recipe=recipe, windows=8), teacher=str(other))
    with pytest.raises(ConfigError, match="teacher: found classes"):
        prune_weights(str(dense), tmp_path / "out", given)
    assert not (tmp_path / "out").exists()


def test_unknown_layers_and_targets_below_the_floors_are_refused(
    dense: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=r"layers: found 'nck\.\*', wanted names among: backbone"):
        prune_weights(str(dense), tmp_path / "a", settings("params=0.5", layers=("nck.*",)))
    rules = PlanRules(floor=8)
    with pytest.raises(PruningError, match=r"at least .* params are left"):
        prune_weights(str(dense), tmp_path / "b", settings("params=0.01", rules=rules))
    with pytest.raises(ConfigError, match="target synops: wanted a recipe or a dataset"):
        prune_weights(str(dense), tmp_path / "c", settings("synops=0.5"))


def test_synops_are_measured_on_windows_of_the_recipe(
    dense: Path, recipe: Path, tmp_path: Path
) -> None:
    lessons = Lessons(recipe=recipe, windows=0)
    summary = prune_weights(str(dense), tmp_path / "out", settings("synops=0.5", lessons))
    assert summary.plan.cost <= 0.5 * summary.plan.dense


def test_a_recipe_of_other_classes_is_refused(recipe: Path, tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    save_checkpoint(path, build_detector(size_spec("nano", ("cat", "dog"))))
    with pytest.raises(ConfigError, match=r"wanted the network's, \('cat', 'dog'\)"):
        prune_weights(str(path), tmp_path / "out", settings("params=0.5", Lessons(recipe=recipe)))


def test_pruning_learns_from_the_last_phase_of_a_recipe_that_kept_part_of_its_start(
    recipe: Path,
) -> None:
    keeping = '[model]\nweights = "nano"\nclasses = ["person", "vehicle", "cycle"]\n'
    phases = "[[phases]]\nwindows = 4\nsteps = 1\n[[phases]]\nwindows = 8\nkeep = 0.5\n"
    recipe.write_text(keeping + phases + "[[composed]]\nphases = [0]\n[[composed]]\nweight = 3.0\n")
    stages = Lessons(recipe=recipe, windows=100).stages(size_spec("nano"))
    assert stages is not None
    for stage in stages:
        assert [mix.weight for mix in stage.composed] == [3.0]
        assert [phase.keep for phase in stage.phases] == [0.0]


def test_the_recipes_of_the_weights_teach_pruning() -> None:
    recipes = sorted(WEIGHTS.glob("*/finish.toml"))
    assert recipes
    for path in recipes:
        assert Lessons(recipe=path).stages(size_spec("nano")) is not None


def test_nothing_to_learn_from_is_refused() -> None:
    with pytest.raises(ConfigError, match="found nothing to learn from"):
        Lessons()
    with pytest.raises(ConfigError, match="wanted one of them"):
        Lessons(recipe=Path("a"), data=Path("b"))


def test_a_cut_that_changes_the_output_is_noticed() -> None:
    network = build_detector(size_spec("nano")).eval()
    groups = detector_groups(network, 64, 64)
    kept = np.ones(groups.count, bool)
    kept[groups.families[3].groups[:5]] = False
    narrow = cut_detector(network, groups, kept)
    check_cut(network, groups, kept, narrow)
    with torch.no_grad():
        narrow.get_parameter("head.scores.0.read.bias").add_(0.01)
    with pytest.raises(PruningError, match=r"the outputs moved by 0\.01"):
        check_cut(network, groups, kept, narrow)
