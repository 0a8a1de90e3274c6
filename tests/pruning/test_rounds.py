"""What the loss feels least goes first, and what stands in for it counts more from then on."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from vidar_det.errors import PruningError
from vidar_det.pruning.costs import count_params
from vidar_det.pruning.groups import ChannelGroups, find_groups
from vidar_det.pruning.importance import over_kappa
from vidar_det.pruning.plan import PlanRules, Target, make_plan
from vidar_det.pruning.rounds import felt_losses, plan_in_rounds

NOISE = 0.1


class Twins(nn.Module):
    """Two signals in; channels 0 and 1 carry the first together, channel 2 the second."""

    def __init__(self) -> None:
        super().__init__()
        self.make, self.norm = nn.Conv2d(2, 3, 1, bias=False), nn.BatchNorm2d(3, eps=0.0)
        self.read = nn.Conv2d(3, 1, 1, bias=False)
        with torch.no_grad():
            self.make.weight.copy_(torch.tensor([[0.4, 0], [0.4, 0], [0, 0.5]])[..., None, None])
            self.read.weight.fill_(1.0)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.read(self.norm(self.make(x)))
        return out


def losses(network: nn.Module) -> Iterator[Tensor]:
    """Squared errors against the sum of both signals and some noise."""
    generator = torch.Generator().manual_seed(0)
    for x in torch.randn(400, 1, 2, 1, 1, generator=generator):
        wanted = 0.8 * x[:, :1] + 0.5 * x[:, 1:] + NOISE * torch.randn(1, generator=generator)
        yield (network(x) - wanted).square().sum() / 2


def make() -> tuple[Twins, ChannelGroups]:
    network = Twins().eval()
    return network, find_groups(network, torch.zeros(1, 2, 1, 1))


def test_the_loss_feels_a_gate_on_each_group() -> None:
    network, groups = make()
    felt = felt_losses(network, groups, losses(network))
    # the derivative by a gate is error times signal: noise * 0.4 x, or noise * 0.5 x
    np.testing.assert_allclose(felt[:3], NOISE * np.array([0.4, 0.4, 0.5]), rtol=0.15)
    assert felt[0] == felt[1]


def test_the_last_of_two_twins_stays_where_planning_at_once_cuts_both() -> None:
    network, groups = make()
    costs, target = count_params(network, groups), Target("params", 0.34)
    at_once = make_plan(groups, felt_losses(network, groups, losses(network)), costs, target)
    assert at_once.kept[:3].tolist() == [False, False, True]
    before = {name: value.clone() for name, value in network.state_dict().items()}
    plan = plan_in_rounds(network, groups, losses, costs, target)
    assert plan.kept[:3].tolist() in ([True, False, False], [False, True, False])
    assert plan.cost <= 0.34 * costs.total()
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_groups_that_go_more_readily_and_groups_that_stay_are_heeded() -> None:
    network, groups = make()
    costs, target = count_params(network, groups), Target("params", 0.67)
    kappa = np.ones(groups.count)
    kappa[2] = 100.0
    assert not plan_in_rounds(network, groups, losses, costs, target, kappa=kappa).kept[2]
    kappa[:2] = 0.0
    kept = plan_in_rounds(network, groups, losses, costs, target, kappa=kappa).kept
    assert kept[:3].tolist() == [True, True, False]
    rules = PlanRules(floor=3)
    with pytest.raises(PruningError, match="at least"):
        plan_in_rounds(network, groups, losses, costs, target, rules)


def test_a_group_that_must_stay_stays_though_the_loss_feels_nothing_of_it() -> None:
    assert over_kappa(np.array([0.0, 0.0, 1.0]), np.array([0.0, 2.0, 2.0])).tolist() == [
        np.inf,
        0.0,
        0.5,
    ]


def test_without_a_loss_nothing_can_be_planned() -> None:
    network, groups = make()
    costs = count_params(network, groups)
    with pytest.raises(PruningError, match="found no loss"):
        plan_in_rounds(network, groups, lambda _: (), costs, Target("params", 0.67))
