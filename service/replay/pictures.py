"""A recording and a moment come in; the picture of that moment goes out, as a JPEG or as bits.

Brightness is settled once for a whole recording, so that a replay does not flicker.
"""

import itertools
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from service.replay.protocol import MOST_PACKED_BYTES, PICTURE, PLANES, Shown, View
from vidar_det.spikes.reconstruction import (
    texture_from_intervals,
    texture_from_playback,
    to_grey8,
    white_level,
)
from vidar_det.spikes.selection import Selection, window_grid
from vidar_det.spikes.stream import SpikeStream, SpikeWindow

SAMPLED_WINDOWS, SAMPLED_PLANES = 8, 128
"""What decides the brightness: so many windows, spread over the recording."""

MOST_INTERVAL_PLANES, MOST_INTERVAL_BYTES = 512, 64 << 20
"""Intervals decode their planes into memory, a byte for each pixel of each."""

PLAYING_QUALITY, STILL_QUALITY = 80, 92
GAMMA = 2.2


class Lightbox:
    """Shows moments of one recording; any thread may ask.

    Args:
        recording: what is shown.
        white: as below; by default settled by windows spread over the recording.

    Attributes:
        white: spikes per readout that are shown as white.

    Example:
        >>> from vidar_det.spikes.stream import Sensor
        >>> planes = np.ones((64, 2, 3), np.uint8)
        >>> box = Lightbox(SpikeStream.from_planes(planes, Sensor(3, 2)))
        >>> box.draw("tfp", plane=10, window=32)[1].tolist()
        [[255, 255, 255], [255, 255, 255]]
    """

    def __init__(self, recording: SpikeStream, white: float | None = None) -> None:
        self.recording = recording
        self.white = _settle_white(recording) if white is None else white

    def draw(self, view: View, plane: int, window: int) -> tuple[Shown, NDArray[np.uint8]]:
        """Draw a moment.

        Args:
            view: ``tfp``, ``tfi``, ``raw`` or ``heat``.
            plane: the moment.
            window: planes around it that count; it is moved inside the recording at the ends, and
                ends where planes are lost.

        Returns:
            What is shown, and ``(H, W) uint8`` grey or ``(H, W, 3) uint8`` BGR.
        """
        start, count = span_around(self.recording, view, plane, window)
        planes = SpikeWindow(self.recording, start, count)
        sensor = self.recording.sensor
        shown = Shown(PICTURE, view, plane, start, count, (sensor.width, sensor.height), window)
        if view == "raw":
            return shown, planes.planes[0] * np.uint8(255)
        if view == "tfi":
            picture = texture_from_intervals(planes, plane - start)
            return shown, to_grey8(picture, self.white, GAMMA)
        gamma = 1.0 if view == "heat" else GAMMA
        grey = _grey_table(count, self.white, gamma)[planes.counts(1)[0]]
        return shown, cv2.applyColorMap(grey, cv2.COLORMAP_VIRIDIS) if view == "heat" else grey

    def jpeg(self, view: View, plane: int, window: int, quality: int) -> tuple[Shown, bytes]:
        """Draw a moment as a JPEG; a raw plane goes out as bits, which are smaller and exact."""
        if view == "raw":
            return self.bits(plane, 1)
        shown, picture = self.draw(view, plane, window)
        done, encoded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
        assert done
        self.recording.store.release(shown.start, shown.start + shown.count)
        return shown, encoded.tobytes()

    def bits(self, start: int, count: int) -> tuple[Shown, bytes]:
        """Give planes as bits: row by row, eight pixels to a byte, the first in the lowest bit.

        As many of the planes as a message holds, and the recording has.
        """
        sensor = self.recording.sensor
        plane_bytes = -(-sensor.width // 8) * sensor.height
        start = min(start, len(self.recording) - 1)
        most = max(1, MOST_PACKED_BYTES // plane_bytes)
        count = max(1, min(count, most, len(self.recording) - start))
        planes = self.recording[start : start + count]
        packed = np.packbits(planes, axis=2, bitorder="little")
        size = (sensor.width, sensor.height)
        return Shown(PLANES, "raw", start, start, count, size, count), packed.tobytes()


def span_around(recording: SpikeStream, view: View, plane: int, window: int) -> tuple[int, int]:
    """Find the planes that a picture of one moment counts: its first one, and how many.

    Example:
        >>> from vidar_det.spikes.stream import Sensor
        >>> stream = SpikeStream.from_planes(np.ones((64, 1, 1), np.uint8), Sensor(1, 1))
        >>> span_around(stream, "tfp", 60, 32), span_around(stream, "raw", 60, 32)
        ((32, 32), (60, 1))
    """
    if view == "raw":
        return plane, 1
    first, last = run_around(recording, plane)
    most = most_interval_planes(recording) if view == "tfi" else window
    count = min(window, most, last - first)
    return min(max(first, plane - count // 2), last - count), count


def most_interval_planes(recording: SpikeStream) -> int:
    """Say how many planes a picture by intervals may count; fewer where planes are large.

    Example:
        >>> from vidar_det.spikes.stream import Sensor
        >>> planes = np.zeros((1, 1024, 1024), np.uint8)
        >>> most_interval_planes(SpikeStream.from_planes(planes, Sensor(1024, 1024)))
        64
    """
    pixels = recording.sensor.width * recording.sensor.height
    return max(1, min(MOST_INTERVAL_PLANES, MOST_INTERVAL_BYTES // pixels))


def run_around(recording: SpikeStream, plane: int) -> tuple[int, int]:
    """Find the planes without a gap around one: the first, and one past the last."""
    edges = [0, *(hole.index for hole in recording.holes), len(recording)]
    first = max(edge for edge in edges if edge <= plane)
    return first, min(edge for edge in edges if edge > plane)


def longest_run(recording: SpikeStream) -> int:
    """Count the planes of the longest stretch without a gap."""
    edges = [0, *(hole.index for hole in recording.holes), len(recording)]
    return max(stop - start for start, stop in itertools.pairwise(edges))


def heat_palette() -> list[list[int]]:
    """Give the heat map's colours, RGB by level: a page paints with the same ones."""
    levels = np.arange(256, dtype=np.uint8).reshape(1, 256)
    colours: list[list[int]] = cv2.applyColorMap(levels, cv2.COLORMAP_VIRIDIS)[0, :, ::-1].tolist()
    return colours


def _settle_white(recording: SpikeStream) -> float:
    length = min(SAMPLED_PLANES, longest_run(recording))
    grid = window_grid(recording, Selection(), length)
    samples = [texture_from_playback(window) for window in grid.spread(SAMPLED_WINDOWS)]
    return white_level(np.stack(samples))


@lru_cache(maxsize=64)
def _grey_table(count: int, white: float, gamma: float) -> NDArray[np.uint8]:
    """What every possible number of spikes is shown as; see ``to_grey8``."""
    rates = np.arange(count + 1, dtype=np.float32) / np.float32(count)
    return to_grey8(rates, white, gamma)
