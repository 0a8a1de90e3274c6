"""Packed spike planes come in, counts per pixel and bin go out; no plane is ever unpacked.

The method is in ``bitslices``; ``benchmarks/counts.py`` measures it against memcpy.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidar_det.errors import RangeError, ShapeError
from vidar_det.spikes.bitslices import WORD_BYTES, Bytes, Counts, Words, count_words, make_scratch

MAX_BIN_PLANES = 65_535


def count_packed(packed: Bytes, bins: int) -> Counts:
    """Count each pixel's spikes per bin, straight from packed bits.

    Args:
        packed: ``(T, P) uint8``, eight pixels per byte, the first in the lowest bit. Bytes of one
            plane are adjacent; planes may lie further apart. Never changed; may be read-only.
        bins: how many equal bins the T planes are cut into.

    Returns:
        ``(bins, P * 8) uint16``, C-contiguous.

    Raises:
        ShapeError: ``packed`` is no such array.
        RangeError: T is no whole multiple of ``bins``, or a bin has more than 65,535 planes.

    Example:
        >>> count_packed(np.full((6, 1), 0b00000101, np.uint8), bins=2).tolist()
        [[3, 0, 3, 0, 0, 0, 0, 0], [3, 0, 3, 0, 0, 0, 0, 0]]
    """
    _check_packed(packed)
    plane_bytes = packed.shape[1]
    counts = count_rows(packed, bins, rows=1, row_bytes=plane_bytes, width=plane_bytes * 8)
    return counts.reshape(bins, plane_bytes * 8)


def count_rows(
    packed: Bytes,
    bins: int,
    rows: int,
    row_bytes: int,
    width: int,
    flip_ud: bool = False,
    flip_lr: bool = False,
) -> Counts:
    """Count like ``count_packed``, for planes whose rows start on whole bytes, into pictures.

    Args:
        packed: ``(T, P) uint8``; row ``r`` is ``packed[:, r * row_bytes : (r + 1) * row_bytes]``.
        bins: how many equal bins the T planes are cut into.
        rows: height of the picture.
        row_bytes: bytes from one row to the next.
        width: pixels in a row; what follows up to the next row is ignored.
        flip_ud: turn the picture upside down.
        flip_lr: turn the picture left to right.

    Returns:
        ``(bins, rows, width) uint16``, C-contiguous.

    Raises:
        ShapeError: ``packed`` is no such array, or its planes do not hold ``rows`` such rows.
        RangeError: T is no whole multiple of ``bins``, or a bin has more than 65,535 planes.

    Example:
        >>> plane = np.array([[0b00000001, 0b00000010]], np.uint8)
        >>> count_rows(plane, bins=1, rows=2, row_bytes=1, width=3).tolist()
        [[[1, 0, 0], [0, 1, 0]]]
        >>> count_rows(plane, 1, rows=2, row_bytes=1, width=3, flip_ud=True).tolist()
        [[[0, 1, 0], [1, 0, 0]]]
    """
    _check_packed(packed)
    _check_rows(packed.shape[1], rows, row_bytes, width)
    planes = bin_length(packed.shape[0], bins)
    counts = np.empty((bins, rows, width), np.uint16)
    used = packed[:, : rows * row_bytes]
    words, tail = _as_words(used)
    scratch = make_scratch(used.shape[1])
    count_words(words, tail, planes, scratch, (row_bytes * 8, flip_ud, flip_lr), counts)
    return counts


def bin_length(planes: int, bins: int) -> int:
    """Divide planes into equal bins.

    Args:
        planes: how many there are, at least 1.
        bins: how many bins are wanted.

    Returns:
        Planes in each bin, 1 to 65,535.

    Raises:
        RangeError: it does not come out even, or a bin would have more than 65,535 planes.

    Example:
        >>> bin_length(256, 4)
        64
    """
    if bins < 1 or planes < 1 or planes % bins:
        raise RangeError(f"bins: found {bins} for {planes} planes, wanted a divisor")
    if planes // bins > MAX_BIN_PLANES:
        raise RangeError(f"bins: found {planes // bins} planes in each, wanted at most 65535")
    return planes // bins


def _check_packed(packed: NDArray[Any]) -> None:
    if not isinstance(packed, np.ndarray) or packed.ndim != 2 or packed.dtype != np.uint8:
        found = (getattr(packed, "shape", None), getattr(packed, "dtype", type(packed).__name__))
        raise ShapeError(f"packed planes: found {found[0]} {found[1]}, wanted (T, P) uint8")
    if packed.shape[1] < 1 or not packed[:1].flags.c_contiguous:
        raise ShapeError(
            f"packed planes: found {packed.shape} with strides {packed.strides}, "
            "wanted adjacent bytes in each plane"
        )


def _check_rows(plane_bytes: int, rows: int, row_bytes: int, width: int) -> None:
    fits = rows >= 1 and 1 <= width <= row_bytes * 8 and rows * row_bytes <= plane_bytes
    if not fits:
        raise ShapeError(
            f"packed planes: found {plane_bytes} bytes each, "
            f"wanted {rows} rows of {row_bytes} bytes with {width} pixels"
        )


def _as_words(packed: Bytes) -> tuple[Words, Words]:
    """View planes as words, plus one word that ends at the last byte where some are left over.

    Both are marked read-only, so that one compiled kernel serves arrays and memory maps.
    """
    plane_bytes = packed.shape[1]
    if plane_bytes < WORD_BYTES:
        packed = np.pad(packed, ((0, 0), (WORD_BYTES - plane_bytes, 0)))
    whole = plane_bytes // WORD_BYTES * WORD_BYTES
    words = packed[:, :whole].view(np.uint64)
    tail = packed[:, packed.shape[1] - WORD_BYTES :].view(np.uint64)
    words.flags.writeable = False
    tail.flags.writeable = False
    return words, tail
