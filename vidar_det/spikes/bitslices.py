"""Words of packed planes come in, counts per pixel go out: the inner loops of ``counts``.

A *positional population count*: 64 pixels sit side by side in one machine word, and their counters
lie across eight words (*bit slices*: the first word holds every counter's lowest bit). A tree of
carry-save adders takes sixteen planes at a time (Harley and Seal; Muła, Kurz, Lemire, "Faster
population counts using AVX2 instructions", 2018; Klarqvist, Muła, Lemire, "Efficient computation
of positional population counts using SIMD instructions", 2021). Then each 8x8 block of bits is
transposed (Warren, *Hacker's Delight*, 7-3), which turns eight slices into eight one-byte counters,
and these are written as rows of uint16 in their upright place.
"""

import numba
import numpy as np
from numpy.typing import NDArray

from vidar_det.compilation import compiled

WORD_BYTES = 8
_SLICES = 8
_GROUP = 16
_FLUSH = 240  # planes that eight slices can hold, in whole groups
_BLOCK_WORDS = 2048  # columns in work at a time: their slices fill 128 KiB, well inside L2

Bytes = NDArray[np.uint8]
Words = NDArray[np.uint64]
Counts = NDArray[np.uint16]
Scratch = tuple[Words, Bytes, Words, Bytes]


def make_scratch(plane_bytes: int) -> Scratch:
    """Reserve what ``count_words`` works in.

    Args:
        plane_bytes: bytes of one packed plane.

    Returns:
        Bit slices ``(8, columns) uint64``, the same memory as bytes, one-byte counters of a whole
        plane, eight to a word ``(plane_bytes,) uint64``, and the same memory as bytes.

    Example:
        >>> [part.shape for part in make_scratch(50)]
        [(8, 2048), (8, 16384), (50,), (400,)]
    """
    slices = np.empty((_SLICES, _BLOCK_WORDS), np.uint64)
    counters = np.empty(plane_bytes, np.uint64)
    return slices, slices.view(np.uint8), counters, counters.view(np.uint8)


@compiled
def count_words(
    words: Words,
    tail: Words,
    planes: int,
    scratch: Scratch,
    geometry: tuple[int, bool, bool],
    counts: Counts,
) -> None:
    """Fill ``counts``, bin by bin and at most ``_FLUSH`` planes at a time.

    Args:
        words: ``(T, columns) uint64``, whole words of each plane.
        tail: ``(T, 1) uint64``, the word that ends at a plane's last byte.
        planes: length of each bin; T is that times the bins.
        scratch: from ``make_scratch``.
        geometry: pixels from one row to the next, flip up-down, flip left-right.
        counts: ``(bins, H, W) uint16``, written.
    """
    slices, slice_bytes, counters, counter_bytes = scratch
    whole = words.shape[1]
    left = counter_bytes.size // 8 - whole * WORD_BYTES
    for index in range(counts.shape[0]):
        for done in range(0, planes, _FLUSH):
            first = index * planes + done
            last = first + min(planes - done, _FLUSH)
            for low in range(0, whole, _BLOCK_WORDS):
                high = min(low + _BLOCK_WORDS, whole)
                _add_planes(words[first:last, low:high], slices)
                _transpose(slice_bytes, 0, counters[low * WORD_BYTES : high * WORD_BYTES])
            if left > 0:
                _add_planes(tail[first:last], slices)
                start = whole * WORD_BYTES
                _transpose(slice_bytes, WORD_BYTES - left, counters[start : start + left])
            _write_rows(counter_bytes, geometry, done > 0, counts[index])


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
def _transpose(slice_bytes: Bytes, offset: int, counters: Words) -> None:
    """Turn the eight slices of each byte of pixels into a word of eight one-byte counters."""
    columns = slice_bytes[:, offset : offset + counters.size]
    for column in range(counters.size):
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
        counters[column] = word ^ swap ^ (swap << np.uint64(28))


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
