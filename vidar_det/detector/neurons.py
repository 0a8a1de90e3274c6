"""Membrane input comes in, integer spike counts come out: the I-LIF neuron, without state."""

import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from vidar_det.detector.firing import fire, send_back
from vidar_det.detector.spec import NeuronSpec
from vidar_det.errors import ShapeError


class ILIF(nn.Module):
    """Integer leaky integrate-and-fire neuron over a folded sequence.

    For step ``t`` (Luo et al., *Integer-Valued Training and Spike-Driven Inference*, ECCV 2024)::

        h[t] = decay * v[t-1] + x[t]
        c[t] = round(clip(h[t] / v_threshold, 0, D))
        v[t] = h[t] - c[t] * v_threshold

    The gradient passes straight through the rounding where ``0 <= h / v_threshold <= D``. The
    membrane starts at rest in every call: a window's result depends on that window alone. A count
    ``c`` stands for ``c`` binary spikes, so convolutions behind it only ever add weights.

    Attributes:
        spec: levels D, decay and threshold.
        steps: S, the steps folded into the first axis.

    Example:
        >>> neuron = ILIF(NeuronSpec(4, 0.25, 1.0), steps=2)
        >>> neuron(torch.tensor([[1.6], [0.0]])).flatten().tolist()   # 1.6 -> 2, -0.4 is left
        [2.0, 0.0]
    """

    def __init__(self, spec: NeuronSpec, steps: int) -> None:
        super().__init__()
        self.spec = spec
        self.steps = steps

    def forward(self, x: Tensor) -> Tensor:
        """Fire.

        Args:
            x: ``[S * B, ...]`` floating, step-major: the first ``B`` rows are step 0.

        Returns:
            ``[S * B, ...]``, integers 0 to D in the input's dtype.

        Raises:
            ShapeError: the first axis is no multiple of S.
        """
        if x.shape[0] % self.steps:
            raise ShapeError(f"neuron: {x.shape[0]} rows do not hold {self.steps} steps")
        levels, decay, v_threshold = self.spec.levels, self.spec.decay, self.spec.v_threshold
        is_traced = torch.jit.is_tracing()  # type: ignore[attr-defined,no-untyped-call]  # not in its stubs
        is_plain = type(x) is Tensor and not is_traced
        if x.requires_grad or (is_plain and _has_loops(x)):
            args = (x, self.steps, levels, decay, v_threshold)
            fired: Tensor = _StraightThrough.apply(*args)  # type: ignore[no-untyped-call]  # untyped in torch
            return fired
        if self.steps == 1:
            return (x / v_threshold).clamp(0, levels).round()
        counts = []
        membrane = None
        for current in x.chunk(self.steps):
            charged = current if membrane is None else decay * membrane + current
            count = (charged / v_threshold).clamp(0, levels).round()
            membrane = charged - count * v_threshold
            counts.append(count)
        return torch.cat(counts)

    def extra_repr(self) -> str:
        """Describe the neuron in ``print(network)``."""
        return f"levels={self.spec.levels}, decay={self.spec.decay}, steps={self.steps}"


def build_neuron(spec: NeuronSpec, steps: int) -> nn.Module:
    """Build the neuron of a spec: an `ILIF`, or the ReLU of the comparison ANN.

    Example:
        >>> build_neuron(NeuronSpec(kind="relu"), steps=1)
        ReLU()
    """
    return ILIF(spec, steps) if spec.kind == "ilif" else nn.ReLU()


class _StraightThrough(torch.autograd.Function):
    """The whole sequence as one autograd node; it keeps one byte per element."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, steps: int, levels: int, decay: float, v_threshold: float
    ) -> Tensor:
        ctx.steps, ctx.decay, ctx.v_threshold = steps, decay, v_threshold
        ctx.has_loops = _has_loops(x)
        x = _dense(x)
        fired = torch.empty_like(x)
        inside = torch.empty_like(x, dtype=torch.bool)
        ctx.save_for_backward(inside)
        if ctx.has_loops:
            neuron = _floats(levels, decay, v_threshold)
            _in_slices(fire, (x, fired, inside), steps, neuron)
            return fired
        membrane = None
        for current, out, mask in zip(
            x.chunk(steps), fired.chunk(steps), inside.chunk(steps), strict=True
        ):
            charged = current if membrane is None else decay * membrane + current
            scaled = charged / v_threshold if v_threshold != 1 else charged
            clipped = scaled.clamp(0, levels)
            torch.eq(clipped, scaled, out=mask)
            torch.round(clipped, out=out)
            membrane = charged - out * v_threshold
        return fired

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (inside,) = ctx.saved_tensors
        grad_fired = _dense(grads[0], inside)
        grad_x = torch.empty_like(grad_fired)
        if ctx.has_loops:
            neuron = _floats(0, ctx.decay, ctx.v_threshold)
            _in_slices(send_back, (grad_fired, inside, grad_x), ctx.steps, neuron)
            return grad_x, None, None, None, None
        grad_membrane = None
        for grad_count, mask, out in zip(
            reversed(grad_fired.chunk(ctx.steps)),
            reversed(inside.chunk(ctx.steps)),
            reversed(grad_x.chunk(ctx.steps)),
            strict=True,
        ):
            # c feeds the output and, through v = h - c * v_threshold, the next step
            flowing = grad_count
            if grad_membrane is not None:
                flowing = torch.sub(grad_count, grad_membrane, alpha=ctx.v_threshold)
            if ctx.v_threshold != 1:
                flowing = flowing / ctx.v_threshold
            torch.mul(flowing, mask, out=out)
            if grad_membrane is not None:
                out += grad_membrane
            grad_membrane = ctx.decay * out
        return grad_x, None, None, None, None


def _has_loops(x: Tensor) -> bool:
    return x.device.type == "cpu" and x.dtype in (torch.float32, torch.bfloat16)


def _dense(x: Tensor, like: Tensor | None = None) -> Tensor:
    """Lay a tensor out without gaps, steps outermost; as another one where that is given."""
    if like is not None:
        return x if x.stride() == like.stride() else torch.empty_like(like, dtype=x.dtype).copy_(x)
    is_dense = x.is_contiguous() or (
        x.ndim == 4 and x.is_contiguous(memory_format=torch.channels_last)
    )
    return x if is_dense else x.contiguous()


def _floats(levels: int, decay: float, v_threshold: float) -> tuple[np.float32, ...]:
    return np.float32(levels), np.float32(decay), np.float32(v_threshold)


def _in_slices(
    kernel: Callable[..., None],
    tensors: tuple[Tensor, Tensor, Tensor],
    steps: int,
    neuron: tuple[np.float32, ...],
) -> None:
    """Run a compiled loop over dense tensors, as ``(S, N)`` arrays, on as many threads as torch."""
    arrays = []
    for tensor in tensors:
        size = tensor.numel() // steps
        rows = tensor.detach().as_strided((steps, size), (size, 1))
        arrays.append((rows.view(torch.uint16) if rows.dtype == torch.bfloat16 else rows).numpy())
    threads = torch.get_num_threads()
    if threads == 1:
        kernel(*arrays, neuron)
        return
    edges = np.linspace(0, arrays[0].shape[1], threads + 1).astype(int)
    slices = [[array[:, a:b] for array in arrays] for a, b in itertools.pairwise(edges)]
    for _ in _pool(threads).map(lambda part: kernel(*part, neuron), slices):
        pass  # a failure of any slice is raised here


@lru_cache(maxsize=1)
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads)
