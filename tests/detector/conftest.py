from collections.abc import Callable

import pytest
import torch
from torch import nn

from vidar_det.detector.network import SpikingDetector, build_detector
from vidar_det.detector.spec import DetectorSpec

Lively = Callable[[DetectorSpec], SpikingDetector]


@pytest.fixture(scope="session")
def lively() -> Lively:
    """A fresh network in evaluation mode hardly fires; one whose BN has seen data does."""

    def build(spec: DetectorSpec) -> SpikingDetector:
        torch.manual_seed(0)
        network = build_detector(spec)
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = 1.0
                nn.init.normal_(module.weight, 1.0, 0.3)
        with torch.no_grad():
            network(torch.rand(spec.encoding.steps * 2, spec.encoding.parts, 64, 64))
        for branch in (*network.head.scores, *network.head.boxes):
            nn.init.normal_(branch.read.weight, std=0.5)
        return network.eval()

    return build
