"""Which channels stand or fall together, and what cannot be followed."""

import pytest
import torch
from spikingjelly.activation_based import neuron
from torch import Tensor, nn
from torch.nn import functional

from vidar_det.detector.network import build_detector
from vidar_det.detector.spec import size_spec
from vidar_det.errors import PruningError
from vidar_det.pruning.groups import STAYS, ChannelGroups, find_groups


class Wired(nn.Module):
    """Two convolutions and whatever a test does with their maps."""

    def __init__(self, then: str) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 4, 1), nn.Conv2d(1, 4, 1)
        self.gate = nn.Parameter(torch.ones(1, 4, 1, 1))
        self.read = nn.Conv2d(8 if then == "concatenate" else 4, 1, 1)
        self.then = then

    def forward(self, x: Tensor) -> Tensor:
        first, second = self.first(x), self.second(x)
        if self.then == "add":
            return self.read(first + second)
        if self.then == "concatenate":
            return self.read(torch.cat((first, second), 1))
        if self.then == "gate":
            return self.read(functional.relu(first) * self.gate) + self.read(second)
        if self.then == "index":
            return self.read(torch.cat((first[:, :2], second[:, 2:]), 1))
        if self.then == "sigmoid":
            return self.read(torch.sigmoid(first))
        if self.then == "constant":
            return self.read(first + 1)
        if self.then == "branch on values":
            return self.read(first if first.sum() > 0 else second)
        return self.read(first.mean(1, keepdim=True).expand(-1, 4, -1, -1))


def of(groups: ChannelGroups, name: str) -> list[int]:
    return next(layer.outs.tolist() for layer in groups.layers if layer.name == name)


def find(then: str) -> ChannelGroups:
    return find_groups(Wired(then), torch.zeros(1, 1, 4, 4))


def test_channels_that_are_added_make_one_group() -> None:
    groups = find("add")
    assert groups.count == 4
    assert of(groups, "first") == of(groups, "second") == [0, 1, 2, 3]
    assert [family.layers for family in groups.families] == [("first", "second")]


def test_concatenated_channels_stay_free_and_keep_their_offsets() -> None:
    groups = find("concatenate")
    assert groups.count == 8
    reader = next(layer for layer in groups.layers if layer.name == "read")
    assert reader.ins is not None
    assert reader.ins.tolist() == [*of(groups, "first"), *of(groups, "second")]


def test_channels_of_the_output_stay() -> None:
    assert of(find("add"), "read") == [STAYS]


def test_a_factor_and_a_layer_that_runs_twice_tie_what_they_meet() -> None:
    groups = find("gate")
    assert of(groups, "first") == of(groups, "second") == of(groups, "gate")


def test_channels_that_are_indexed_by_number_stay() -> None:
    groups = find("index")
    assert groups.count == 0
    assert of(groups, "first") == [STAYS] * 4


@pytest.mark.parametrize(
    ("then", "message"),
    [
        ("sigmoid", r"'sigmoid'.*test_groups.py.*line \d+"),
        ("constant", r"add of a number.*test_groups.py.*line \d+"),
        ("mean", r"mean over channels.*test_groups.py.*line \d+"),
        ("branch on values", "Wired: cannot be traced: .*control flow"),
    ],
)
def test_what_cannot_be_followed_is_refused_with_its_line(then: str, message: str) -> None:
    with pytest.raises(PruningError, match=message):
        find(then)


def test_a_module_that_mixes_channels_is_refused_by_name() -> None:
    network = nn.Sequential(nn.Conv2d(1, 4, 1), nn.GroupNorm(2, 4), nn.Conv2d(4, 1, 1))
    with pytest.raises(PruningError, match=r"the module GroupNorm \(1\)"):
        find_groups(network, torch.zeros(1, 1, 4, 4))


def test_a_module_the_user_vouches_for_is_followed() -> None:
    class Own(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.where(x > 1, 1.0, 0.0)

    network = nn.Sequential(nn.Conv2d(1, 4, 1), Own(), nn.Conv2d(4, 1, 1))
    assert find_groups(network, torch.zeros(1, 1, 4, 4), leaves=(Own,)).count == 4


def test_a_neuron_with_a_state_is_reset_first() -> None:
    network = nn.Sequential(nn.Conv2d(1, 4, 1), neuron.LIFNode(), nn.Conv2d(4, 1, 1))
    network(torch.zeros(1, 1, 4, 4))
    with pytest.raises(PruningError, match="must be reset first"):
        find_groups(network, torch.zeros(1, 1, 4, 4))


def test_a_detector_is_tied_through_its_skip_connections_alone() -> None:
    network = build_detector(size_spec("small"))
    groups = find_groups(network, torch.zeros(2, 2, 64, 64))
    tied = {
        family.layers: len(family.groups) for family in groups.families if len(family.layers) > 1
    }
    stages = [f"backbone.stages.{stage}" for stage in range(4)]
    writes = ["backbone.stem.0", *(f"{stage}.down.0" for stage in stages[1:])]
    streams = {
        (down, f"{stage}.csp.join.0"): width.out
        for down, stage, width in zip(writes, stages, network.spec.stages, strict=True)
    }
    assert streams.items() <= tied.items()
    others = tied.keys() - streams.keys()
    assert all(layers[0].endswith("main.0") for layers in others)
    assert all(name.endswith("conv_out.0") for layers in others for name in layers[1:])
