"""Folding leaves the function as it is, whatever the neuron."""

import pytest
import torch
from torch import nn

from tests.detector.conftest import Lively
from vidar_det.detector.folding import fold
from vidar_det.detector.spec import EncodingSpec, NeuronSpec, size_spec

NEURONS = {
    "ilif": NeuronSpec(4, 0.25, 1.0),
    "finer": NeuronSpec(8, 0.25, 0.5),
    "odd": NeuronSpec(6, 0.5, 0.7),
    "relu": NeuronSpec(kind="relu", v_threshold=0.5),
}


@pytest.mark.parametrize("name", NEURONS)
def test_a_folded_network_computes_the_same(lively: Lively, name: str) -> None:
    neuron = NEURONS[name]
    encoding = EncodingSpec(steps=1 if neuron.kind == "relu" else 2)
    network = lively(size_spec("nano", encoding=encoding, neuron=neuron)).double()
    folded = fold(network)
    assert not any(isinstance(part, nn.BatchNorm2d) for part in folded.modules())
    x = torch.rand(encoding.steps, 2, 64, 96, dtype=torch.float64)
    with torch.no_grad():
        wanted, found = network(x), folded(x)
    assert wanted.scores.std() > 0.1
    torch.testing.assert_close(found.scores, wanted.scores)
    torch.testing.assert_close(found.distances, wanted.distances)
