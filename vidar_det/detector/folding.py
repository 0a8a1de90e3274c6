"""A trained network comes in; the same network without batch normalisation goes out."""

import copy
from dataclasses import replace
from typing import cast

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from vidar_det.detector.convolution import ConvNorm
from vidar_det.detector.network import SpikingDetector
from vidar_det.detector.neurons import ILIF


def fold(network: SpikingDetector) -> SpikingDetector:
    """Fold every batch normalisation, and the neurons' threshold, into the convolution before it.

    Every norm follows a convolution without a neuron between them, so none is left. Membranes are
    sums of what norms gave: counted in thresholds, they need no division before they are rounded.

    Args:
        network: the network; it stays as it is.

    Returns:
        A copy in evaluation mode that computes the same, to within rounding.

    Example:
        >>> from vidar_det.detector.network import build_detector
        >>> from vidar_det.detector.spec import size_spec
        >>> fold(build_detector(size_spec("nano"))).backbone.stem
        Conv2d(2, 32, kernel_size=(6, 6), stride=(4, 4), padding=(1, 1))
    """
    folded = copy.deepcopy(network).eval()
    pairs = [(name, part) for name, part in folded.named_modules() if isinstance(part, ConvNorm)]
    for name, pair in pairs:
        path, _, last = name.rpartition(".")
        convolution, norm = cast("tuple[nn.Conv2d, nn.BatchNorm2d]", tuple(pair))
        whole = fuse_conv_bn_eval(convolution, norm)
        for parameter in whole.parameters():
            parameter.data /= network.spec.neuron.quantum
        setattr(folded.get_submodule(path), last, whole)
    for part in folded.modules():
        if isinstance(part, ILIF):
            part.spec = replace(part.spec, v_threshold=1.0)
    return folded
