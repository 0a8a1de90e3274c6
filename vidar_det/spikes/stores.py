"""Bytes or arrays in one of the layouts come in; upright planes and counts come out."""

import bisect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from vidar_det.errors import FormatError, ShapeError
from vidar_det.spikes.counts import count_packed, count_rows
from vidar_det.spikes.layouts import PlaneFormat, flipped

Planes = npt.NDArray[np.uint8]
Counts = npt.NDArray[np.uint16]

PIECE_BYTES = 32 << 20  # mapped at once; bounds the memory of a count over a whole recording
SUMMED_PLANES = 128  # summed in uint8, so at most 255


class ByteSource(Protocol):
    """Bytes with addresses: files end to end (``ByteSpan``), or memory."""

    def read(self, start: int, stop: int) -> Planes:
        """Bytes ``start .. stop``."""

    def part_end(self, offset: int) -> int:
        """One past the last byte that can be viewed together with ``offset``."""

    def release(self, start: int, stop: int) -> None:
        """These bytes are not needed for now."""


class MemoryBytes:
    """A byte array in memory as a ``ByteSource``."""

    def __init__(self, data: Planes) -> None:
        self._data = data.reshape(-1)

    def read(self, start: int, stop: int) -> Planes:
        """View bytes ``start .. stop``."""
        return self._data[start:stop]

    def part_end(self, offset: int) -> int:
        """All bytes lie together."""
        return len(self._data)

    def release(self, start: int, stop: int) -> None:
        """Memory is held as long as the array is."""


class Run(NamedTuple):
    """Planes that follow each other without a gap: ``planes`` from byte ``offset`` on."""

    offset: int
    planes: int


