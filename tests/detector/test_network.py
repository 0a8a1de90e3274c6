from collections.abc import Callable

import pytest
import torch
from torch import nn

from vidar_det.detector.network import SpikingDetector, build_detector, count_params
from vidar_det.detector.neurons import ILIF
from vidar_det.detector.spec import DetectorSpec, EncodingSpec, NeuronSpec, size_spec
from vidar_det.errors import ConfigError

Lively = Callable[[DetectorSpec], SpikingDetector]


@pytest.mark.parametrize(("height", "width"), [(32, 32), (64, 96), (256, 416)])
def test_every_cell_of_three_strides_is_predicted(height: int, width: int) -> None:
    network = build_detector(size_spec("nano")).eval()
    with torch.no_grad():
        raw = network(torch.rand(2 * 3, 2, height, width))
    cells = sum((height // stride) * (width // stride) for stride in (8, 16, 32))
    assert raw.scores.shape == (3, cells, 3)
    assert raw.distances.shape == (3, cells, 64)


def test_every_convolution_but_the_first_and_the_read_outs_sees_integer_spikes(
    lively: Lively,
) -> None:
    levels = 4
    network = lively(size_spec("nano", neuron=NeuronSpec(levels=levels)))
    seen: dict[str, torch.Tensor] = {}
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(
                lambda _, args, __, name=name: seen.__setitem__(name, args[0])
            )
    with torch.no_grad():
        network(torch.rand(2, 2, 64, 64))
    for name, spikes in seen.items():
        if name == "backbone.stem.0":
            continue
        # a read-out sees the mean over the two steps: halves
        scaled = spikes * 2 if name.endswith("read") else spikes
        assert torch.equal(scaled, scaled.round()), name
        assert 0 <= spikes.min() <= spikes.max() <= levels, name
    assert max(float(spikes.max()) for spikes in seen.values()) > 1


def test_a_window_does_not_depend_on_the_others_in_its_batch(lively: Lively) -> None:
    network = lively(size_spec("nano"))
    x = torch.rand(2, 2, 2, 64, 64)  # S, B
    with torch.no_grad():
        together = network(x.flatten(0, 1)).scores
        alone = network(x[:, 1]).scores
    torch.testing.assert_close(together[1:], alone, rtol=1e-4, atol=1e-4)


def test_the_second_step_matters(lively: Lively) -> None:
    network = lively(size_spec("nano"))
    x = torch.rand(2, 2, 64, 64)
    other = torch.cat((x[:1], torch.rand(1, 2, 64, 64)))
    with torch.no_grad():
        assert not torch.equal(network(x).scores, network(other).scores)


def test_the_first_step_changes_what_the_second_one_fires(lively: Lively) -> None:
    network = lively(size_spec("nano"))
    fired: list[torch.Tensor] = []
    first = next(m for m in network.modules() if isinstance(m, ILIF))
    first.register_forward_hook(lambda _, __, out: fired.append(out))
    second = torch.rand(1, 2, 64, 64)
    with torch.no_grad():
        network(torch.cat((torch.zeros(1, 2, 64, 64), second)))
        network(torch.cat((torch.ones(1, 2, 64, 64), second)))
    assert not torch.equal(fired[0][1], fired[1][1])


def test_gradients_reach_every_parameter() -> None:
    network = build_detector(size_spec("nano"))
    raw = network(torch.rand(2 * 2, 2, 64, 64))
    (raw.scores.square().sum() + raw.distances.square().sum()).backward()
    missing = [n for n, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    assert missing == []


def test_sizes_grow() -> None:
    params = [count_params(build_detector(size_spec(s))) for s in ("nano", "small", "medium")]
    assert params == sorted(params)
    assert params[0] < 600_000 < 1_500_000 < params[1] < 3_000_000 < params[2]


def test_a_single_step_network_takes_single_step_input() -> None:
    network = build_detector(size_spec("nano", encoding=EncodingSpec(steps=1))).eval()
    with torch.no_grad():
        assert network(torch.rand(3, 2, 32, 32)).scores.shape[0] == 3


def test_the_relu_twin_has_the_same_parameters_and_no_time() -> None:
    encoding = EncodingSpec(steps=1)
    spec = size_spec("nano", encoding=encoding, neuron=NeuronSpec(kind="relu"))
    twin, spiking = build_detector(spec), build_detector(size_spec("nano", encoding=encoding))
    twin.load_state_dict(spiking.state_dict())
    assert not any(isinstance(module, ILIF) for module in twin.modules())
    with pytest.raises(ConfigError, match="no time"):
        size_spec("nano", neuron=NeuronSpec(kind="relu"))
