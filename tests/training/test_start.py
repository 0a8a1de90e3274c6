"""A run that starts from weights: of another neuron, of other classes, of a pruned network."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.training.little_recipe import RECIPE
from vidar_det.detector.checkpoint import load_network, read_checkpoint, save_checkpoint
from vidar_det.detector.network import SpikingDetector, build_detector
from vidar_det.detector.normalisation import recalibrate
from vidar_det.detector.spec import DetectorSpec, EncodingSpec, NeuronSpec
from vidar_det.errors import CheckpointError, ConfigError
from vidar_det.training.loop import RunSpec, train
from vidar_det.training.recipe import RecipeSpec
from vidar_det.training.sources import open_data
from vidar_det.training.start import detector_spec, fit_tensors, start_tensors

PUBLISHED = NeuronSpec(levels=4, v_threshold=1.0)


def recipe(weights: Path | str, **model: object) -> RecipeSpec:
    return replace(RECIPE, model=replace(RECIPE.model, weights=str(weights), **model))  # type: ignore[arg-type]


@pytest.fixture
def pruned(tmp_path: Path) -> Path:
    """A stored network of no named size, with some life in its statistics."""
    torch.manual_seed(3)
    network = build_detector(replace(detector_spec(RECIPE), pool=24, neuron=PUBLISHED))
    recalibrate(network, [torch.rand(4, 2, 64, 64)])
    save_checkpoint(tmp_path / "model.safetensors", network, dtype=torch.float32)
    return tmp_path / "model.safetensors"


def rebuilt(path: Path, spec: DetectorSpec) -> SpikingDetector:
    network = build_detector(spec).eval()
    network.load_state_dict(fit_tensors(read_checkpoint(path), spec))
    return network


def test_a_run_starts_from_the_weights_and_keeps_their_widths(pruned: Path, tmp_path: Path) -> None:
    told = recipe(pruned)
    (tmp_path / "run").mkdir()
    windows = open_data(told, tmp_path).windows
    path = train(told, windows, tmp_path / "run", RunSpec(workers=0))
    before, after = load_network(pruned), load_network(path)
    assert after.spec == before.spec
    moved = [
        (a - b).abs().max()
        for a, b in zip(after.parameters(), before.parameters(), strict=True)
        if a.ndim == 4
    ]
    assert 0 < max(moved) < 0.1


def test_a_phase_keeps_part_of_what_it_started_from(pruned: Path, tmp_path: Path) -> None:
    found = {}
    for keep in (0.0, 0.5):
        told = replace(recipe(pruned), recalibrate_windows=0)
        told = replace(told, phases=(replace(told.phases[0], keep=keep),))
        (tmp_path / str(keep)).mkdir()
        windows = open_data(told, tmp_path).windows
        path = train(told, windows, tmp_path / str(keep), RunSpec(workers=0))
        found[keep] = load_network(path).state_dict()
    start = load_network(pruned).state_dict()
    name = "backbone.stem.0.weight"
    mean = (start[name] + found[0.0][name]) / 2
    assert not torch.equal(start[name], found[0.0][name])
    torch.testing.assert_close(found[0.5][name], mean, rtol=1e-3, atol=1e-4)  # stored as float16


def test_a_first_phase_that_starts_from_nothing_keeps_nothing() -> None:
    with pytest.raises(ConfigError, match="nothing to keep"):
        replace(RECIPE, phases=(replace(RECIPE.phases[0], keep=0.5),))


def test_nothing_named_is_nothing_read() -> None:
    assert start_tensors(RECIPE) is None
    assert detector_spec(RECIPE).pool == 48
    assert detector_spec(RECIPE).neuron == NeuronSpec()


def test_the_neuron_is_that_of_the_weights_unless_the_recipe_names_one(pruned: Path) -> None:
    network = load_network(pruned)
    path = pruned.with_name("fine.safetensors")
    fine = NeuronSpec(16, 0.25, 0.125)
    save_checkpoint(path, rebuilt(pruned, replace(network.spec, neuron=fine)))
    assert detector_spec(recipe(path)).neuron == fine
    named = NeuronSpec(levels=2)
    assert detector_spec(recipe(path, neuron=named)).neuron == named


def test_a_relu_is_met_by_a_fine_neuron(pruned: Path) -> None:
    """The finer the quantum, the nearer a spiking network comes to the ANN it started from."""
    one = load_network(pruned).spec
    ann = replace(one, neuron=NeuronSpec(kind="relu"))
    exact = rebuilt(pruned, ann)
    path = pruned.with_name("ann.safetensors")
    save_checkpoint(path, exact, dtype=torch.float32)
    x = torch.rand(1, 2, 64, 64)
    with torch.no_grad():
        wanted = exact(x).scores
        apart = [
            (rebuilt(path, replace(one, neuron=NeuronSpec(1 << 14, 0.25, v)))(x).scores - wanted)
            .abs()
            .max()
            .item()
            for v in (1.0, 1 / 16, 1 / 256)
        ]
    assert apart[0] > 4 * apart[1] > 16 * apart[2] > 0


def test_twice_the_levels_at_half_the_threshold_have_the_same_reach(pruned: Path) -> None:
    spec = load_network(pruned).spec
    finer = replace(spec, neuron=NeuronSpec(8, 0.25, 0.5))
    state, stored = fit_tensors(read_checkpoint(pruned), finer), read_checkpoint(pruned).tensors
    name = "backbone.stem.0.weight"
    assert torch.equal(state[name], stored[name])  # sees counts of the camera, not spikes
    name = "head.scores.0.read.weight"
    assert torch.equal(state[name], stored[name] / 2)
    name = "head.scores.0.read.bias"
    assert torch.equal(state[name], stored[name])


def test_classes_are_matched_by_name(pruned: Path) -> None:
    torch.manual_seed(0)
    state = start_tensors(recipe(pruned, classes=("cycle", "drone", "person")))
    assert state is not None
    stored = read_checkpoint(pruned).tensors
    for part in ("weight", "bias"):
        name = f"head.scores.1.read.{part}"
        assert torch.equal(state[name][[0, 2]], stored[name][[2, 0]])
        assert state[name].shape[0] == 3
        assert not torch.equal(state[name][1], stored[name][1]) or part == "bias"


def test_weights_that_are_missing_or_see_otherwise_are_refused(pruned: Path) -> None:
    with pytest.raises(CheckpointError, match="no such file"):
        start_tensors(recipe("no-weights-of-mine"))
    with pytest.raises(ConfigError, match=r"2 parts of a bin.* 4"):
        start_tensors(recipe(pruned, encoding=EncodingSpec(steps=1, bin_planes=16, parts=4)))
