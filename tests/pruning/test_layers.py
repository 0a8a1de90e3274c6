"""Layers are chosen by name and their zeros counted in total, per layer and in convolutions."""

import pytest
import torch
from torch import nn

from vidar_det.errors import ConfigError, PruningError
from vidar_det.pruning.layers import measure_sparsity, prunable_layers


def build_network() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Conv2d(2, 2, 1), nn.Flatten(), nn.Linear(8, 3)
    )


def test_layers_are_chosen_by_name_and_by_pattern() -> None:
    network = nn.ModuleDict({"stem": nn.Conv2d(1, 1, 1), "stage": build_network()})
    assert list(prunable_layers(network)) == ["stem", "stage.0", "stage.2", "stage.4"]
    assert list(prunable_layers(network, ["stage.?"])) == ["stage.0", "stage.2", "stage.4"]
    assert list(prunable_layers(network, ["stage.4", "stem"])) == ["stem", "stage.4"]


@pytest.mark.parametrize("layers", [["0", "head.*"], ["1"], []])
def test_names_that_fit_no_layer_are_refused_with_the_known_ones(layers: list[str]) -> None:
    with pytest.raises(ConfigError, match="wanted names among: 0, 2, 4"):
        prunable_layers(build_network(), layers)


def test_a_network_without_weights_is_refused() -> None:
    with pytest.raises(ConfigError, match="none in this network"):
        prunable_layers(nn.Sequential(nn.ReLU()))


def test_a_layer_that_shares_its_weight_is_refused_and_both_are_named() -> None:
    network = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2), nn.Linear(2, 1))
    network[1].weight = network[0].weight
    for layers in (None, ["0"]):
        with pytest.raises(PruningError, match="'0' shares its weight with '1'"):
            prunable_layers(network, layers)
    with pytest.raises(PruningError, match="'1' shares its weight with '0'"):
        prunable_layers(network, ["1"])
    assert list(prunable_layers(network, ["2"])) == ["2"]
    assert [layer.name for layer in measure_sparsity(network).layers] == ["0", "2"]


def test_a_layer_that_shares_its_weight_with_what_is_no_layer_is_refused() -> None:
    network = nn.ModuleDict({"words": nn.Embedding(5, 3), "read": nn.Linear(3, 5)})
    network["read"].weight = network["words"].weight
    with pytest.raises(PruningError, match="'read' shares its weight with 'words'"):
        prunable_layers(network)


def test_a_layer_that_is_used_twice_is_one_layer() -> None:
    layer = nn.Linear(2, 2)
    assert list(prunable_layers(nn.Sequential(layer, nn.ReLU(), layer))) == ["0"]


def test_zeros_are_reported_in_total_per_layer_and_in_convolutions() -> None:
    network = build_network()
    with torch.no_grad():
        network[0].weight.fill_(1)
        network[0].weight[0] = 0
        network[2].weight.fill_(1)
        network[4].weight.zero_()
    sparsity = measure_sparsity(network)
    assert [(layer.name, layer.sparsity) for layer in sparsity.layers] == [
        ("0", 0.5),
        ("2", 0.0),
        ("4", 1.0),
    ]
    assert sparsity.total == (9 + 24) / (18 + 4 + 24)
    assert sparsity.convolutions == 9 / 22
    assert measure_sparsity(network, ["4"]).convolutions is None
