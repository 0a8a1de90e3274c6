"""Packed spike planes come in, counts per pixel and bin go out; no plane is ever unpacked.

A *positional population count*: 64 pixels sit side by side in one machine word, and their counters
lie across eight words (*bit slices*: the first word holds every counter's lowest bit). A tree of
carry-save adders takes sixteen planes at a time (Harley and Seal; Muła, Kurz, Lemire, "Faster
population counts using AVX2 instructions", 2018; Klarqvist, Muła, Lemire, "Efficient computation
of positional population counts using SIMD instructions", 2021). Then each 8x8 block of bits is
transposed (Warren, *Hacker's Delight*, 7-3), which turns eight slices into eight one-byte counters,
and these are written as rows of uint16 in their upright place.
"""

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from vidar_det.errors import RangeError, ShapeError
from vidar_det.spikes.compilation import compiled

MAX_BIN_PLANES = 65_535
_WORD_BYTES = 8
_SLICES = 8
_GROUP = 16
_FLUSH = 240  # planes that eight slices can hold, in whole groups
_BLOCK_WORDS = 2048  # columns in work at a time: their slices fill 128 KiB, well inside L2

Bytes = NDArray[np.uint8]
Words = NDArray[np.uint64]
Counts = NDArray[np.uint16]


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
    slices = np.empty((_SLICES, _BLOCK_WORDS), np.uint64)
    spread = np.empty(max(used.shape[1], _WORD_BYTES), np.uint64)
    scratch = (slices, slices.view(np.uint8), spread, spread.view(np.uint8)[: used.shape[1] * 8])
    _count(words, tail, planes, scratch, (row_bytes * 8, flip_ud, flip_lr), counts)
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
    if plane_bytes < _WORD_BYTES:
        packed = np.pad(packed, ((0, 0), (_WORD_BYTES - plane_bytes, 0)))
    whole = plane_bytes // _WORD_BYTES * _WORD_BYTES
    words = packed[:, :whole].view(np.uint64)
    tail = packed[:, packed.shape[1] - _WORD_BYTES :].view(np.uint64)
    words.flags.writeable = False
    tail.flags.writeable = False
    return words, tail


@compiled
def _count(
    words: Words,
    tail: Words,
    planes: int,
    scratch: tuple[Words, Bytes, Words, Bytes],
    geometry: tuple[int, bool, bool],
    counts: Counts,
) -> None:
    """Fill ``counts``, bin by bin, and at most ``_FLUSH`` planes at a time."""
    slices, slice_bytes, spread, spread_bytes = scratch
    whole = words.shape[1]
    left = spread_bytes.size // 8 - whole * _WORD_BYTES
    for index in range(counts.shape[0]):
        for done in range(0, planes, _FLUSH):
            first = index * planes + done
            last = first + min(planes - done, _FLUSH)
            for low in range(0, whole, _BLOCK_WORDS):
                high = min(low + _BLOCK_WORDS, whole)
                _add_planes(words[first:last, low:high], slices)
                _transpose(slice_bytes, 0, spread[low * _WORD_BYTES : high * _WORD_BYTES])
            if left > 0:
                _add_planes(tail[first:last], slices)
                start = whole * _WORD_BYTES
                _transpose(slice_bytes, _WORD_BYTES - left, spread[start : start + left])
            _write_rows(spread_bytes, geometry, done > 0, counts[index])


@numba.njit(nogil=True, error_model="numpy")
def _add_planes(words: Words, slices: Words) -> None:
    """Count up to ``_FLUSH`` planes into fresh slices."""
    planes, columns = words.shape
    slices[:, :columns] = 0
    grouped = planes // _GROUP * _GROUP
    live = 1
    while planes >> live:
        live += 1
    for plane in range(0, grouped, _GROUP):
        _add_sixteen(words[plane : plane + _GROUP], slices)
    for plane in range(grouped, planes):
        row = words[plane]
        for column in range(columns):
            carry = row[column]
            for index in range(live):
                held = slices[index, column]
                slices[index, column] = held ^ carry
                carry = held & carry


