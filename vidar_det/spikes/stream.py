"""Stored planes come in; upright planes, counts per bin and windows come out."""

import bisect
import itertools
import operator
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, overload

import numpy as np
import numpy.typing as npt

from vidar_det.errors import GeometryError, RangeError, ShapeError
from vidar_det.spikes.sidecar import DEFAULT_RATE_HZ, RATES_HZ
from vidar_det.spikes.stores import ArrayStore

Planes = npt.NDArray[np.uint8]
Counts = npt.NDArray[np.uint16]

ITERATED_PLANES = 64  # decoded at once by iter(stream); 6.4 MB at 400x250


@dataclass(frozen=True)
class Sensor:
    """The camera's geometry and rate; none of it stands in a camera file.

    Attributes:
        width: pixels per row.
        height: rows.
        rate_hz: readouts (planes) per second.

    Raises:
        GeometryError: a width or height below 1.
        RangeError: a rate outside ``RATES_HZ``.

    Example:
        >>> Sensor(width=400, height=250).plane_us
        50.0
    """

    width: int
    height: int
    rate_hz: float = DEFAULT_RATE_HZ

    def __post_init__(self) -> None:
        if self.width < 1 or self.height < 1:
            raise GeometryError(f"sensor of {self.width}x{self.height} pixels; wanted at least 1x1")
        lowest, highest = RATES_HZ
        if not lowest <= self.rate_hz <= highest:
            raise RangeError(f"rate_hz: found {self.rate_hz}, wanted {lowest:g} to {highest:g}")

    @property
    def plane_us(self) -> float:
        """Time from one readout to the next, in microseconds."""
        return 1e6 / self.rate_hz


@dataclass(frozen=True)
class RecordingReport:
    """What was found in a file beside whole planes.

    Attributes:
        leading_bytes: bytes before the first whole plane.
        trailing_bytes: bytes after the last whole plane (a partial plane, dropped).
        resyncs: times the plane grid was lost and found again.
        lost_planes: planes known to be missing or broken between the first and last whole one.
        warnings: what a reader of the result should know, one sentence each.
    """

    leading_bytes: int = 0
    trailing_bytes: int = 0
    resyncs: int = 0
    lost_planes: int = 0
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Hole:
    """Planes that the camera made and the recording lost.

    Attributes:
        index: the first plane after the hole; only planes that exist are counted.
        planes: how many are lost just before it.
    """

    index: int
    planes: int


class PlaneStore(Protocol):
    """Where a stream's planes lie. Everything it returns is upright."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Planes, rows, columns."""

    def decode(self, start: int, stop: int) -> Planes:
        """Planes ``start .. stop`` as ``(n, H, W) uint8`` of 0 and 1."""

    def counts(self, start: int, stop: int, bins: int) -> Counts:
        """Spikes per pixel in each of ``bins`` equal bins, ``(bins, H, W) uint16``."""

    def release(self, start: int, stop: int) -> None:
        """Planes ``start .. stop`` are not needed for now: give their mapped memory back."""


