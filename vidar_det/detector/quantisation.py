"""A folded network comes in; the same with 8-bit weights goes out."""

import copy
from typing import cast

import torch
from torch import Tensor, nn

from vidar_det.detector.network import SpikingDetector
from vidar_det.detector.spec import LARGEST_COUNT, check_quantisable

LARGEST_WEIGHT = 127


class QuantisedConvolution(nn.Module):
    """A convolution of integer spikes by 8-bit weights.

    Spikes are small whole numbers, so only the weights are rounded: symmetrically, with a scale for
    each output channel. The rounding of the input changes nothing; it tells whoever compiles the
    graph that integer arithmetic is exact there.

    Args:
        convolution: with its bias.
    """

    scales: Tensor
    zeros: Tensor

    def __init__(self, convolution: nn.Conv2d) -> None:
        super().__init__()
        self.convolution = convolution
        largest = convolution.weight.detach().abs().amax((1, 2, 3)).clamp(min=1e-12)
        self.register_buffer("scales", largest / LARGEST_WEIGHT)
        self.register_buffer("zeros", torch.zeros(len(largest), dtype=torch.int32))

    def forward(self, spikes: Tensor) -> Tensor:
        """Convolve ``[B, C, H, W]`` counts."""
        inner = self.convolution
        counts = torch.fake_quantize_per_tensor_affine(spikes, 1.0, 0, 0, LARGEST_COUNT)
        weight = torch.fake_quantize_per_channel_affine(
            inner.weight, self.scales, self.zeros, 0, -LARGEST_WEIGHT, LARGEST_WEIGHT
        )
        stride, padding = inner.stride, cast("tuple[int, int]", inner.padding)
        return nn.functional.conv2d(counts, weight, inner.bias, stride, padding)


def quantise(folded: SpikingDetector) -> SpikingDetector:
    """Round the weights of every convolution that sees spikes.

    The first convolution sees light, and the read-outs see means over steps: they stay as they are.

    Args:
        folded: without batch normalisation; it stays as it is.

    Returns:
        A copy.

    Raises:
        ConfigError: see ``check_quantisable``.

    Example:
        >>> from vidar_det.detector.folding import fold
        >>> from vidar_det.detector.network import build_detector
        >>> from vidar_det.detector.spec import size_spec
        >>> quantised = quantise(fold(build_detector(size_spec("nano"))))
        >>> type(quantised.neck.stride16).__name__
        'QuantisedConvolution'
    """
    check_quantisable(folded.spec)
    network = copy.deepcopy(folded)
    for name, part in list(network.named_modules()):
        path, _, last = name.rpartition(".")
        if isinstance(part, nn.Conv2d) and name != "backbone.stem" and last != "read":
            setattr(network.get_submodule(path), last, QuantisedConvolution(part))
    return network
