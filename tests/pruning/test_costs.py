"""Costs of cut networks, foretold and counted."""

import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from spikingjelly.activation_based import functional, layer, neuron
from torch import nn

from tests.pruning.networks import BLOCKS, RandomNetwork, random_input
from vidar_det.detector.network import build_detector
from vidar_det.detector.network import count_params as count_numbers
from vidar_det.detector.neurons import ILIF
from vidar_det.detector.operations import count_operations
from vidar_det.detector.spec import NeuronSpec, size_spec
from vidar_det.errors import PruningError
from vidar_det.pruning.costs import CostModel, count_macs, count_params, measure_synops
from vidar_det.pruning.groups import ChannelGroups, find_groups
from vidar_det.pruning.surgery import cut, mask


def removable(costs: CostModel, kept: np.ndarray, group: int) -> float:
    fewer = kept.copy()
    fewer[group] = False
    return costs.total(kept) - costs.total(fewer)


@settings(max_examples=60, deadline=None)
@given(
    blocks=st.lists(st.sampled_from(BLOCKS), min_size=1, max_size=3).map(tuple),
    seed=st.integers(0, 2**32 - 1),
)
def test_params_are_those_of_the_cut_network(blocks: tuple[str, ...], seed: int) -> None:
    rng = np.random.default_rng(seed)
    network, x = RandomNetwork("ilif", blocks, rng), random_input("ilif", rng)
    groups = find_groups(network, x)
    costs = count_params(network, groups)
    kept = rng.random(groups.count) < 0.5
    for family in groups.families:
        kept[rng.choice(family.groups)] = True
    assert costs.total() == count_numbers(network)
    assert costs.total(kept) == count_numbers(cut(network, groups, kept))


@pytest.fixture(scope="module")
def detector() -> tuple[nn.Module, ChannelGroups, torch.Tensor]:
    torch.manual_seed(0)
    network = build_detector(size_spec("nano")).eval()
    for part in network.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.uniform_(part.bias, 0.2, 1.0)
    x = torch.rand(2, 2, 64, 96)
    return network, find_groups(network, x), x


def half(groups: ChannelGroups) -> np.ndarray:
    kept = np.random.default_rng(3).random(groups.count) < 0.5
    for family in groups.families:
        kept[family.groups[0]] = True
    return kept


def test_macs_are_those_of_the_cut_network(detector) -> None:
    network, groups, x = detector
    costs = count_macs(groups)
    for kept in (np.ones(groups.count, bool), half(groups)):
        counted = count_operations(cut(network, groups, kept), [x])
        assert costs.total(kept) == sum(layer.macs for layer in counted.convolutions)


def test_synops_are_those_of_the_network_and_foretell_silent_readers(detector) -> None:
    network, groups, x = detector
    costs = measure_synops(network, groups, [x, x / 2])
    counted = count_operations(network, [x, x / 2])
    assert costs.total() == sum(layer.synops for layer in counted.convolutions)
    # heads change nothing that comes after them: without some, the forecast is exact
    heads = [family.groups[2:] for family in groups.families if family.name.startswith("head")]
    kept = np.ones(groups.count, bool)
    kept[np.concatenate(heads)] = False
    after = count_operations(cut(network, groups, kept), [x, x / 2])
    assert costs.total(kept) == sum(layer.synops for layer in after.convolutions)
    zeros = count_operations(mask(network, groups, kept), [x, x / 2])
    assert costs.total(kept) == sum(layer.synops for layer in zeros.convolutions)


def count_additions(network: nn.Module, x: torch.Tensor, names: list[str]) -> float:
    """Additions in layers of a network, one for each spike and weight that carries it."""
    added = 0.0

    def watch(part: nn.Module, args: tuple[torch.Tensor], _: torch.Tensor) -> None:
        nonlocal added
        twin = copy.deepcopy(part)
        nn.init.ones_(twin.weight)
        if twin.bias is not None:
            nn.init.zeros_(twin.bias)
        with torch.no_grad():
            added += float(twin.forward(args[0]).sum())

    hooks = [network.get_submodule(name).register_forward_hook(watch) for name in names]
    network(x)
    functional.reset_net(network)
    for hook in hooks:
        hook.remove()
    return added


def test_synops_of_multi_step_layers_and_linear_ones_are_counted() -> None:
    torch.manual_seed(0)
    how = {"step_mode": "m"}
    network = nn.Sequential(
        *(layer.Conv2d(1, 4, 3, bias=False, **how), neuron.LIFNode(v_threshold=0.1, **how)),
        *(layer.Conv2d(4, 6, 3, stride=2, padding=1, **how), layer.BatchNorm2d(6, **how)),
        *(neuron.LIFNode(v_threshold=0.05, **how), layer.Flatten(**how)),
        *(layer.Linear(6 * 9, 5, **how), neuron.LIFNode(v_threshold=0.05, **how)),
    )
    x = torch.randint(0, 2, (4, 2, 1, 8, 8)).float()
    groups = find_groups(network.eval(), x)
    costs = measure_synops(network, groups, [x, x])
    assert costs.total() == count_additions(network, x, ["2", "6"]) > 0
    assert count_additions(network, x, ["0"]) > 0  # whole numbers, but light
    assert costs.total(kept=np.zeros(groups.count, bool)) == 0
    find_groups(network, x)  # no neuron holds a state


def test_a_read_out_of_the_mean_over_steps_counts_each_spike() -> None:
    class Mean(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.fire = nn.Linear(3, 8), neuron.LIFNode(v_threshold=0.1, step_mode="m")
            self.read = layer.Linear(8, 5, step_mode="m")

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.read(self.fire(self.first(x)).mean(0))

    torch.manual_seed(0)
    network, x = Mean().eval(), torch.rand(4, 1, 3)
    costs = measure_synops(network, find_groups(network, x), [x])
    assert costs.total() == pytest.approx(4 * count_additions(network, x, ["read"]))
    assert costs.total() > 0


def test_synops_are_counted_where_no_input_may_go() -> None:
    class Indexed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Conv2d(1, 4, 1), nn.Conv2d(2, 3, 1)
            self.fire = ILIF(NeuronSpec(), steps=2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.second(self.fire(self.first(x))[:, :2])

    torch.manual_seed(0)
    network, x = Indexed().eval(), torch.rand(2, 1, 4, 4)
    nn.init.ones_(network.first.bias)
    costs = measure_synops(network, find_groups(network, x), [x])
    assert costs.total() == count_additions(network, x, ["second"]) > 0


def test_marginal_costs_are_what_the_loss_of_one_group_saves(detector) -> None:
    network, groups, _ = detector
    for costs in (count_params(network, groups), count_macs(groups)):
        kept = half(groups)
        saved = costs.marginal(kept)
        for group in np.random.default_rng(0).choice(np.flatnonzero(kept), 20, replace=False):
            assert saved[group] == pytest.approx(removable(costs, kept, group))


def test_synops_without_windows_or_spikes_are_refused(detector) -> None:
    network, groups, x = detector
    with pytest.raises(PruningError, match="found no window"):
        measure_synops(network, groups, [])
    plain = nn.Sequential(nn.Conv2d(2, 2, 1), nn.Conv2d(2, 1, 1))
    with pytest.raises(PruningError, match="found no spikes on these windows"):
        measure_synops(plain, find_groups(plain, x), [x])
