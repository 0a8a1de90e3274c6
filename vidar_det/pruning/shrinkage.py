"""Spines of a layer and a threshold come in; the weights it computes with go out."""

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize


class _Shrink(torch.autograd.Function):
    """Soft threshold whose gradient passes unchanged where ``learns`` is set."""

    @staticmethod
    def forward(ctx: Any, theta: Tensor, threshold: Tensor, learns: Tensor) -> Tensor:
        ctx.save_for_backward(learns)
        return theta.sign() * (theta.abs() - threshold).relu()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (learns,) = ctx.saved_tensors
        return gradients[0] * learns, None, None


class SpineShrinkage(nn.Module):
    """Parametrisation of a weight by its spines.

    The threshold is a buffer that moves with the layer but stays out of its ``state_dict``: an
    average of the network's state averages the spines, never the threshold. A copy of the network
    keeps the threshold that was there when it was copied: see `SoftThreshold.finalise`.

    Args:
        like: a weight of the layer; gives dtype and device.
        threshold: d, 0 or more.
        plain: take the true gradient, 1 where ``|theta| > d`` and 0 elsewhere, so that a spine
            below d no longer learns. Otherwise the redefined one, 1 wherever theta is not 0.

    Attributes:
        threshold: d, a scalar.
        identity: scalar bool; while set, spines of 0 learn too: so the first step is made.

    Example:
        >>> shrinkage = SpineShrinkage(torch.zeros(1), threshold=0.5)
        >>> theta = torch.tensor([-2.0, 0.25], requires_grad=True)
        >>> shrinkage(theta).tolist()
        [-1.5, 0.0]
        >>> shrinkage(theta).sum().backward()
        >>> theta.grad.tolist()
        [1.0, 1.0]
    """

    threshold: Tensor
    identity: Tensor

    def __init__(self, like: Tensor, threshold: float = 0.0, plain: bool = False) -> None:
        super().__init__()
        self.plain = plain
        d = torch.tensor(threshold, dtype=like.dtype, device=like.device)
        self.register_buffer("threshold", d, persistent=False)
        self.register_buffer("identity", torch.zeros_like(d, dtype=torch.bool), persistent=False)

    def forward(self, theta: Tensor) -> Tensor:
        """Weights of spines, of the same shape."""
        learns = theta.abs() > self.threshold if self.plain else theta != 0
        return cast(Tensor, _Shrink.apply(theta, self.threshold, learns | self.identity))  # type: ignore[no-untyped-call]  # torch leaves it untyped

    def right_inverse(self, weight: Tensor) -> Tensor:
        """Spines that have these weights; a weight of 0 has a spine of 0."""
        return weight.sign() * (weight.abs() + self.threshold)


def remove_spines(layer: nn.Module) -> None:
    """Make the weight of a layer a plain parameter again, the same object, with today's values."""
    # torch's copies of such a layer share its class, and lose their weights when it is undone
    kind = type(layer)
    layer.__class__ = type(kind.__name__, kind.__bases__, dict(kind.__dict__))
    parametrize.remove_parametrizations(layer, "weight", leave_parametrized=True)
