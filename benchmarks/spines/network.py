"""The spiking network of the published studies, scaled to a machine without an accelerator.

Six convolutions with batch normalisation, pooling after the third and sixth, two fully connected
layers, and a vote of ten neurons per class (Grad R, STDS). Leaky integrate-and-fire neurons with
tau 2, threshold 1, hard and detached reset and the ATan surrogate; the picture is shown T times.
Maps are bfloat16 under autocast, channels innermost: a training step is bound by memory.
"""

import itertools
import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from vidar_det.compilation import compiled
from vidar_det.detector.firing import BLOCK, Map, load, store

VOTES = 10
GAIN = 2.0
"""Of each normalisation at the start: tau 2 takes half of a current, and where a picture is shown
only a few times, nothing would reach the votes and learning would begin late."""
SLOPE = np.float32(math.pi)  # pi / 2 * alpha of the surrogate, alpha = 2
ZERO, HALF, ONE = np.float32(0), np.float32(0.5), np.float32(1)


class SpikingClassifier(nn.Module):
    """``[B, 3, 32, 32]`` pictures to ``[B, classes]`` firing rates, 0 to 1.

    Args:
        channels: of each convolution (the papers: 256).
        hidden: neurons of the first fully connected layer (the papers: 2048).
        steps: T (the papers: 8).
        stride: of the first convolution (the papers: 1); 2 takes a quarter of the time.
        classes: how many.
    """

    def __init__(
        self,
        channels: int = 32,
        hidden: int = 256,
        steps: int = 2,
        stride: int = 2,
        classes: int = 10,
    ) -> None:
        super().__init__()
        self.steps = steps
        widths = [3, *[channels] * 6]
        self.convolutions = nn.ModuleList(
            nn.Conv2d(ins, outs, 3, stride=1 if number else stride, padding=1, bias=False)
            for number, (ins, outs) in enumerate(itertools.pairwise(widths))
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(channels) for _ in range(6))
        for norm in self.norms:
            nn.init.constant_(norm.weight, GAIN)
        self.pool = nn.MaxPool2d(2)
        self.first = nn.Linear(channels * (8 // stride) ** 2, hidden, bias=False)
        self.second = nn.Linear(hidden, VOTES * classes, bias=False)
        self.fire = Neurons(steps)

    def forward(self, pictures: Tensor) -> Tensor:
        """Show the pictures, count the votes."""
        current = self.norms[0](self.convolutions[0](pictures))
        spikes = self.fire(torch.cat([current] * self.steps))
        for number in range(1, 6):
            spikes = self.fire(self.norms[number](self.convolutions[number](spikes)))
            if number in (2, 5):
                spikes = self.pool(spikes)
        votes = self.fire(self.second(self.fire(self.first(spikes.flatten(1)))))
        rates: Tensor = votes.reshape(self.steps, pictures.shape[0], -1, VOTES)
        return rates.float().mean((0, 3))


class Neurons(nn.Module):
    """``[T * B, ...]`` currents to spikes of the same shape; a leaf for `find_groups`."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.steps = steps

    def forward(self, current: Tensor) -> Tensor:
        """Fire."""
        return _Fire.apply(current, self.steps)


class _Fire(torch.autograd.Function):
    """The neuron's whole sequence; its membranes are computed anew on the way back."""

    @staticmethod
    def forward(ctx: Any, current: Tensor, steps: int) -> Tensor:
        current = _dense(current)
        spikes = torch.empty_like(current)
        fire(_rows(current, steps), _rows(spikes, steps))
        ctx.save_for_backward(current)
        ctx.steps = steps
        return spikes

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        (current,) = ctx.saved_tensors
        grad = grads[0]
        if grad.stride() != current.stride():
            grad = torch.empty_like(current).copy_(grad)
        out = torch.empty_like(current)
        send_back(*(_rows(tensor, ctx.steps) for tensor in (grad, current, out)))
        return out, None


def _dense(current: Tensor) -> Tensor:
    """Without gaps, steps outermost; maps whose channels lie innermost stay so."""
    if current.ndim == 4 and current.is_contiguous(memory_format=torch.channels_last):
        return current
    return current.contiguous()


def _rows(tensor: Tensor, steps: int) -> Map:
    """A dense tensor's numbers in the order of its memory, ``(T, N)``; bfloat16 as its bits."""
    size = tensor.numel() // steps
    rows = tensor.detach().as_strided((steps, size), (size, 1))
    return (rows.view(torch.uint16) if rows.dtype == torch.bfloat16 else rows).numpy()


@compiled
def fire(current: Map, spikes: Map) -> None:
    """``h = v + (x - v) / 2``; a spike where h >= 1, and then v = 0."""
    membrane = np.empty(BLOCK, np.float32)
    for start in range(0, current.shape[1], BLOCK):
        size = min(BLOCK, current.shape[1] - start)
        membrane[:] = ZERO
        for t in range(current.shape[0]):
            here = current[t, start : start + size]
            out = spikes[t, start : start + size]
            for i in range(size):
                h = membrane[i] + (load(here, i) - membrane[i]) * HALF
                spike = ONE if h >= ONE else ZERO
                membrane[i] = ZERO if h >= ONE else h
                store(out, i, spike)  # a choice made within its brackets would be lost by Numba


@compiled
def send_back(grad: Map, current: Map, out: Map) -> None:
    """ATan: ds/dh = 1 / (1 + (pi (h - 1))^2); no gradient through the reset."""
    steps = current.shape[0]
    charged = np.empty((steps, BLOCK), np.float32)
    state = np.empty(BLOCK, np.float32)
    for start in range(0, current.shape[1], BLOCK):
        size = min(BLOCK, current.shape[1] - start)
        state[:] = ZERO  # the membrane
        for t in range(steps):
            here, kept = current[t, start : start + size], charged[t]
            for i in range(size):
                h = state[i] + (load(here, i) - state[i]) * HALF
                kept[i] = h
                state[i] = ZERO if h >= ONE else h
        state[:] = ZERO  # what flows back from the step behind
        for back in range(steps):  # Numba makes no vectors of a range that falls
            t = steps - 1 - back
            down, kept = grad[t, start : start + size], charged[t]
            up = out[t, start : start + size]
            for i in range(size):
                h, later = kept[i], state[i]
                apart = SLOPE * (h - ONE)
                flowing = load(down, i) / (ONE + apart * apart) + (later if h < ONE else ZERO)
                gradient = flowing * HALF
                state[i] = gradient
                store(up, i, gradient)
