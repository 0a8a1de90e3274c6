"""Spines are pruned in ordinary training, resumed exactly, and leave an ordinary network."""

import copy
import math

import pytest
import torch
from torch import nn

from tests.pruning.little_training import build_network, train
from vidar_det.errors import CheckpointError, ConfigError, TrainingError
from vidar_det.pruning.layers import measure_sparsity
from vidar_det.pruning.schedules import (
    Constant,
    ConstantStrength,
    FromRates,
    Linear,
    Schedule,
    Sine,
    rehearse_rates,
)
from vidar_det.pruning.soft_threshold import ReachSparsity, SoftThreshold
from vidar_det.training.averaging import Averaged

STEPS = 8


def build_optimizer(network: nn.Module, kind: type = torch.optim.SGD) -> torch.optim.Optimizer:
    options = {"momentum": 0.9} if kind is torch.optim.SGD else {}
    return kind(network.parameters(), lr=0.01, **options)


@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.Adam])
@pytest.mark.parametrize("schedule", [Sine(0.1, STEPS), ReachSparsity(0.5, STEPS)])
def test_a_resumed_run_equals_an_uninterrupted_one_bit_by_bit(
    schedule: Schedule | ReachSparsity, kind: type
) -> None:
    whole = build_network()
    optimizer = build_optimizer(whole, kind)
    pruning = SoftThreshold(whole, optimizer, schedule)
    train(whole, optimizer, 0, 4)
    saved = copy.deepcopy((whole.state_dict(), optimizer.state_dict(), pruning.state_dict()))
    train(whole, optimizer, 4, STEPS)

    resumed = build_network()
    second = build_optimizer(resumed, kind)
    again = SoftThreshold(resumed, second, schedule)
    for part, state in zip((resumed, second, again), saved, strict=True):
        part.load_state_dict(state)
    train(resumed, second, 4, STEPS)
    assert again.state_dict() == pruning.state_dict()
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name])
    assert torch.equal(whole[0].weight, resumed[0].weight)


def test_a_finalised_network_is_an_ordinary_one_with_the_same_outputs() -> None:
    network, plain = build_network(), build_network()
    optimizer = build_optimizer(network)
    weight = network[0].weight
    pruning = SoftThreshold(network, optimizer, Sine(0.15, STEPS))
    train(network, optimizer, 0, STEPS)
    network.eval()
    batch = torch.randn(2, 1, 4, 4).double()
    before, sparsity = network(batch), measure_sparsity(network)
    pruning.finalise()
    assert torch.equal(network(batch), before)
    assert network[0].weight is weight
    assert type(network[0]) is nn.Conv2d
    plain.load_state_dict(network.state_dict())
    assert torch.equal(plain.eval()(batch), before)
    assert measure_sparsity(network) == sparsity
    assert 0.2 < sparsity.total < 1
    optimizer.step()
    assert pruning.steps == STEPS


def test_only_the_named_layers_are_pruned() -> None:
    network = build_network()
    optimizer = build_optimizer(network)
    SoftThreshold(network, optimizer, Sine(0.1, STEPS), layers=["0"])
    train(network, optimizer, 0, STEPS)
    conv, linear = measure_sparsity(network).layers
    assert conv.zeros > 0
    assert linear.zeros == 0
    assert "weight" in linear_parameters(network)


def linear_parameters(network: nn.Sequential) -> dict[str, nn.Parameter]:
    return dict(network[4].named_parameters())


def test_the_asked_sparsity_is_reached_and_held() -> None:
    network = build_network()
    optimizer = build_optimizer(network)
    SoftThreshold(network, optimizer, ReachSparsity(0.75, steps=5))
    train(network, optimizer, 0, STEPS)
    assert sum(layer.zeros for layer in measure_sparsity(network).layers) == 63  # of 36 + 48


def test_lambda_stays_as_asked_under_any_policy() -> None:
    network = build_network()
    optimizer = build_optimizer(network)
    pruning = SoftThreshold(network, optimizer, ConstantStrength(0.05, momentum=0.9))
    for step in range(STEPS):
        optimizer.param_groups[0]["lr"] = 0.001 * (1 + step % 3)
        train(network, optimizer, step, step + 1)
        assert pruning.strength == pytest.approx(0.05)


@pytest.mark.parametrize(
    ("momentum", "dampening"), [(0.0, 0.0), (0.75, 0.0), (0.9, 0.9), (0.5, 0.25)]
)
def test_lambda_is_the_pull_that_holds_a_weight_against_the_threshold(
    momentum: float, dampening: float
) -> None:
    layer = nn.Linear(1, 1, bias=False)
    nn.init.constant_(layer.weight, 3.0)
    optimizer = torch.optim.SGD(
        layer.parameters(), lr=0.125, momentum=momentum, dampening=dampening
    )
    pruning = SoftThreshold(layer, optimizer, Linear(1.0, 200))
    weights, pull = [], 0.0
    for _ in range(160):
        layer.parametrizations.weight.original.grad = torch.tensor([[-pull]])
        optimizer.step()
        pull = pruning.strength
        weights.append(layer.weight.item())
    assert weights[-1] == pytest.approx(weights[80], abs=1e-4)


