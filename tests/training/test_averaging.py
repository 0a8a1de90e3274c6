import torch
from torch import nn

from vidar_det.training.averaging import Averaged


def test_the_average_follows_slower_and_slower_down_to_its_decay() -> None:
    network = nn.BatchNorm1d(1)
    averaged = Averaged(network, decay=0.5)
    expected = 1.0
    for update in range(1, 30):
        nn.init.constant_(network.weight, update)
        decay = min(0.5, (1 + update) / (10 + update))
        expected = decay * expected + (1 - decay) * update
        averaged.update(network)
    assert abs(averaged.state["weight"].item() - expected) < 1e-5


def test_counters_are_copied_and_the_network_stays() -> None:
    network = nn.BatchNorm1d(2)
    averaged = Averaged(network, decay=0.9)
    network(torch.randn(4, 2, generator=torch.Generator().manual_seed(0)))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    averaged.update(network)
    assert averaged.state["num_batches_tracked"].item() == 1
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name])
