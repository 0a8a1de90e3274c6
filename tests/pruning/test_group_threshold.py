"""Whole groups vanish in training, go on learning and may come back."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from vidar_det.detector.network import build_detector
from vidar_det.detector.neurons import ILIF
from vidar_det.detector.spec import NeuronSpec, size_spec
from vidar_det.errors import CheckpointError, ConfigError
from vidar_det.pruning.costs import count_params
from vidar_det.pruning.detectors import detector_groups, initial_gammas
from vidar_det.pruning.group_threshold import (
    GroupThreshold,
    ReachCost,
    cost_weights,
    quicken_spines,
)
from vidar_det.pruning.groups import ChannelGroups, find_groups
from vidar_det.pruning.importance import spine_layers, spine_sizes
from vidar_det.pruning.plan import Target, make_plan
from vidar_det.pruning.schedules import Constant, FromRates, Linear


class Skip(nn.Module):
    """A stream of two members and an inner layer."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Sequential(nn.Conv2d(1, 3, 1, bias=False), nn.BatchNorm2d(3))
        self.inner = nn.Sequential(nn.Conv2d(3, 2, 1, bias=False), nn.BatchNorm2d(2))
        self.back = nn.Sequential(nn.Conv2d(2, 3, 1, bias=False), nn.BatchNorm2d(3))
        self.read = nn.Conv2d(3, 1, 1)
        self.fires = nn.ModuleList(ILIF(NeuronSpec(), steps=1) for _ in range(3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first, second, last = self.fires
        stream = self.down(x)
        return self.read(last(stream + self.back(second(self.inner(first(stream))))))


def make() -> tuple[Skip, ChannelGroups]:
    torch.manual_seed(0)
    network = Skip()
    with torch.no_grad():
        network.down[1].weight.copy_(torch.tensor([0.6, 1.0, 2.0]))
        network.down[1].bias.copy_(torch.tensor([0.8, 0.0, 0.0]))
        network.back[1].weight.copy_(torch.tensor([0.2, 0.4, 0.2]))
    return network, find_groups(network, torch.zeros(1, 1, 4, 4))


def test_the_size_of_a_spine_is_the_mean_over_its_members_relative_to_their_start() -> None:
    network, groups = make()
    sizes = spine_sizes(network, groups, {"back.1": 0.2})
    # channel 0: down (0.6, 0.8) and back (1, 0), both of length 1; channel 1: 1 and 2
    np.testing.assert_allclose(sizes[:2], [1.0, np.sqrt((1 + 4) / 2)], rtol=1e-6)


def step(network: nn.Module, optimizer: torch.optim.Optimizer, seed: int = 0) -> None:
    x = torch.rand(4, 1, 4, 4, generator=torch.Generator().manual_seed(seed))
    optimizer.zero_grad()
    network(x).square().mean().backward()
    optimizer.step()


def test_the_proximal_step_of_the_norm_shrinks_gamma_and_beta_alike() -> None:
    network, groups = make()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.0)
    GroupThreshold(network, optimizer, groups, Constant(0.5), {"back.1": 0.2})
    step(network, optimizer)
    # channel 0 has size 1: half of it is left, in both members
    assert network.down[1].weight[0].item() == pytest.approx(0.3)
    assert network.down[1].bias[0].item() == pytest.approx(0.4)
    assert network.back[1].weight[0].item() == pytest.approx(0.1)


def test_groups_below_the_threshold_are_nothing_yet_go_on_learning() -> None:
    network, groups = make()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.05)
    pruning = GroupThreshold(network, optimizer, groups, Constant(1.5), {"back.1": 0.2})
    step(network, optimizer)
    assert network.down[1].weight[0].item() == network.down[1].bias[0].item() == 0
    before = pruning.scores[0]
    for seed in range(3):
        step(network, optimizer, seed)
    assert network.down[1].weight[0].item() == 0
    assert pruning.scores[0] != before


def test_a_group_comes_back_when_its_spine_grows() -> None:
    network, groups = make()
    optimizer = torch.optim.SGD(network.parameters(), lr=1.0)
    pruning = GroupThreshold(network, optimizer, groups, Constant(1.5), {"back.1": 0.2})
    step(network, optimizer)
    assert network.down[1].weight[0].item() == 0
    optimizer.zero_grad()
    network.down[1].weight.grad = torch.tensor([-3.0, 0.0, 0.0])
    optimizer.step()
    assert network.down[1].weight[0].item() > 0
    assert pruning.scores[0] > 1.5


def test_a_family_never_loses_its_best_group() -> None:
    network, groups = make()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.0)
    GroupThreshold(network, optimizer, groups, Constant(100.0))
    step(network, optimizer)
    alive = network.down[1].weight != 0
    assert alive.sum() == 1
    assert (network.back[1].weight != 0).tolist() == alive.tolist()


