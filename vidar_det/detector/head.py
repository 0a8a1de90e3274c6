"""Spikes at three strides come in, raw predictions come out; and raw predictions become boxes.

Decoupled and anchor-free: each cell gives class scores and a distribution over the distance to
each side of its box (DFL; Li et al., *Generalized Focal Loss*, NeurIPS 2020). No objectness.
"""

import math
from functools import lru_cache
from typing import NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vidar_det.detections.boxes import Detections, nms
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


@lru_cache(maxsize=32)
def cell_grid(height: int, width: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the centre and stride of every cell of a padded picture.

    Args:
        height: padded height, pixels.
        width: padded width, pixels.

    Returns:
        ``(N, 2) float32`` centres (x, y) and ``(N,) float32`` strides, both pixels, read-only.

    Example:
        >>> cell_grid(32, 32)[0][0].tolist()
        [4.0, 4.0]
    """
    centres, strides = [], []
    for stride in STRIDES:
        rows, columns = np.mgrid[: height // stride, : width // stride].astype(np.float32)
        centres.append((np.stack((columns, rows), -1).reshape(-1, 2) + 0.5) * stride)
        strides.append(np.full(rows.size, stride))
    grid = np.concatenate(centres).astype(np.float32), np.concatenate(strides).astype(np.float32)
    for array in grid:
        array.setflags(write=False)
    return grid


def decode(
    scores: NDArray[np.float32],
    distances: NDArray[np.float32],
    size: tuple[int, int],
    padded: tuple[int, int],
    conf: float = 0.25,
    iou: float = 0.6,
    max_det: int = 300,
) -> Detections:
    """Turn one window's raw predictions into boxes on the picture.

    Only cells above ``conf`` are decoded, each with its best class.

    Args:
        scores: ``(N, classes) float32`` logits.
        distances: ``(N, 4 * reg_max) float32`` logits.
        size: height and width of the picture, pixels; boxes are clipped to it.
        padded: height and width of what the network saw, pixels.
        conf: lowest score that is kept, 0 to 1.
        iou: overlap above which the weaker box of one class is dropped.
        max_det: most boxes returned.

    Returns:
        The boxes, best first.

    Example:
        >>> scores, distances = np.full((21, 3), -9, np.float32), np.zeros((21, 64), np.float32)
        >>> len(decode(scores, distances, size=(30, 32), padded=(32, 32)))
        0
    """
    height, width = size
    class_ids = scores.argmax(1)
    best = scores[np.arange(len(scores)), class_ids]
    threshold = -np.inf if conf <= 0 else math.log(conf / (1 - conf)) if conf < 1 else np.inf
    (kept,) = np.nonzero(best >= threshold)
    if not len(kept):
        return Detections.empty()
    centres, strides = cell_grid(*padded)
    logits = distances[kept].reshape(len(kept), 4, -1)
    weights = np.exp(logits - logits.max(2, keepdims=True))
    bins = np.arange(logits.shape[2], dtype=np.float32)
    sides = (weights @ bins) / weights.sum(2) * strides[kept, None]
    boxes = np.concatenate((centres[kept] - sides[:, :2], centres[kept] + sides[:, 2:]), 1)
    boxes = np.clip(boxes, 0, np.array((width, height, width, height))).astype(np.float32)
    real = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
    found = Detections(
        boxes[real],
        (1 / (1 + np.exp(-best[kept][real]))).astype(np.float32),
        class_ids[kept][real].astype(np.int64),
    )
    return nms(found, iou=iou, max_det=max_det)
