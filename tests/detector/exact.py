"""A network in which another order of sums cannot flip a spike."""

import torch
from torch import nn

from vidar_det.detector.network import SpikingDetector, build_detector
from vidar_det.detector.spec import DetectorSpec


@torch.no_grad()
def exact_network(spec: DetectorSpec, seed: int = 0) -> SpikingDetector:
    """Weights are few quarters, normalisation divides by 1; all layers fire."""
    generator = torch.Generator().manual_seed(seed)
    network = build_detector(spec).eval()
    for part in network.modules():
        if isinstance(part, nn.Conv2d):
            shape, fan_in = part.weight.shape, part.weight[0].numel()
            chosen = torch.rand(shape, generator=generator) < min(1.0, 12 / fan_in)
            signs = torch.randint(-1, 3, shape, generator=generator).clamp(-1, 1)
            part.weight.copy_(signs * chosen / 4)
        elif isinstance(part, nn.BatchNorm2d):
            part.running_mean.zero_()
            part.running_var.fill_(1 - part.eps)
            part.weight.fill_(1.0)
            quarters = torch.randint(0, 3, part.bias.shape, generator=generator) / 4
            part.bias.copy_(quarters + 1 / 16)  # so that no membrane lies where rounding turns
    return network
