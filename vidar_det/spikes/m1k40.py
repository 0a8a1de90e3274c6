"""Bytes of the 1000x1000 camera come in; where its whole planes lie comes out.

A plane is 2000 blocks of 64 bytes. The u16 (little endian) at byte 62 of each block is a trailer:
channel in bits 14..15, line in bits 4..13; its low 4 bits are pixels. Rows 0..499 carry channels
0 (left half) and 1 (right), lines 500 down to 1; rows 500..999 channels 2 and 3, lines 1 up to 500.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vidar_det.spikes.bytespan import FileBytes
from vidar_det.spikes.stores import Run
from vidar_det.spikes.stream import Hole

Bytes = npt.NDArray[np.uint8]

BLOCK_BYTES = 64
PLANE_BLOCKS = 2000
PLANE_BYTES = BLOCK_BYTES * PLANE_BLOCKS
TRAILER = 62
SCANNED_BYTES = 4 << 20  # searched at once for a plane's start
CHECKED_PLANES = 128  # whose ends are checked at once; bounds the mapped memory


@dataclass(frozen=True)
class PlaneIndex:
    """The whole planes of a recording.

    Attributes:
        runs: planes without a break between them.
        holes: planes lost between two runs.
        resyncs: how often the grid was lost and found again.
        leading_bytes: before the first whole plane.
        trailing_bytes: after the last.
    """

    runs: tuple[Run, ...]
    holes: tuple[Hole, ...]
    resyncs: int
    leading_bytes: int
    trailing_bytes: int


def expected_trailers() -> npt.NDArray[np.uint16]:
    """Channel and line of every block of a plane, low 4 bits zero: ``(2000,) uint16``.

    Example:
        >>> [(int(v) >> 14, (int(v) >> 4) & 0x3FF) for v in expected_trailers()[[0, 1, -1]]]
        [(0, 500), (1, 500), (3, 500)]
    """
    row = np.arange(PLANE_BLOCKS // 2)
    line = np.where(row < 500, 500 - row, row - 499)
    channel = np.where(row < 500, 0, 2)[:, None] + np.array([0, 1])
    trailers: npt.NDArray[np.uint16] = (channel << 14 | line[:, None] << 4).astype(np.uint16)
    return trailers.reshape(-1)


def stamp(planes: Bytes) -> Bytes:
    """Write the trailers into packed planes: ``(n, 128000)`` to a stamped copy."""
    blocks = planes.reshape(-1, PLANE_BLOCKS, BLOCK_BYTES).copy()
    trailers = expected_trailers()
    blocks[:, :, TRAILER] |= (trailers & 0xFF).astype(np.uint8)
    blocks[:, :, TRAILER + 1] |= (trailers >> 8).astype(np.uint8)
    return blocks.reshape(planes.shape)


def find_plane(span: FileBytes, start: int, stop: int | None = None) -> int | None:
    """Find the first whole plane that begins in ``start .. stop``, at any byte.

    A plane counts as found when all of its 2000 trailers agree, so pixels cannot imitate one,
    and a break that shifts the grid by any number of bytes is mended.

    Args:
        span: the recording's bytes.
        start: first byte that may begin the plane.
        stop: one past the last such byte; by default as far as a whole plane fits.

    Returns:
        The byte at which it begins, or None.
    """
    last = span.size - PLANE_BYTES + 1
    stop = last if stop is None else min(stop, last)
    for first in range(start, stop, SCANNED_BYTES):
        end = min(first + SCANNED_BYTES, stop)
        data = span.read(first, end + 2 * BLOCK_BYTES)
        for candidate in _candidates(data, end - first):
            if _is_plane(span, first + candidate):
                return first + candidate
        span.release(first, end)
    return None


class PlaneIndexer:
    """Lists the whole planes of bytes that may grow; what was looked at is not looked at again.

    Only the two ends of each plane are read where nothing is broken. Lost planes are those that
    the bytes betray: planes of which only parts are left between two whole ones, and unreadable
    stretches of a whole plane's length. A loss of exactly n times 128,000 bytes leaves no trace,
    for the format has no counter across planes.
    """

    def __init__(self) -> None:
        self._runs: list[Run] = []
        self._holes: list[Hole] = []
        self._end, self._count, self._searched = 0, 0, 0

    def index(self, span: FileBytes) -> PlaneIndex | None:
        """List the planes that are there now.

        Args:
            span: the recording's bytes: those of the last time, and maybe more.

        Returns:
            The index, or None where no plane is found.
        """
        if self._runs and self._searched == self._end:
            self._lengthen(self._runs.pop().offset, span)
        while (offset := find_plane(span, self._searched)) is not None:
            lost = _lost_planes(span, self._end, offset) if self._runs else 0
            if lost:
                self._holes.append(Hole(self._count, lost))
            self._end = offset
            self._lengthen(offset, span)
        self._searched = max(self._searched, span.size - PLANE_BYTES + 1)
        if not self._runs:
            return None
        runs, trailing = tuple(self._runs), span.size - self._end
        return PlaneIndex(runs, tuple(self._holes), len(runs) - 1, runs[0].offset, trailing)

    def _lengthen(self, offset: int, span: FileBytes) -> None:
        """Note the run that begins at ``offset`` and is known until the end so far."""
        planes = _run_length(span, self._end)
        self._count += planes
        self._end += planes * PLANE_BYTES
        self._searched = self._end
        self._runs.append(Run(offset, (self._end - offset) // PLANE_BYTES))


def _candidates(data: Bytes, count: int) -> list[int]:
    """Offsets below ``count`` whose first two blocks carry the trailers of line 500."""
    found = np.ones(count, np.bool_)
    for block, trailer in enumerate(expected_trailers()[:2]):
        at = block * BLOCK_BYTES + TRAILER
        found &= (data[at : at + count] & 0xF0) == trailer & 0xFF
        found &= data[at + 1 : at + 1 + count] == trailer >> 8
    offsets: list[int] = np.flatnonzero(found).tolist()
    return offsets


def _agreement(span: FileBytes, start: int, blocks: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Whether the blocks from byte ``start`` on carry the trailers of the named blocks."""
    data = span.read(start, start + len(blocks) * BLOCK_BYTES).reshape(-1, BLOCK_BYTES)
    low, high = data[:, TRAILER].astype(np.uint16) & 0xF0, data[:, TRAILER + 1].astype(np.uint16)
    agreed: npt.NDArray[np.bool_] = (high << 8 | low) == expected_trailers()[blocks]
    return agreed