@numba.njit(inline="always")
def _add(first: int, second: int, third: int) -> tuple[int, int]:
    """Add three bits in each of 64 places: sum and carry (a full adder)."""
    half = first ^ second
    return half ^ third, (first & second) | (half & third)


@numba.njit(nogil=True, error_model="numpy")
def _add_sixteen(words: Words, slices: Words) -> None:
    """Add sixteen planes to slices 0 to 3, and their carry of 16 to slices 4 to 7."""
    for column in range(words.shape[1]):
        ones, twos = slices[0, column], slices[1, column]
        fours, eights = slices[2, column], slices[3, column]
        ones, pair_a = _add(ones, words[0, column], words[1, column])
        ones, pair_b = _add(ones, words[2, column], words[3, column])
        twos, quad_a = _add(twos, pair_a, pair_b)
        ones, pair_a = _add(ones, words[4, column], words[5, column])
        ones, pair_b = _add(ones, words[6, column], words[7, column])
        twos, quad_b = _add(twos, pair_a, pair_b)
        fours, octet_a = _add(fours, quad_a, quad_b)
        ones, pair_a = _add(ones, words[8, column], words[9, column])
        ones, pair_b = _add(ones, words[10, column], words[11, column])
        twos, quad_a = _add(twos, pair_a, pair_b)
        ones, pair_a = _add(ones, words[12, column], words[13, column])
        ones, pair_b = _add(ones, words[14, column], words[15, column])
        twos, quad_b = _add(twos, pair_a, pair_b)
        fours, octet_b = _add(fours, quad_a, quad_b)
        eights, carry = _add(eights, octet_a, octet_b)
        slices[0, column], slices[1, column] = ones, twos
        slices[2, column], slices[3, column] = fours, eights
        for index in range(4, _SLICES):
            held = slices[index, column]
            slices[index, column] = held ^ carry
            carry = held & carry


@numba.njit(nogil=True, error_model="numpy")
def _transpose(slice_bytes: Bytes, offset: int, spread: Words) -> None:
    """Turn the eight slices of each byte of pixels into a word of eight one-byte counters."""
    columns = slice_bytes[:, offset : offset + spread.size]
    for column in range(spread.size):
        word = np.uint64(columns[0, column])
        word |= np.uint64(columns[1, column]) << np.uint64(8)
        word |= np.uint64(columns[2, column]) << np.uint64(16)
        word |= np.uint64(columns[3, column]) << np.uint64(24)
        word |= np.uint64(columns[4, column]) << np.uint64(32)
        word |= np.uint64(columns[5, column]) << np.uint64(40)
        word |= np.uint64(columns[6, column]) << np.uint64(48)
        word |= np.uint64(columns[7, column]) << np.uint64(56)
        swap = (word ^ (word >> np.uint64(7))) & np.uint64(0x00AA00AA00AA00AA)
        word ^= swap ^ (swap << np.uint64(7))
        swap = (word ^ (word >> np.uint64(14))) & np.uint64(0x0000CCCC0000CCCC)
        word ^= swap ^ (swap << np.uint64(14))
        swap = (word ^ (word >> np.uint64(28))) & np.uint64(0x00000000F0F0F0F0)
        spread[column] = word ^ swap ^ (swap << np.uint64(28))


@numba.njit(nogil=True, error_model="numpy")
def _write_rows(
    counters: Bytes, geometry: tuple[int, bool, bool], add: bool, picture: Counts
) -> None:
    """Set the picture's rows to one-byte counters, or add them."""
    row_pixels, flip_ud, flip_lr = geometry
    rows, width = picture.shape
    for row in range(rows):
        source = counters[row * row_pixels : row * row_pixels + width]
        target = picture[rows - 1 - row if flip_ud else row]
        if flip_lr:
            for column in range(width):
                mirrored = source[np.uint64(width - 1 - column)]
                target[column] = target[column] + mirrored if add else mirrored
        elif add:
            for column in range(width):
                target[column] += source[column]
        else:
            for column in range(width):
                target[column] = source[column]
