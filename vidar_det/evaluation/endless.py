"""A short recording comes in; one of any length, or any size, goes out, to measure speed with."""

import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vidar_det.spikes.demo import RECORDING_FILE, find_demo
from vidar_det.spikes.recording import open_recording, write_recording
from vidar_det.spikes.stream import Sensor, SpikeStream


class EndlessStore:
    """The planes of a recording, again and again, as a store of planes.

    Args:
        recording: what is repeated, in whole windows.
        window: planes of a window, from whose multiples planes are asked for.
        planes: how many there are altogether.

    Attributes:
        shape: ``(T, H, W)``.
        length: planes that are repeated.
    """

    def __init__(self, recording: SpikeStream, window: int, planes: int) -> None:
        self._store, self.length = recording.store, len(recording) // window * window
        self.shape = (planes, *recording.shape[1:])

    def decode(self, start: int, stop: int) -> NDArray[np.uint8]:
        """See ``PlaneStore``."""
        at = start % self.length
        return self._store.decode(at, at + stop - start)

    def counts(self, start: int, stop: int, bins: int) -> NDArray[np.uint16]:
        """See ``PlaneStore``."""
        at = start % self.length
        return self._store.counts(at, at + stop - start, bins)

    def release(self, start: int, stop: int) -> None:
        """See ``PlaneStore``."""
        at = start % self.length
        self._store.release(at, at + stop - start)


def repeat(recording: SpikeStream, window: int, windows: int) -> SpikeStream:
    """Repeat a recording until it holds so many windows; it is not copied.

    Example:
        >>> short = SpikeStream.from_planes(np.ones((5, 2, 3), np.uint8), Sensor(3, 2))
        >>> len(repeat(short, window=2, windows=7))
        14
    """
    return replace(recording, store=EndlessStore(recording, window, window * windows))


def write_tiled_demo(
    path: Path, width: int, height: int, planes: int, layout: str = "plain"
) -> SpikeStream:
    """Write the recording that comes along, side by side until it fills a picture of any size.

    Args:
        path: the ``.dat`` file.
        width: pixels per row.
        height: rows.
        planes: at least; it begins anew where it ends, and is never cut short.
        layout: of the file.

    Returns:
        The recording, mapped.
    """
    demo = open_recording(find_demo() / RECORDING_FILE)
    rounds = -(-planes // len(demo))
    sensor = Sensor(width, height, demo.sensor.rate_hz)
    write_recording(path, _tiles(demo, width, height, rounds), sensor, layout=layout)
    return open_recording(path)


def _tiles(demo: SpikeStream, width: int, height: int, rounds: int) -> Iterator[NDArray[np.uint8]]:
    for plane in itertools.chain.from_iterable(itertools.repeat(demo, rounds)):
        yield plane.take(range(height), 0, mode="wrap").take(range(width), 1, mode="wrap")
