"""Channels that are gone and channels that are 0 make no difference, whatever the structure."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from spikingjelly.activation_based import functional
from torch import Tensor, nn

from benchmarks.spines.network import Neurons, SpikingClassifier
from tests.pruning.networks import BLOCKS, NEURONS, RandomNetwork, random_input
from vidar_det.detector.network import build_detector, count_params
from vidar_det.detector.spec import size_spec
from vidar_det.errors import PruningError
from vidar_det.pruning.groups import ChannelGroups, find_groups
from vidar_det.pruning.surgery import cut, cut_state, mask


def run(network: nn.Module, x: Tensor) -> Tensor:
    functional.reset_net(network)
    with torch.no_grad():
        out = network(x)
    functional.reset_net(network)
    return out


def draw_kept(groups: ChannelGroups, rng: np.random.Generator) -> NDArray[np.bool_]:
    """About half of all groups, but at least one of each family."""
    kept = rng.random(groups.count) < 0.5
    for family in groups.families:
        kept[rng.choice(family.groups)] = True
    return kept


@settings(max_examples=200, deadline=None)
@given(
    kind=st.sampled_from(NEURONS),
    blocks=st.lists(st.sampled_from(BLOCKS), min_size=1, max_size=4).map(tuple),
    seed=st.integers(0, 2**32 - 1),
)
def test_masked_and_cut_networks_give_the_very_same_output(
    kind: str, blocks: tuple[str, ...], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    network, x = RandomNetwork(kind, blocks, rng), random_input(kind, rng)
    before = run(network, x)
    groups = find_groups(network, x)
    kept = draw_kept(groups, rng)

    masked, narrow = mask(network, groups, kept), cut(network, groups, kept)

    assert torch.equal(run(masked, x), run(narrow, x))
    assert torch.equal(run(network, x), before), "the input network has changed"
    gone = sum(int((~kept[layer.outs[layer.outs >= 0]]).sum()) for layer in groups.layers)
    assert (count_params(narrow) < count_params(network)) == (gone > 0)


def test_the_generator_makes_networks_whose_channels_matter() -> None:
    rng = np.random.default_rng(0)
    changed = 0
    for kind in NEURONS:
        for block in BLOCKS:
            network, x = RandomNetwork(kind, (block,), rng), random_input(kind, rng)
            groups = find_groups(network, x)
            kept = draw_kept(groups, rng)
            changed += not torch.equal(run(network, x), run(cut(network, groups, kept), x))
    assert changed > 0.6 * len(NEURONS) * len(BLOCKS)


@pytest.mark.parametrize("size", ["nano", "small"])
def test_a_masked_and_a_cut_detector_say_the_same(size: str) -> None:
    torch.manual_seed(0)
    network = build_detector(size_spec(size)).double().eval()
    x = torch.rand(2, 2, 64, 96).double()
    groups = find_groups(network, x)
    kept = draw_kept(groups, np.random.default_rng(1))
    with torch.no_grad():
        masked, narrow = mask(network, groups, kept)(x), cut(network, groups, kept)(x)
    torch.testing.assert_close(narrow.scores, masked.scores, rtol=0, atol=1e-12)
    torch.testing.assert_close(narrow.distances, masked.distances, rtol=0, atol=1e-12)


def test_the_state_alone_is_cut_as_the_network_is() -> None:
    network = build_detector(size_spec("nano")).eval()
    groups = find_groups(network, torch.zeros(2, 2, 64, 64))
    kept = draw_kept(groups, np.random.default_rng(2))
    narrow = cut(network, groups, kept).state_dict()
    state = cut_state(network.state_dict(), groups, kept)
    assert state.keys() == narrow.keys()
    assert all(torch.equal(state[name], narrow[name]) for name in state)


def test_what_a_neuron_holds_by_channel_travels_along() -> None:
    network = nn.Sequential(nn.Conv2d(1, 3, 1), nn.PReLU(3), nn.Conv2d(3, 1, 1))
    with torch.no_grad():
        network[1].weight.copy_(torch.tensor([0.1, 0.2, 0.3]))
    groups = find_groups(network, torch.zeros(1, 1, 4, 4))
    narrow = cut(network, groups, np.array([True, False, True]))
    assert narrow[1].num_parameters == 2
    torch.testing.assert_close(narrow[1].weight, torch.tensor([0.1, 0.3]))


def test_a_flattened_map_loses_all_columns_of_a_channel() -> None:
    network = nn.Sequential(nn.Conv2d(1, 3, 1), nn.ReLU(), nn.Flatten(), nn.Linear(12, 5))
    x = torch.rand(2, 1, 2, 2)
    groups = find_groups(network, x)
    kept = np.array([True, False, True])
    narrow = cut(network, groups, kept)
    assert narrow[3].in_features == 8
    torch.testing.assert_close(run(narrow, x), run(mask(network, groups, kept), x))


def test_a_classifier_that_shows_its_picture_again_and_votes_is_cut() -> None:
    torch.manual_seed(0)
    network = SpikingClassifier(channels=6, hidden=12, steps=3).eval()
    for norm in network.norms:
        nn.init.uniform_(norm.bias, 1.0, 4.0)
    nn.init.normal_(network.first.weight, 0.05)
    nn.init.normal_(network.second.weight, 0.5)
    x = torch.rand(2, 3, 32, 32)
    groups = find_groups(network, x, leaves=(Neurons,))
    kept = draw_kept(groups, np.random.default_rng(4))
    narrow = cut(network, groups, kept)
    assert groups.count == 6 * 6 + 12
    assert run(narrow, x).any()
    torch.testing.assert_close(run(narrow, x), run(mask(network, groups, kept), x))


def test_a_layer_without_channels_is_refused() -> None:
    network = nn.Sequential(nn.Conv2d(1, 3, 1), nn.Conv2d(3, 1, 1))
    groups = find_groups(network, torch.zeros(1, 1, 4, 4))
    with pytest.raises(PruningError, match="0: would lose all 3 channels"):
        cut(network, groups, np.zeros(3, bool))


def test_kept_groups_of_another_network_are_refused() -> None:
    network = nn.Sequential(nn.Conv2d(1, 3, 1), nn.Conv2d(3, 1, 1))
    groups = find_groups(network, torch.zeros(1, 1, 4, 4))
    with pytest.raises(PruningError, match=r"shape \(4,\), wanted bool of shape \(3,\)"):
        mask(network, groups, np.ones(4, bool))