@dataclass(frozen=True, repr=False, eq=False)
class SpikeStream:
    """A recording: T upright planes of H x W pixels, decoded only where asked.

    Attributes:
        store: where the planes lie.
        sensor: geometry and rate.
        report: stray bytes, resynchronisations, lost planes.
        path: the file or folder, or None in memory.
        layout: one of the names in ``vidar_det.spikes.layouts.LAYOUTS``.
        flip: what was undone to make the planes upright: ``none | ud | lr | both``.
        holes: lost planes, in order; indices count only the planes that exist.

    Example:
        >>> planes = np.zeros((128, 4, 6), np.uint8)
        >>> stream = SpikeStream.from_planes(planes, Sensor(width=6, height=4))
        >>> stream.shape, stream[10:51].shape, stream.counts(0, 128, bins=2).shape
        ((128, 4, 6), (41, 4, 6), (2, 4, 6))
        >>> [window.start for window in stream.windows(length=64)]
        [0, 64]
    """

    store: PlaneStore
    sensor: Sensor
    report: RecordingReport = RecordingReport()
    path: Path | None = None
    layout: str = "array-thw"
    flip: str = "none"
    holes: tuple[Hole, ...] = ()

    def __post_init__(self) -> None:
        found, wanted = self.store.shape[1:], (self.sensor.height, self.sensor.width)
        if found != wanted:
            raise ShapeError(f"planes of (H, W) = {found} do not fit a sensor of {wanted}")

    @classmethod
    def from_planes(cls, planes: npt.NDArray[np.generic], sensor: Sensor) -> "SpikeStream":
        """Make a stream of planes in memory (not copied).

        Args:
            planes: ``(T, H, W)`` uint8 of 0 and 1, or bool; row 0 is the top.
            sensor: the camera that fired.

        Raises:
            ShapeError: another shape or dtype, or values beside 0 and 1.

        Example:
            >>> SpikeStream.from_planes(np.ones((2, 4, 6), bool), Sensor(6, 4))[0].sum()
            np.uint64(24)
        """
        store = ArrayStore(planes, source="planes")
        store.check_values()
        return cls(store=store, sensor=sensor)

    @property
    def shape(self) -> tuple[int, int, int]:
        """``(T, H, W)``."""
        return self.store.shape

    def __len__(self) -> int:
        """Return T, the planes that exist."""
        return self.store.shape[0]

    def __repr__(self) -> str:
        """Name the source, the shape and the rate."""
        planes, height, width = self.shape
        source = self.path or "memory"
        size = f"{planes} planes {width}x{height} at {self.sensor.rate_hz:g} Hz"
        return f"<SpikeStream {source}: {size}>"

    def __iter__(self) -> Iterator[Planes]:
        """Yield every plane, ``(H, W) uint8``, in bounded memory."""
        for start in range(0, len(self), ITERATED_PLANES):
            stop = min(start + ITERATED_PLANES, len(self))
            yield from self.store.decode(start, stop)
            self.store.release(start, stop)

    @overload
    def __getitem__(self, key: int) -> Planes: ...
    @overload
    def __getitem__(self, key: slice) -> Planes: ...
    def __getitem__(self, key: int | slice) -> Planes:
        """Decode one plane ``(H, W)`` or a slice of planes ``(n, H, W)``, uint8 of 0 and 1.

        Raises:
            RangeError: an index outside the recording.
        """
        if isinstance(key, slice):
            indices = range(*key.indices(len(self)))
            if indices.step == 1:
                return self.store.decode(indices.start, max(indices.start, indices.stop))
            picked = [self.store.decode(index, index + 1) for index in indices]
            return np.concatenate([np.empty((0, *self.shape[1:]), np.uint8), *picked])
        index = operator.index(key)
        if not -len(self) <= index < len(self):
            raise RangeError(f"plane {index}: the recording has {len(self)} planes")
        plane: Planes = self.store.decode(index % len(self), index % len(self) + 1)[0]
        return plane

    def counts(self, start: int, stop: int, bins: int) -> Counts:
        """Count spikes per pixel in equal bins, straight from the stored bits.

        Args:
            start: first plane.
            stop: one past the last plane; ``stop - start`` is a multiple of ``bins``.
            bins: how many bins; at most 65,535 planes each.

        Returns:
            ``(bins, H, W) uint16``, C-contiguous, upright.

        Raises:
            RangeError: planes outside the recording, or a span that is no whole number of bins.

        Example:
            >>> stream = SpikeStream.from_planes(np.ones((6, 1, 1), bool), Sensor(1, 1))
            >>> stream.counts(0, 6, bins=2).ravel()
            array([3, 3], dtype=uint16)
        """
        if not 0 <= start <= stop <= len(self):
            raise RangeError(f"planes {start}..{stop}: the recording has {len(self)} planes")
        length = stop - start
        if bins < 1 or length < bins or length % bins:
            raise RangeError(f"{length} planes: wanted a positive multiple of {bins} bins")
        if length // bins > np.iinfo(np.uint16).max:
            raise RangeError(f"{length // bins} planes per bin: wanted at most 65,535")
        return self.store.counts(start, stop, bins)

    def time_us(self, index: int) -> float:
        """Time of a readout since the recording's first whole plane, holes included.

        Args:
            index: a plane, or T for the end of the recording.

        Returns:
            Microseconds.

        Raises:
            RangeError: an index outside ``0 .. T``.
        """
        if not 0 <= index <= len(self):
            raise RangeError(f"plane {index}: the recording has {len(self)} planes")
        lost = sum(hole.planes for hole in self.holes if hole.index <= index)
        return (index + lost) * self.sensor.plane_us

    def windows(
        self,
        length: int,
        stride: int | None = None,
        start: int = 0,
        stop: int | None = None,
        keep: bool = False,
    ) -> Iterator["SpikeWindow"]:
        """Walk the recording in windows, in constant memory; no window straddles a hole.

        Args:
            length: planes per window.
            stride: planes from one window's start to the next; by default ``length``, gap-free.
            start: first plane of the first window.
            stop: one past the last plane that a window may hold; by default the end.
            keep: whoever reads several windows at once releases each when it was read; otherwise
                a window's mapped memory is given back when the next one is asked for.

        Returns:
            An iterator over whole windows; after a hole it starts anew at the first plane.

        Raises:
            RangeError: a length or stride below 1, or a range outside the recording.

        Example:
            >>> stream = SpikeStream.from_planes(np.ones((6, 1, 1), bool), Sensor(1, 1))
            >>> [window.time_us for window in stream.windows(length=2, stride=3)]
            [0.0, 150.0]
        """
        stride = length if stride is None else stride
        stop = len(self) if stop is None else stop
        if length < 1 or stride < 1:
            raise RangeError(f"length {length}, stride {stride}: wanted at least 1 plane each")
        if not 0 <= start <= stop <= len(self):
            raise RangeError(f"planes {start}..{stop}: the recording has {len(self)} planes")
        windows = self._walk(length, stride, start, stop)
        return windows if keep else _released(windows)

    def _walk(self, length: int, stride: int, start: int, stop: int) -> Iterator["SpikeWindow"]:
        inner = [hole.index for hole in self.holes if start < hole.index < stop]
        for first, last in itertools.pairwise([start, *inner, stop]):
            for index in range(first, last - length + 1, stride):
                yield SpikeWindow(self, index, length)