@pytest.mark.parametrize("floor", [1, 2])
def test_of_equal_groups_the_first_stay(floor: int) -> None:
    torch.manual_seed(0)
    network = Skip()
    groups = find_groups(network, torch.zeros(1, 1, 4, 4))
    optimizer = torch.optim.SGD(network.parameters(), lr=0.0)
    GroupThreshold(network, optimizer, groups, Constant(2.0), floor=floor)
    for _ in range(2):
        step(network, optimizer)
        for norm in (network.down[1], network.back[1]):
            assert (norm.weight != 0).tolist() == [index < floor for index in range(3)]
        assert (network.inner[1].weight != 0).tolist() == [index < floor for index in range(2)]


def test_a_step_that_mixed_precision_skips_moves_nothing() -> None:
    network, groups = make()
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01, fused=True)
    pruning = GroupThreshold(network, optimizer, groups, Linear(1.0, 4), {"back.1": 0.2})
    scaler = torch.amp.GradScaler("cpu", init_scale=8.0)
    for factor, steps in ((1.0, 1), (float("inf"), 1), (1.0, 2)):
        optimizer.zero_grad()
        loss = network(torch.rand(4, 1, 4, 4)).square().mean()
        scaler.scale(loss * factor).backward()
        before = [value.clone() for value in network.parameters()]
        scaler.step(optimizer)
        scaler.update()
        assert (pruning.steps, pruning.threshold) == (steps, steps / 4)
        same = all(map(torch.equal, before, network.parameters()))
        assert same == (factor != 1.0)


def test_lambda_counts_the_dampening_of_the_heavy_ball() -> None:
    network, groups = make()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9, dampening=0.9)
    pruning = GroupThreshold(network, optimizer, groups, Linear(0.1, 10))
    step(network, optimizer)
    assert pruning.strength == pytest.approx(0.1)


def test_lambda_is_constant_when_the_threshold_follows_the_learning_rates() -> None:
    network, groups = make()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.5)
    rates = [0.1, 0.05, 0.02]
    pruning = GroupThreshold(network, optimizer, groups, FromRates(0.3, sum(rates)))
    strengths = []
    for rate in rates:
        optimizer.param_groups[0]["lr"] = rate
        step(network, optimizer)
        strengths.append(pruning.strength)
    np.testing.assert_allclose(strengths, 0.3 / sum(rates) * 0.5)
    assert pruning.threshold == pytest.approx(0.3)


def test_an_asked_cost_is_reached_and_the_plan_keeps_what_is_alive() -> None:
    torch.manual_seed(0)
    network = build_detector(size_spec("nano")).train()
    groups = detector_groups(network, 64, 64)
    costs = count_params(network, groups)
    target = Target("params", 0.4)
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-3)
    pruning = GroupThreshold(
        network,
        optimizer,
        groups,
        ReachCost(costs, target, steps=3),
        initial_gammas(network, groups),
        cost_weights(costs, rho=0.5),
    )
    for seed in range(3):
        x = torch.rand(2, 2, 64, 64, generator=torch.Generator().manual_seed(seed))
        optimizer.zero_grad()
        (network(x).scores.square().mean() + network(x).distances.square().mean()).backward()
        optimizer.step()
    scores = pruning.scores
    plan = make_plan(groups, scores, costs, target)
    assert plan.cost <= 0.4 * costs.total()
    above = scores > pruning.threshold
    assert plan.kept[above].all()
    for name, outs in spine_layers(network, groups).items():
        alive = (network.get_submodule(name).weight != 0).numpy()
        assert alive[above[outs]].all()
        assert (alive & ~above[outs]).sum() <= 1, "but for the family's best"


def test_the_threshold_rises_no_faster_than_lambda_allows() -> None:
    network, groups = make()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    costs = count_params(network, groups)
    rule = ReachCost(costs, Target("params", 0.5), steps=2, strength=0.25)
    pruning = GroupThreshold(network, optimizer, groups, rule)
    for expected in (0.025, 0.05, 0.075):
        step(network, optimizer)
        assert pruning.threshold == pytest.approx(expected)
        assert pruning.strength == pytest.approx(0.25)


def test_quick_spines_have_a_rate_of_their_own_and_do_not_decay() -> None:
    network, _ = make()
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.1, weight_decay=0.5)
    quicken_spines(network, optimizer, 5.0)
    others, spines = optimizer.param_groups
    assert (spines["lr"], spines["weight_decay"], spines["lr_scale"]) == (0.5, 0.0, 5.0)
    assert {id(one) for one in spines["params"]} == {
        id(one)
        for part in network.modules()
        if isinstance(part, nn.BatchNorm2d)
        for one in part.parameters()
    }
    assert len(others["params"]) + len(spines["params"]) == len(list(network.parameters()))
    assert others["weight_decay"] == 0.5


