"""The spiking network of the published studies, scaled to a machine without an accelerator.

Six convolutions with batch normalisation, pooling after the third and sixth, two fully connected
layers, and a vote of ten neurons per class (Grad R, STDS). Leaky integrate-and-fire neurons with
tau 2, threshold 1, hard and detached reset and the ATan surrogate; the picture is shown T times.
"""

import itertools
import math
from typing import Any

import numba
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

VOTES = 10
SLOPE = np.float32(math.pi)  # pi / 2 * alpha of the surrogate, alpha = 2


class SpikingClassifier(nn.Module):
    """``[B, 3, 32, 32]`` pictures to ``[B, classes]`` firing rates, 0 to 1.

    Args:
        channels: of each convolution (the papers: 256).
        hidden: neurons of the first fully connected layer (the papers: 2048).
        steps: T (the papers: 8).
        classes: how many.
    """

    def __init__(
        self, channels: int = 32, hidden: int = 256, steps: int = 4, classes: int = 10
    ) -> None:
        super().__init__()
        self.steps = steps
        widths = [3, *[channels] * 6]
        self.convolutions = nn.ModuleList(
            nn.Conv2d(ins, outs, 3, padding=1, bias=False)
            for ins, outs in itertools.pairwise(widths)
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(channels) for _ in range(6))
        self.pool = nn.MaxPool2d(2)
        self.first = nn.Linear(channels * 64, hidden, bias=False)
        self.second = nn.Linear(hidden, VOTES * classes, bias=False)
        self.fire = Neurons(steps)

    def forward(self, pictures: Tensor) -> Tensor:
        """Show the pictures, count the votes."""
        current = self.norms[0](self.convolutions[0](pictures))
        spikes = self.fire(current.repeat(self.steps, 1, 1, 1))
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
    """The neuron's whole sequence; its membranes are kept for the way back."""

    @staticmethod
    def forward(ctx: Any, current: Tensor, steps: int) -> Tensor:
        current = current.contiguous()
        charged = torch.empty(current.shape)
        spikes = torch.empty_like(charged)
        fire(_rows(current.float(), steps), _rows(charged, steps), _rows(spikes, steps))
        ctx.save_for_backward(charged)
        ctx.steps, ctx.dtype = steps, current.dtype
        return spikes.to(current.dtype)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        (charged,) = ctx.saved_tensors
        grad = grads[0].float().contiguous()
        out = torch.empty_like(grad)
        send_back(_rows(grad, ctx.steps), _rows(charged, ctx.steps), _rows(out, ctx.steps))
        return out.to(ctx.dtype), None


def _rows(tensor: Tensor, steps: int) -> NDArray[np.float32]:
    return tensor.detach().reshape(steps, -1).numpy()


@numba.njit(cache=True, nogil=True, error_model="numpy")
def fire(
    current: NDArray[np.float32], charged: NDArray[np.float32], spikes: NDArray[np.float32]
) -> None:
    """``h = v + (x - v) / 2``; a spike where h >= 1, and then v = 0."""
    steps, count = current.shape
    half, one, zero = np.float32(0.5), np.float32(1), np.float32(0)
    for i in range(count):
        membrane = zero
        for t in range(steps):
            h = membrane + (current[t, i] - membrane) * half
            charged[t, i] = h
            fired = h >= one
            spikes[t, i] = one if fired else zero
            membrane = zero if fired else h


@numba.njit(cache=True, nogil=True, error_model="numpy")
def send_back(
    grad: NDArray[np.float32], charged: NDArray[np.float32], out: NDArray[np.float32]
) -> None:
    """ATan: ds/dh = 1 / (1 + (pi (h - 1))^2); no gradient through the reset."""
    steps, count = grad.shape
    half, one = np.float32(0.5), np.float32(1)
    for i in range(count):
        carried = np.float32(0)
        for t in range(steps - 1, -1, -1):
            apart = SLOPE * (charged[t, i] - one)
            flowing = grad[t, i] / (one + apart * apart)
            if charged[t, i] < one:
                flowing += carried
            out[t, i] = flowing * half
            carried = flowing * half
