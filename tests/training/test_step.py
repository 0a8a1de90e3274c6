import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.training.little_recipe import RECIPE
from vidar_det.detector.network import SpikingDetector, build_detector
from vidar_det.errors import TrainingError
from vidar_det.training.recipe import PhaseSpec
from vidar_det.training.simulation import Batch, collate
from vidar_det.training.sources import open_data
from vidar_det.training.start import detector_spec
from vidar_det.training.step import build_optimiser, learning_rate, train_step


@pytest.fixture(scope="module")
def batch() -> Batch:
    windows = open_data(RECIPE, Path()).windows(RECIPE.phases[0], 0)
    return collate([windows[index] for index in range(2)])


def fresh() -> SpikingDetector:
    torch.manual_seed(0)
    return build_detector(detector_spec(RECIPE)).train()


@pytest.mark.parametrize("mixed_precision", [False, True])
def test_a_step_moves_every_weight_by_the_rate_at_most(batch: Batch, mixed_precision: bool) -> None:
    network = fresh()
    before = {name: value.detach().clone() for name, value in network.named_parameters()}
    optimiser = build_optimiser(network, RECIPE, RECIPE.phases[0])
    settings = replace(RECIPE, mixed_precision=mixed_precision)
    terms = train_step(network, optimiser, batch, settings, 1e-3)
    assert all(math.isfinite(value) and not value.requires_grad for value in terms)
    for name, value in network.named_parameters():
        moved = (value.detach() - before[name]).abs().max()
        # Adam's first step is the rate; decay adds rate * 0.02 * weight
        assert moved <= 1e-3 * (1.001 + 0.02 * before[name].abs().max()), name
        assert moved > 0 or "head.boxes" in name, name  # of a stride that no object claims


def test_only_kernels_decay() -> None:
    kernels, others = build_optimiser(fresh(), RECIPE, RECIPE.phases[0]).param_groups
    assert kernels["weight_decay"] == RECIPE.weight_decay
    assert others["weight_decay"] == 0
    assert {value.ndim for value in kernels["params"]} == {4}
    assert {value.ndim for value in others["params"]} == {1}


def test_the_gradient_is_clipped(batch: Batch) -> None:
    network = fresh()
    optimiser = build_optimiser(network, RECIPE, RECIPE.phases[0])
    train_step(network, optimiser, batch, replace(RECIPE, clip=0.01), 1e-3)
    gradients = [
        value.grad.square().sum() for value in network.parameters() if value.grad is not None
    ]
    assert float(sum(gradients)) ** 0.5 == pytest.approx(0.01, rel=1e-3)


def test_a_step_that_is_refused_leaves_the_weights(batch: Batch) -> None:
    network = fresh()
    optimiser = build_optimiser(network, RECIPE, RECIPE.phases[0])
    with torch.no_grad():
        network.head.scores[0].read.bias.fill_(torch.nan)
    before = {name: value.detach().clone() for name, value in network.named_parameters()}
    with pytest.raises(TrainingError, match=r"no finite number \(total = nan"):
        train_step(network, optimiser, batch, RECIPE, 1e-3)
    for name, value in network.named_parameters():
        assert torch.equal(value.nan_to_num(), before[name].nan_to_num())
    assert not optimiser.state


def test_the_rate_rises_to_its_peak_and_falls_to_two_percent() -> None:
    phase = PhaseSpec(windows=1600, learning_rate=1.0, warmup=0.1)
    rates = [learning_rate(phase, step, 100) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == 1.0
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[-1] == pytest.approx(0.02, abs=1e-3)


def test_a_group_may_learn_at_a_multiple_of_the_rate(batch: Batch) -> None:
    network = fresh()
    optimiser = build_optimiser(network, RECIPE, RECIPE.phases[0])
    optimiser.param_groups[1]["lr_scale"] = 3.0
    train_step(network, optimiser, batch, RECIPE, 1e-3)
    assert [group["lr"] for group in optimiser.param_groups] == [1e-3, 3e-3]