@dataclass(frozen=True)
class SpikeWindow:
    """Consecutive planes of one recording, decoded or counted on demand.

    Attributes:
        stream: the recording.
        start: its first plane here.
        length: planes.

    Raises:
        RangeError: planes outside the recording, or a hole inside the window.

    Example:
        >>> stream = SpikeStream.from_planes(np.ones((64, 2, 3), bool), Sensor(3, 2))
        >>> window = SpikeWindow(stream, start=32, length=32)
        >>> window.time_us, window.duration_us, window.counts(bins=2).max()
        (1600.0, 1600.0, np.uint16(16))
    """

    stream: SpikeStream
    start: int
    length: int

    def __post_init__(self) -> None:
        stop = self.start + self.length
        if self.start < 0 or self.length < 1 or stop > len(self.stream):
            raise RangeError(
                f"window {self.start}..{stop}: the recording has {len(self.stream)} planes"
            )
        indices = [hole.index for hole in self.stream.holes]
        if bisect.bisect_right(indices, self.start) != bisect.bisect_left(indices, stop):
            raise RangeError(f"window {self.start}..{stop} straddles lost planes")

    @property
    def planes(self) -> Planes:
        """``(T, H, W) uint8`` of 0 and 1, upright; decoded anew at each access."""
        return self.stream.store.decode(self.start, self.start + self.length)

    def counts(self, bins: int) -> Counts:
        """Spikes per pixel in equal bins, ``(bins, H, W) uint16``; see ``SpikeStream.counts``."""
        return self.stream.counts(self.start, self.start + self.length, bins)

    @property
    def time_us(self) -> float:
        """Time of the first plane, in microseconds."""
        return self.stream.time_us(self.start)

    @property
    def duration_us(self) -> float:
        """Length in microseconds."""
        return self.length * self.stream.sensor.plane_us

    def release(self) -> None:
        """Give the mapped memory behind the planes back; they can still be read."""
        self.stream.store.release(self.start, self.start + self.length)


def _released(windows: Iterator[SpikeWindow]) -> Iterator[SpikeWindow]:
    for window in windows:
        yield window
        window.release()
