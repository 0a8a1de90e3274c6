"""Counts per bin come in, the input tensor goes out: the only place where spikes turn tensors."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vidar_det.detector.inputs import padded_size, rate_table
from vidar_det.detector.spec import EncodingSpec
from vidar_det.errors import ShapeError


def encode(
    counts: NDArray[np.integer[Any]] | Tensor,
    spec: EncodingSpec,
    planes_per_count: int | None = None,
) -> Tensor:
    """Turn counts into the network's folded input.

    A count becomes the firing rate ``count / planes`` raised to ``gamma``; the picture is padded
    with zeros below and right to whole strides.

    Args:
        counts: ``(S * parts, H, W)`` or ``(B, S * parts, H, W)``, 0 to ``planes_per_count``.
        spec: bins and gamma.
        planes_per_count: planes behind one count; by default the spec's.

    Returns:
        ``[S * B, parts, H', W'] float32``, step-major, ``H'`` and ``W'`` multiples of 32.

    Raises:
        ShapeError: another number of bins or axes.

    Example:
        >>> encode(np.full((4, 250, 400), 8, np.uint16), EncodingSpec()).shape
        torch.Size([2, 2, 256, 416])
    """
    values = counts if isinstance(counts, Tensor) else torch.from_numpy(counts.astype(np.int32))
    if values.ndim == 3:
        values = values[None]
    if values.ndim != 4 or values.shape[1] != spec.bins:
        raise ShapeError(f"counts: found {tuple(counts.shape)}, wanted (B, {spec.bins}, H, W)")
    batch, _, height, width = values.shape
    # one rate per possible count: an exact look-up instead of a power per pixel
    planes = planes_per_count or spec.planes_per_count
    table = torch.from_numpy(rate_table(spec, planes)).to(values.device)
    rates = table.index_select(0, values.flatten().int())
    folded = rates.reshape(batch, spec.steps, spec.parts, height, width).transpose(0, 1)
    padded_height, padded_width = padded_size(height, width)
    inputs = folded.new_zeros(spec.steps, batch, spec.parts, padded_height, padded_width)
    inputs[..., :height, :width] = folded
    return inputs.flatten(0, 1)
