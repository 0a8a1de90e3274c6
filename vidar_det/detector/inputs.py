"""Counts of one window come in; what any runtime is fed goes out. No torch is needed here."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidar_det.detector.spec import STRIDES, EncodingSpec


def padded_size(height: int, width: int) -> tuple[int, int]:
    """Round height and width up to whole strides, in pixels.

    Example:
        >>> padded_size(250, 400)
        (256, 416)
    """
    stride = STRIDES[-1]
    return -(-height // stride) * stride, -(-width // stride) * stride


def pad_counts(counts: NDArray[np.integer[Any]]) -> NDArray[np.int32]:
    """Add zeros below and to the right, up to whole strides: ``(n, H', W') int32``.

    Example:
        >>> pad_counts(np.zeros((4, 250, 400), np.uint16)).shape
        (4, 256, 416)
    """
    bins, height, width = counts.shape
    padded = np.zeros((bins, *padded_size(height, width)), np.int32)
    padded[:, :height, :width] = counts
    return padded


def rate_table(spec: EncodingSpec, planes_per_count: int) -> NDArray[np.float32]:
    """Tell what each possible count is encoded as: its firing rate, raised to gamma.

    Returns:
        ``(planes_per_count + 1,) float32``.

    Example:
        >>> rate_table(EncodingSpec(gamma=0.5), planes_per_count=4).round(3).tolist()
        [0.0, 0.5, 0.7070000171661377, 0.8659999966621399, 1.0]
    """
    rates = np.arange(planes_per_count + 1, dtype=np.float32) / np.float32(planes_per_count)
    table: NDArray[np.float32] = np.power(rates, np.float32(spec.gamma))
    return table
