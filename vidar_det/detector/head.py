"""Spikes at three strides come in, raw predictions come out.

Decoupled and anchor-free: each cell gives class scores and a distribution over the distance to
each side of its box (DFL; Li et al., *Generalized Focal Loss*, NeurIPS 2020). No objectness.
"""

import math
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from vidar_det.detector.convolution import ConvNorm
from vidar_det.detector.neurons import build_neuron
from vidar_det.detector.spec import STRIDES, DetectorSpec


class RawPredictions(NamedTuple):
    """What the network says about each cell of all strides, finest stride first.

    Attributes:
        scores: ``[B, N, classes]`` logits.
        distances: ``[B, N, 4 * reg_max]`` logits over left, top, right, bottom, in strides.
    """

    scores: Tensor
    distances: Tensor


class Branch(nn.Module):
    """One branch of one level: neuron-coded 3x3 convolution, time mean, linear read-out."""

    def __init__(
        self, channels: int, hidden: int, outputs: int, spec: DetectorSpec, bias: float
    ) -> None:
        super().__init__()
        self.steps = spec.encoding.steps
        self.conv = ConvNorm(channels, hidden, 3)
        self.fire = build_neuron(spec.neuron, self.steps)
        self.read = nn.Conv2d(hidden, outputs, 1)
        nn.init.constant_(cast("Tensor", self.read.bias), bias)

    def forward(self, spikes: Tensor) -> Tensor:
        """Read out: ``[S*B, C, H, W]`` spikes to ``[B, H*W, outputs]``.

        The read-out is linear, so the mean over steps is taken before it: same value, 1/S the work.
        """
        fired = self.fire(self.conv(spikes))
        if self.steps > 1:
            fired = torch.stack(fired.chunk(self.steps)).mean(0)
        out: Tensor = self.read(fired).flatten(2).transpose(1, 2)
        return out


class Head(nn.Module):
    """Box and score branches at each stride."""

    def __init__(self, spec: DetectorSpec) -> None:
        super().__init__()
        channels = (spec.top_down[1].out, spec.bottom_up[0].out, spec.bottom_up[1].out)
        levels = list(zip(channels, spec.heads, strict=True))
        self.boxes = nn.ModuleList(
            Branch(width, level.box, 4 * spec.reg_max, spec, bias=1.0) for width, level in levels
        )
        # about five objects of each class in 640 x 640 pixels: a calm start for the loss
        rarities = [math.log(5 / (640 / stride) ** 2) for stride in STRIDES]
        self.scores = nn.ModuleList(
            Branch(width, level.score, len(spec.classes), spec, bias=rarity)
            for (width, level), rarity in zip(levels, rarities, strict=True)
        )

    def forward(self, spikes: tuple[Tensor, Tensor, Tensor]) -> RawPredictions:
        """See the class."""
        return RawPredictions(
            torch.cat([b(s) for b, s in zip(self.scores, spikes, strict=True)], 1),
            torch.cat([b(s) for b, s in zip(self.boxes, spikes, strict=True)], 1),
        )
