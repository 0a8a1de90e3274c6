from collections.abc import Callable

import pytest
import torch
from spikingjelly.activation_based.op_counter import DispatchCounterMode, SynOpCounter
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from vidar_det.detector.network import SpikingDetector, build_detector
from vidar_det.detector.neurons import ILIF
from vidar_det.detector.operations import count_macs, count_operations
from vidar_det.detector.spec import DetectorSpec, EncodingSpec, NeuronSpec, size_spec
from vidar_det.errors import RangeError

Lively = Callable[[DetectorSpec], SpikingDetector]


def brute_force(conv: nn.Conv2d, spikes: Tensor) -> int:
    """Follow every spike along every connection, one by one."""
    (rows, columns), (down, right) = conv.stride, conv.dilation
    top, left = conv.padding
    weight, group_in = conv.weight, conv.in_channels // conv.groups
    group_out = conv.out_channels // conv.groups
    steps, _, height, width = spikes.shape
    out_height, out_width = conv(spikes).shape[2:]
    total = 0
    for out, inner, y, x in torch.cartesian_prod(
        *(torch.arange(size) for size in weight.shape)
    ).tolist():
        if weight[out, inner, y, x] == 0:
            continue
        channel = out // group_out * group_in + inner
        for row in range(out_height):
            for column in range(out_width):
                place = (row * rows + y * down - top, column * columns + x * right - left)
                if 0 <= place[0] < height and 0 <= place[1] < width:
                    total += sum(int(spikes[s, channel, *place]) for s in range(steps))
    return total


@pytest.mark.parametrize(
    "conv",
    [
        nn.Conv2d(4, 3, 1, bias=False),
        nn.Conv2d(4, 3, 3, padding=1),
        nn.Conv2d(4, 5, 3, stride=2, padding=1),
        nn.Conv2d(4, 2, (3, 5), stride=(2, 1), padding=(0, 2)),
        nn.Conv2d(4, 6, 3, padding=2, dilation=2, groups=2),
    ],
    ids=str,
)
@torch.no_grad()
def test_synops_are_the_connections_that_spikes_really_take(conv: nn.Conv2d) -> None:
    torch.manual_seed(0)
    conv.weight[torch.rand_like(conv.weight) < 0.3] = 0  # no connection
    network = nn.Sequential(
        nn.Conv2d(2, 4, 1), ILIF(NeuronSpec(levels=4, v_threshold=1.0), steps=2), conv
    )
    window = torch.randn(2, 2, 6, 7) * 6
    spikes = network[:2](window)
    counted = count_operations(network, [window]).convolutions[1]
    assert spikes.max() == 4
    assert counted.is_spiking
    assert counted.synops == brute_force(conv, spikes)
    assert counted.spikes_in == pytest.approx(float(spikes.mean()))


def test_synops_of_a_binary_network_equal_spikingjelly(lively: Lively) -> None:
    # its counter follows 0 and 1 only; with one step the read-outs see them too
    spec = size_spec("nano", neuron=NeuronSpec(levels=1), encoding=EncodingSpec(steps=1))
    network, window = lively(spec), torch.rand(1, 2, 64, 96)
    reference = SynOpCounter()
    with torch.no_grad(), DispatchCounterMode([reference]):
        network(window)
    counted = count_operations(network, [window])
    assert sum(layer.synops for layer in counted.convolutions) == reference.get_total() > 0


@pytest.mark.parametrize("steps", [1, 3])
def test_macs_equal_torch(steps: int) -> None:
    network = build_detector(size_spec("nano", encoding=EncodingSpec(steps=steps))).eval()
    window = torch.rand(steps, 2, 64, 96)
    with torch.no_grad(), FlopCounterMode(display=False) as reference:
        network(window)
    counted = count_operations(network, [window])
    assert 2 * sum(layer.macs for layer in counted.convolutions) == reference.get_total_flops()
    per_step = sum(layer.macs_per_step for layer in counted.convolutions)
    assert per_step == count_macs(network, 50, 90)  # padded to 64 x 96


def test_counting_macs_leaves_the_network_as_it_is() -> None:
    network = build_detector(size_spec("nano"))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    count_macs(network, 64, 64)
    assert network.training
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


def test_a_read_out_counts_each_spike_of_each_step(lively: Lively) -> None:
    network = lively(size_spec("nano", encoding=EncodingSpec(steps=3)))
    counted = count_operations(network, [torch.rand(3, 2, 64, 64)])
    neurons = {layer.name: layer for layer in counted.neurons}
    for layer in counted.convolutions:
        if layer.name.endswith(".read"):
            fired = neurons[layer.name.replace(".read", ".fire")]
            outputs = network.get_submodule(layer.name).out_channels
            spikes = fired.firing_rate * fired.neurons * 3
            assert layer.synops == pytest.approx(spikes * outputs)
            assert layer.spikes_in == pytest.approx(fired.firing_rate)
            assert layer.macs == layer.macs_per_step == fired.neurons * outputs


def test_only_the_first_convolution_multiplies(lively: Lively) -> None:
    network = lively(size_spec("nano"))
    # a dark window is all zeros, which could pass for spikes
    for window in (torch.rand(2, 2, 64, 64), torch.zeros(2, 2, 64, 64)):
        first, *others = count_operations(network, [window]).convolutions
        assert (first.name, first.is_spiking, first.synops) == ("backbone.stem.0", False, 0)
        assert first.spikes_in is None
        assert all(layer.is_spiking for layer in others)


def test_an_ordinary_network_has_no_synops() -> None:
    spec = size_spec("nano", neuron=NeuronSpec(kind="relu"), encoding=EncodingSpec(steps=1))
    network = build_detector(spec).eval()
    for window in (torch.rand(1, 2, 32, 32), torch.zeros(1, 2, 32, 32)):
        counted = count_operations(network, [window])
        assert counted.neurons == ()
        assert not any(layer.is_spiking or layer.synops for layer in counted.convolutions)


def test_firing_is_a_mean_over_neurons_steps_and_windows() -> None:
    through = nn.Conv2d(1, 1, 1, bias=False)
    nn.init.ones_(through.weight)
    network = nn.Sequential(
        through, ILIF(NeuronSpec(levels=4, decay=0.0, v_threshold=1.0), steps=2)
    )
    bright = torch.tensor([[3.0, 0.0], [1.0, 0.0]]).view(2, 1, 1, 2)  # steps, then pixels
    (layer,) = count_operations(network, [bright, torch.zeros_like(bright)]).neurons
    assert layer.neurons == 2
    assert layer.firing_rate == (4 / 4 + 0) / 2
    assert layer.silent == (1 / 2 + 1) / 2


def test_figures_are_means_over_windows(lively: Lively) -> None:
    network = lively(size_spec("nano"))
    one, other = torch.rand(2, 2, 64, 64), torch.rand(2, 2, 64, 64) ** 4
    apart = [count_operations(network, [window]).convolutions[5] for window in (one, other)]
    together = count_operations(network, [one, other]).convolutions[5]
    assert together.synops == pytest.approx((apart[0].synops + apart[1].synops) / 2)
    assert together.macs == apart[0].macs


def test_no_hook_stays(lively: Lively) -> None:
    network = lively(size_spec("nano"))
    count_operations(network, [torch.rand(2, 2, 32, 32)])
    assert not any(module._forward_hooks for module in network.modules())


def test_no_window_is_refused() -> None:
    with pytest.raises(RangeError, match="no window"):
        count_operations(nn.Conv2d(1, 1, 1), [])