def _is_plane(span: FileBytes, start: int) -> bool:
    return bool(_agreement(span, start, np.arange(PLANE_BLOCKS)).all())


def _run_length(span: FileBytes, offset: int) -> int:
    """Count the planes from ``offset`` on whose first and last trailers stand in their places."""
    most = (span.size - offset) // PLANE_BYTES
    first, last = expected_trailers()[[0, -1]]
    for done in range(0, most, CHECKED_PLANES):
        planes = np.arange(done, min(done + CHECKED_PLANES, most), dtype=np.int64)
        starts = offset + planes[:, None] * PLANE_BYTES
        ends = np.array([TRAILER, TRAILER + 1, PLANE_BYTES - 2, PLANE_BYTES - 1])
        found = span.gather((starts + ends).reshape(-1)).reshape(-1, 4)
        wanted = [first & 0xFF, first >> 8, last & 0xFF, last >> 8]
        whole = (found & [0xF0, 0xFF, 0xF0, 0xFF] == wanted).all(axis=1)
        span.release(int(starts[0, 0]), int(starts[-1, 0]) + PLANE_BYTES)
        if not whole.all():
            return done + int(whole.argmin())
    return most


def _lost_planes(span: FileBytes, end: int, start: int) -> int:
    """Count the planes that the bytes between two whole planes were part of."""
    blocks = min((start - end) // BLOCK_BYTES, PLANE_BLOCKS)
    ahead = _agreement(span, end, np.arange(blocks))
    tail = start - blocks * BLOCK_BYTES
    behind = _agreement(span, tail, np.arange(PLANE_BLOCKS - blocks, PLANE_BLOCKS))[::-1]
    head, tail = _streak(ahead), _streak(behind)
    unreadable = start - end - (head + tail) * BLOCK_BYTES
    parts = 2 if head + tail > PLANE_BLOCKS else int(head + tail > 0)
    return parts + max(unreadable, 0) // PLANE_BYTES


def _streak(agreed: npt.NDArray[np.bool_]) -> int:
    return len(agreed) if agreed.all() else int(agreed.argmin())
