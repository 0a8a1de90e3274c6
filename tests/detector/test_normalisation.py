import pytest
import torch
from torch import nn

from vidar_det.detector.network import build_detector
from vidar_det.detector.normalisation import recalibrate
from vidar_det.detector.spec import size_spec
from vidar_det.errors import RangeError


def batches(count: int, rows: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    return [torch.rand(rows, 2, 64, 64, generator=generator) + index for index in range(count)]


def test_statistics_are_those_of_all_inputs_at_once_however_they_are_cut() -> None:
    inputs = torch.cat(batches(3, 4))
    norm = nn.BatchNorm2d(2)
    assert recalibrate(norm, inputs.split([5, 1, 6])) == 12
    flat = inputs.double().transpose(0, 1).flatten(1)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    torch.testing.assert_close(norm.running_mean.double(), flat.mean(1), rtol=1e-6, atol=0)
    torch.testing.assert_close(norm.running_var.double(), flat.var(1), rtol=1e-6, atol=0)


def test_one_batch_gives_every_layer_what_torch_itself_measures_on_it() -> None:
    torch.manual_seed(0)
    network = build_detector(size_spec("nano")).eval()
    (batch,) = batches(1, 8)
    recalibrate(network, [batch])
    assert not network.training
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    assert len(norms) > 30
    measured = {name: value.clone() for name, value in network.named_buffers()}
    for norm in norms:
        norm.momentum = 1.0  # keep the latest batch's statistics, unbiased, and nothing else
    network.train()(batch)
    for name, value in network.named_buffers():
        if "running" in name:
            torch.testing.assert_close(measured[name], value, rtol=1e-5, atol=1e-6)


def test_weights_and_mode_stay_and_nothing_is_left_behind() -> None:
    torch.manual_seed(0)
    network = build_detector(size_spec("nano")).train()
    weights = {name: value.clone() for name, value in network.named_parameters()}
    recalibrate(network, batches(2, 2))
    assert network.training
    assert all(torch.equal(value, weights[name]) for name, value in network.named_parameters())
    assert not any(module._forward_pre_hooks for module in network.modules())


def test_no_inputs_are_refused_and_leave_the_statistics() -> None:
    norm = nn.BatchNorm2d(2)
    with pytest.raises(RangeError, match="no inputs"):
        recalibrate(norm, [])
    assert norm.running_var is not None
    assert norm.running_var.tolist() == [1.0, 1.0]
