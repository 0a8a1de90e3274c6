"""Eight bits for a weight, and none lost where eight are enough."""

import pytest
import torch
from torch import nn

from vidar_det.detector.folding import fold
from vidar_det.detector.network import build_detector
from vidar_det.detector.openvino_runtime import OpenVinoRuntime, OpenVinoSettings
from vidar_det.detector.quantisation import QuantisedConvolution, quantise
from vidar_det.detector.source import NetworkSource
from vidar_det.detector.spec import DetectorSpec, EncodingSpec, NeuronSpec, size_spec
from vidar_det.errors import ConfigError

LEVELS = size_spec("nano", neuron=NeuronSpec(levels=300))
RELU = size_spec("nano", encoding=EncodingSpec(steps=1), neuron=NeuronSpec(kind="relu"))


def spikes() -> torch.Tensor:
    return torch.randint(0, 5, (1, 3, 8, 8), generator=torch.Generator().manual_seed(0)).float()


def test_weights_that_fit_into_eight_bits_stay_what_they_are() -> None:
    convolution = nn.Conv2d(3, 2, 3, stride=2, padding=1)
    with torch.no_grad():
        steps = torch.randint(-127, 128, convolution.weight.shape).float()
        steps[:, 0, 0, 0] = 127
        convolution.weight.copy_(steps / 64)
        expected, found = convolution(spikes()), QuantisedConvolution(convolution)(spikes())
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-5)


def test_others_move_by_half_a_step_of_their_channel_at_most() -> None:
    convolution = nn.Conv2d(3, 2, 1)
    with torch.no_grad():
        convolution.weight[1] *= 100
        moved = QuantisedConvolution(convolution)(spikes()) - convolution(spikes())
        steps = convolution.weight.abs().amax((1, 2, 3)) / 127
    worst = spikes().sum(1).max() * steps / 2
    assert (moved.abs().amax((0, 2, 3)) <= worst + 1e-5).all()
    assert moved.abs().max() > 0


def test_light_and_read_outs_keep_their_precision() -> None:
    folded = fold(build_detector(size_spec("nano")))
    rounded = quantise(folded)
    kept = {name for name, part in rounded.named_modules() if type(part) is nn.Conv2d}
    plain = {name for name in kept if not name.endswith(".convolution")}
    heads = {f"head.{kind}.{level}.read" for kind in ("boxes", "scores") for level in range(3)}
    assert plain == {"backbone.stem", *heads}
    assert not any(isinstance(part, QuantisedConvolution) for part in folded.modules())


@pytest.mark.parametrize(("spec", "found"), [(LEVELS, "levels=300"), (RELU, "kind='relu'")])
def test_what_does_not_fit_into_eight_bits_is_refused(spec: DetectorSpec, found: str) -> None:
    network = build_detector(spec).eval()
    with pytest.raises(ConfigError, match=f"precision 'int8': found .*{found}.*255 levels"):
        quantise(fold(network))
    pytest.importorskip("openvino", reason="OpenVINO is not installed")
    with pytest.raises(ConfigError, match=f"precision 'int8': found .*{found}"):
        OpenVinoRuntime(NetworkSource.of(network), OpenVinoSettings("int8"))


def test_as_many_levels_as_fit_are_quantised() -> None:
    quantise(fold(build_detector(size_spec("nano", neuron=NeuronSpec(levels=255)))))