def test_the_threshold_uses_the_rate_of_its_own_step_and_ends_at_its_final_value() -> None:
    def policy(optimizer: torch.optim.Optimizer) -> torch.optim.lr_scheduler.LRScheduler:
        return torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=STEPS)

    network = build_network()
    optimizer = build_optimizer(network)
    scheduler, rates = policy(optimizer), rehearse_rates(policy, 0.01, STEPS)
    pruning = SoftThreshold(network, optimizer, FromRates(0.05, math.fsum(rates)))
    for step in range(STEPS):
        train(network, optimizer, step, step + 1)
        scheduler.step()
        assert pruning.rates == pytest.approx(math.fsum(rates[: step + 1]))
    assert pruning.threshold == pytest.approx(0.05)


def test_a_constant_threshold_leaves_the_weights_as_they_were() -> None:
    network = build_network()
    weight = network[4].weight.detach().clone()
    SoftThreshold(network, build_optimizer(network), Constant(5.0))
    torch.testing.assert_close(network[4].weight, weight, rtol=0, atol=1e-14)
    assert network[4].parametrizations.weight.original.abs().min() > 5


def test_a_spine_below_the_threshold_regrows_with_either_sign_unless_the_gradient_is_plain() -> (
    None
):
    for plain, wanted in ((False, -0.5), (True, 0.0)):
        layer = nn.Linear(1, 1, bias=False)
        nn.init.constant_(layer.weight, 0.25)
        optimizer = torch.optim.SGD(layer.parameters(), lr=1.0)
        SoftThreshold(nn.Sequential(layer), optimizer, Constant(0.5), plain=plain)
        with torch.no_grad():
            layer.parametrizations.weight.original.fill_(0.25)
        layer(torch.tensor([[1.25]])).sum().backward()
        if plain:
            assert layer.parametrizations.weight.original.grad.item() == 0
        else:
            optimizer.step()
            assert layer.weight.item() == wanted


@pytest.mark.parametrize("fused", [False, True])
def test_a_step_that_mixed_precision_skips_moves_nothing(fused: bool) -> None:
    network = build_network().float()
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01, fused=fused)
    pruning = SoftThreshold(network, optimizer, Linear(0.1, STEPS))
    scaler = torch.amp.GradScaler("cpu", init_scale=8.0)
    for factor, steps in ((math.inf, 0), (1.0, 1)):
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            loss = network(torch.ones(3, 1, 4, 4)).square().mean()
        scaler.scale(loss * factor).backward()
        scaler.step(optimizer)
        scaler.update()
        assert pruning.steps == steps
        assert pruning.threshold == steps * 0.1 / STEPS
    assert network[0].weight.dtype == torch.float32


def test_an_average_of_the_network_takes_todays_threshold() -> None:
    network = build_network()
    optimizer = build_optimizer(network)
    pruning = SoftThreshold(network, optimizer, Sine(0.1, STEPS))
    ours = Averaged(network, decay=0.9)
    torchs = torch.optim.swa_utils.AveragedModel(network)
    for step in range(STEPS):
        train(network, optimizer, step, step + 1)
        ours.update(network)
        torchs.update_parameters(network)
    network.load_state_dict(ours.state)
    for layer in (network[0], torchs.module[0]):
        theta = layer.parametrizations.weight.original.detach()
        wanted = theta.sign() * (theta.abs() - pruning.threshold).clamp(min=0)
        assert torch.equal(layer.weight, wanted)
        assert (layer.weight == 0).any()


@torch.no_grad()
def move(average: nn.Module, network: nn.Module) -> None:
    """A step of the average that most training scripts keep."""
    for ours, theirs in zip(
        average.state_dict().values(), network.state_dict().values(), strict=True
    ):
        ours.copy_(0.5 * ours + 0.5 * theirs)


@pytest.mark.parametrize("network_first", [False, True])
def test_a_copy_that_averages_is_finalised_by_its_own_spines_and_todays_threshold(
    network_first: bool,
) -> None:
    network = build_network()
    optimizer = build_optimizer(network)
    pruning = SoftThreshold(network, optimizer, Sine(0.1, STEPS))
    average = copy.deepcopy(network)
    for step in range(STEPS):
        train(network, optimizer, step, step + 1)
        move(average, network)
    assert measure_sparsity(average).total == 0
    spines = [average[n].parametrizations.weight.original.clone() for n in (0, 4)]
    inputs = torch.ones(1, 1, 4, 4).double()
    before = network.eval()(inputs)
    if network_first:
        pruning.finalise()
    pruning.finalise(average)
    for n, theta in zip((0, 4), spines, strict=True):
        wanted = theta.sign() * (theta.abs() - pruning.threshold).clamp(min=0)
        assert torch.equal(average[n].weight, wanted)
        assert 0 < int((wanted == 0).sum()) < wanted.numel()
    assert type(average[0]) is nn.Conv2d
    build_network().load_state_dict(average.state_dict())
    assert torch.equal(network(inputs), before)
    if not network_first:
        train(network.train(), optimizer, STEPS, STEPS + 1)
        assert pruning.steps == STEPS + 1