def test_a_resumed_run_gives_the_same_weights() -> None:
    def start(
        network: nn.Module, groups: ChannelGroups
    ) -> tuple[torch.optim.Optimizer, GroupThreshold]:
        optimizer = torch.optim.AdamW(network.parameters(), lr=0.05, weight_decay=0.0)
        return optimizer, GroupThreshold(network, optimizer, groups, Linear(1.2, 6))

    network, groups = make()
    optimizer, pruning = start(network, groups)
    for seed in range(3):
        step(network, optimizer, seed)
    saved = copy.deepcopy((network.state_dict(), optimizer.state_dict(), pruning.state_dict()))
    for seed in range(3, 6):
        step(network, optimizer, seed)

    again, groups = make()
    optimizer, pruning = start(again, groups)
    again.load_state_dict(saved[0])
    optimizer.load_state_dict(saved[1])
    pruning.load_state_dict(saved[2])
    for seed in range(3, 6):
        step(again, optimizer, seed)
    for name, value in network.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name


def test_a_state_of_another_optimiser_or_schedule_is_refused() -> None:
    network, groups = make()
    sgd = torch.optim.SGD(network.parameters(), lr=0.1)
    state = GroupThreshold(network, sgd, groups, Linear(1.0, 10)).state_dict()
    adam = torch.optim.Adam(network.parameters(), lr=0.1)
    other_optimizer = GroupThreshold(network, adam, groups, Linear(1.0, 10))
    other_schedule = GroupThreshold(network, sgd, groups, Linear(2.0, 10))
    with pytest.raises(CheckpointError, match="optimizer: found SGD, wanted Adam"):
        other_optimizer.load_state_dict(state)
    with pytest.raises(CheckpointError, match="schedule: found"):
        other_schedule.load_state_dict(state)


def start(
    kappa: list[float] | None = None, initial: dict[str, float] | None = None
) -> GroupThreshold:
    network, groups = make()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    weights = None if kappa is None else np.array(kappa)
    return GroupThreshold(network, optimizer, groups, Linear(1.0, 10), initial, weights)


def test_a_state_of_another_kappa_or_other_first_gammas_is_refused() -> None:
    kappa = [1.0, 2.0, 3.0, 4.0, 5.0]
    state = start(kappa, {"back.1": 0.2}).state_dict()
    start([1.0, 2.0, 3.0, 4.0, 5.0001], {"back.1": 0.2}).load_state_dict(state)
    with pytest.raises(CheckpointError, match="kappa: found 5 as number 4, wanted 6"):
        start([1.0, 2.0, 3.0, 4.0, 6.0], {"back.1": 0.2}).load_state_dict(state)
    with pytest.raises(CheckpointError, match=r"initial: found 0\.2 as number \d, wanted 1"):
        start(kappa).load_state_dict(state)


def test_a_state_that_does_not_know_kappa_yet_is_resumed() -> None:
    state = start([1.0, 2.0, 3.0, 4.0, 5.0], {"back.1": 0.2}).state_dict()
    del state["kappa"], state["initial"]
    state["steps"] = 3
    pruning = start()
    pruning.load_state_dict(state)
    assert pruning.steps == 3


def test_a_state_of_spines_of_other_shapes_or_names_is_refused() -> None:
    state = start().state_dict()
    narrow = {**state["spines"], "down.1.weight": torch.ones(1)}
    others = {**state["spines"], "up.1.weight": torch.ones(3)}
    for spines, message in (
        (narrow, r"'down.1.weight': found torch.Size\(\[1\]\), wanted torch.Size\(\[3\]\)"),
        (others, r"'up.1.weight': found torch.Size\(\[3\]\), wanted None"),
    ):
        pruning = start()
        with pytest.raises(CheckpointError, match=message):
            pruning.load_state_dict({**state, "steps": 3, "spines": spines})
        assert pruning.steps == 0


@pytest.mark.parametrize("kappa", [[1.0, 2.0], [1.0, 2.0, 3.0, 4.0, -1.0]])
def test_kappas_that_do_not_fit_are_refused(kappa: list[float]) -> None:
    with pytest.raises(ConfigError, match="kappa: found shape"):
        start(kappa)


def test_an_optimiser_without_the_spines_is_refused() -> None:
    network, groups = make()
    optimizer = torch.optim.SGD(network.read.parameters(), lr=0.1)
    with pytest.raises(ConfigError, match=r"does not hold 'down\.1\.weight'"):
        GroupThreshold(network, optimizer, groups, Linear(1.0, 10))


def test_once_finalised_the_network_learns_as_any_other() -> None:
    network, groups = make()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    pruning = GroupThreshold(network, optimizer, groups, Constant(1.5), {"back.1": 0.2})
    step(network, optimizer)
    pruning.finalise()
    step(network, optimizer)
    assert pruning.steps == 1
    assert network.down[1].bias[0].item() != 0 or network.down[1].weight[0].item() != 0