class PackedStore:
    """Planes of packed bits (plain, row-padded, m1k40, row-packed) in a byte source.

    Attributes:
        shape: ``(T, H, W)``.
    """

    def __init__(
        self, source: ByteSource, form: PlaneFormat, runs: Sequence[Run], flip: str
    ) -> None:
        self._source, self._form, self._flip = source, form, flip
        self._runs = tuple(runs)
        self._firsts = [0]
        for run in self._runs:
            self._firsts.append(self._firsts[-1] + run.planes)
        self.shape = (self._firsts[-1], form.height, form.width)

    def decode(self, start: int, stop: int) -> Planes:
        """Upright planes ``start .. stop``, ``(n, H, W) uint8``."""
        planes = np.empty((stop - start, *self.shape[1:]), np.uint8)
        done = 0
        for packed in self._pieces(start, stop):
            stored = self._form.unpack(packed)
            planes[done : done + len(packed)] = flipped(stored, self._flip)
            done += len(packed)
        return planes

    def counts(self, start: int, stop: int, bins: int) -> Counts:
        """Spikes per pixel and bin, ``(bins, H, W) uint16``, straight from the packed bits."""
        pieces = self._pieces(start, stop)
        packed = next(pieces)
        if len(packed) == stop - start:
            return self._count(packed, bins)
        length = (stop - start) // bins
        total = np.zeros((bins, *self.shape[1:]), np.uint16)
        for index in range(bins):
            first = start + index * length
            for packed in self._pieces(first, first + length):
                total[index] += self._count(packed, 1)[0]
            self.release(first, first + length)
        return total

    def release(self, start: int, stop: int) -> None:
        """Give the mapped pages of these planes back."""
        if start < stop:
            end = self.offset(stop - 1) + self._form.plane_bytes
            self._source.release(self.offset(start), end)

    def _count(self, packed: Planes, bins: int) -> Counts:
        form, flip = self._form, self._flip
        if form.row_bytes is not None:
            ud, lr = flip in ("ud", "both"), flip in ("lr", "both")
            return count_rows(packed, bins, form.height, form.row_bytes, form.width, ud, lr)
        stored = form.crop(count_packed(packed, bins))
        return np.ascontiguousarray(flipped(stored, flip))

    def offset(self, index: int) -> int:
        """Byte at which a plane begins."""
        run = bisect.bisect_right(self._firsts, index) - 1
        return self._runs[run].offset + (index - self._firsts[run]) * self._form.plane_bytes

    def _pieces(self, start: int, stop: int) -> Iterator[Planes]:
        """Yield ``(n, plane_bytes)`` views in order; only a plane over a border is copied."""
        size = self._form.plane_bytes
        most = max(1, PIECE_BYTES // size)
        while start < stop:
            run = bisect.bisect_right(self._firsts, start) - 1
            offset = self.offset(start)
            whole = (self._source.part_end(offset) - offset) // size
            count = max(1, min(whole, most, min(stop, self._firsts[run + 1]) - start))
            yield self._source.read(offset, offset + count * size).reshape(count, size)
            start += count


class ArrayStore:
    """Unpacked planes of 0 and 1, one byte each, in memory or mapped.

    Attributes:
        shape: ``(T, H, W)``.

    Raises:
        ShapeError: not ``(T, H, W)`` uint8 or bool.
        FormatError: on reading, a value beside 0 and 1.
    """

    def __init__(
        self,
        planes: npt.NDArray[np.generic],
        source: str,
        flip: str = "none",
        held: ByteSource | None = None,
    ) -> None:
        if planes.ndim != 3 or planes.dtype not in (np.uint8, np.bool_):
            raise ShapeError(
                f"{source}: found {planes.dtype} {planes.shape}, wanted (T, H, W) uint8 or bool"
            )
        if 0 in planes.shape:
            raise ShapeError(f"{source}: found an empty array {planes.shape}")
        self._planes: Planes = flipped(planes.view(np.uint8), flip)
        self._source, self._held = source, held
        self.shape: tuple[int, int, int] = planes.shape

    def check_values(self) -> None:
        """Refuse values beside 0 and 1, anywhere.

        Raises:
            ShapeError: a value above 1.
        """
        largest = int(self._planes.max())
        if largest > 1:
            raise ShapeError(f"{self._source}: found the value {largest}, wanted 0 and 1")

    def decode(self, start: int, stop: int) -> Planes:
        """Upright planes ``start .. stop``, ``(n, H, W) uint8``, copied."""
        planes = np.array(self._planes[start:stop], order="C")
        if planes.size and planes.max() > 1:
            raise FormatError(f"{self._source}: found the value {planes.max()}, wanted 0 and 1")
        return planes

    def counts(self, start: int, stop: int, bins: int) -> Counts:
        """Spikes per pixel and bin, ``(bins, H, W) uint16``."""
        total = np.zeros((bins, *self.shape[1:]), np.uint16)
        length = (stop - start) // bins
        for index in range(bins):
            last = start + (index + 1) * length
            for first in range(last - length, last, SUMMED_PLANES):
                chunk = self.decode(first, min(first + SUMMED_PLANES, last))
                total[index] += np.add.reduce(chunk, axis=0, dtype=np.uint8)
        return total

    def release(self, start: int, stop: int) -> None:
        """Give mapped pages back: all of them, since time may be the last axis."""
        if self._held is not None:
            self._held.release(0, self._held.part_end(0))


@dataclass(frozen=True, eq=False)
class TimePackedStore:
    """Planes packed along time: plane i is bit ``i % 8`` of ``packed[i // 8]``.

    Attributes:
        packed: ``(ceil(T / 8), H, W) uint8``, upright (flipped views are welcome).
        planes: T.
        held: the mapped bytes behind ``packed``, if any.
    """

    packed: Planes
    planes: int
    held: ByteSource | None = None

    @property
    def shape(self) -> tuple[int, int, int]:
        """``(T, H, W)``."""
        return (self.planes, self.packed.shape[1], self.packed.shape[2])

    def decode(self, start: int, stop: int) -> Planes:
        """Upright planes ``start .. stop``, ``(n, H, W) uint8``."""
        first = start // 8
        block = self.packed[first : -(-stop // 8)]
        bits = np.unpackbits(block, axis=0, bitorder="little")
        return np.ascontiguousarray(bits[start - 8 * first : stop - 8 * first])

    def counts(self, start: int, stop: int, bins: int) -> Counts:
        """Spikes per pixel and bin, ``(bins, H, W) uint16``: population counts of whole bytes."""
        total = np.zeros((bins, *self.shape[1:]), np.uint16)
        length = (stop - start) // bins
        for index in range(bins):
            first = start + index * length
            for row in range(first // 8, -(-(first + length) // 8)):
                low, high = max(first - 8 * row, 0), min(first + length - 8 * row, 8)
                mask = np.uint8((1 << high) - (1 << low))
                total[index] += np.bitwise_count(self.packed[row] & mask)
        return total

    def release(self, start: int, stop: int) -> None:
        """Give mapped pages back."""
        if self.held is not None:
            self.held.release(0, self.held.part_end(0))