def test_what_is_no_copy_of_the_network_is_not_finalised() -> None:
    network = build_network()
    pruning = SoftThreshold(network, build_optimizer(network), Sine(0.1, STEPS))
    for other in (build_network(), torch.optim.swa_utils.AveragedModel(network)):
        with pytest.raises(ConfigError, match="other: found no spines in '0'"):
            pruning.finalise(other)


def test_a_threshold_that_would_kill_a_layer_is_refused_and_not_applied() -> None:
    network = build_network()
    optimizer = build_optimizer(network)
    pruning = SoftThreshold(network, optimizer, Linear(10.0, STEPS))
    with pytest.raises(
        TrainingError, match=r"step 1: the threshold 1.25 would kill all of layer '0'"
    ):
        train(network, optimizer, 0, 1)
    assert (pruning.steps, pruning.threshold) == (0, 0.0)
    assert measure_sparsity(network).total == 0
    other = build_network()
    optimizer = build_optimizer(other)
    SoftThreshold(other, optimizer, Linear(10.0, STEPS), allow_dead_layers=True)
    train(other, optimizer, 0, 1)
    assert measure_sparsity(other).total == 1


@pytest.mark.parametrize(
    ("schedule", "kind", "layers", "word"),
    [
        (Sine(0.1, STEPS), torch.optim.Adam, None, "optimizer: found SGD, wanted Adam"),
        (Sine(0.2, STEPS), torch.optim.SGD, None, "schedule: found Sine"),
        (Sine(0.1, STEPS), torch.optim.SGD, ["0"], "layers: found"),
    ],
)
def test_resuming_with_another_set_up_is_refused(schedule, kind, layers, word: str) -> None:
    network = build_network()
    saved = SoftThreshold(network, build_optimizer(network), Sine(0.1, STEPS)).state_dict()
    other = build_network()
    pruning = SoftThreshold(other, build_optimizer(other, kind), schedule, layers)
    with pytest.raises(CheckpointError, match=word):
        pruning.load_state_dict(saved)
    assert pruning.steps == 0


class Stairs:
    """Somebody's own schedule."""

    def __init__(self, height: float) -> None:
        self.height = height

    def threshold(self, steps: int, rates: float) -> float:
        return self.height * (steps // 4)


def test_a_run_with_a_schedule_of_ones_own_is_resumed_with_the_same_settings_only() -> None:
    def start(height: float) -> SoftThreshold:
        network = build_network()
        return SoftThreshold(network, build_optimizer(network), Stairs(height))

    saved = start(0.1).state_dict()
    start(0.1).load_state_dict(saved)
    with pytest.raises(CheckpointError, match=r"Stairs\(height=0\.1\), wanted Stairs\(he"):
        start(0.2).load_state_dict(saved)


def test_layers_that_cannot_be_pruned_are_refused_before_anything_changes() -> None:
    network = build_network()
    with pytest.raises(ConfigError, match="'head'"):
        SoftThreshold(network, build_optimizer(network), Sine(0.1, STEPS), ["head"])
    with pytest.raises(ConfigError, match="does not hold the weight of '4'"):
        SoftThreshold(network, build_optimizer(network[0]), Sine(0.1, STEPS))
    assert type(network[0]) is nn.Conv2d
    SoftThreshold(network, build_optimizer(network), Sine(0.1, STEPS), ["0"])
    with pytest.raises(ConfigError, match="weight of '0' is computed"):
        SoftThreshold(network, build_optimizer(network), Sine(0.1, STEPS))


def test_pruned_layers_with_two_learning_rates_are_refused() -> None:
    network = build_network()
    groups = [{"params": network[0].parameters()}, {"params": network[4].parameters(), "lr": 1.0}]
    optimizer = torch.optim.SGD(groups, lr=0.1)
    SoftThreshold(network, optimizer, Sine(0.1, STEPS))
    with pytest.raises(ConfigError, match="wanted the same everywhere"):
        train(network, optimizer, 0, 1)


def test_a_weight_of_zero_learns_in_the_first_step_alone() -> None:
    layer = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(layer.weight)
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.0)
    SoftThreshold(layer, optimizer, Linear(0.1, STEPS), allow_dead_layers=True)
    gradients = []
    for _ in range(2):
        optimizer.zero_grad()
        layer(torch.ones(1, 1)).sum().backward()
        gradients.append(layer.parametrizations.weight.original.grad.item())
        optimizer.step()
    assert gradients == [1.0, 0.0]


@pytest.mark.parametrize(("sparsity", "steps"), [(0.0, 5), (1.0, 5), (0.5, 0)])
def test_a_sparsity_that_cannot_be_asked_for_is_refused(sparsity: float, steps: int) -> None:
    with pytest.raises(ConfigError, match="wanted"):
        ReachSparsity(sparsity, steps)
