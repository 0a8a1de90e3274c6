"""A recording comes in; what is known about it goes out."""

import dataclasses
from dataclasses import dataclass
from typing import Any

from vidar_det.errors import RangeError
from vidar_det.spikes.selection import Selection, WindowGrid, recording_warnings, window_grid
from vidar_det.spikes.stream import SpikeStream

SAMPLED_PLANES = 64
SAMPLED_WINDOWS = 32


@dataclass(frozen=True)
class RecordingSummary:
    """What a recording is.

    Attributes:
        path: the file or folder; None in memory.
        width: pixels.
        height: pixels.
        planes: readouts that exist (T).
        rate_hz: readouts per second.
        duration_s: from the first readout to the end of the last, lost planes included.
        layout: how planes are stored.
        flip: what was undone to make them upright.
        firing_rate: mean spikes per pixel and readout, in the sampled planes.
        firing_rate_hz: the same per second.
        sampled_planes: planes behind the firing rate, spread over the recording.
        leading_bytes: bytes before the first whole plane.
        trailing_bytes: bytes after the last whole plane.
        resyncs: times the plane grid was lost and found again.
        lost_planes: planes known to be missing.
        warnings: what a reader should know, one sentence each.
    """

    path: str | None
    width: int
    height: int
    planes: int
    rate_hz: float
    duration_s: float
    layout: str
    flip: str
    firing_rate: float
    firing_rate_hz: float
    sampled_planes: int
    leading_bytes: int
    trailing_bytes: int
    resyncs: int
    lost_planes: int
    warnings: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Give plain values, ready for JSON."""
        return dataclasses.asdict(self) | {"warnings": list(self.warnings)}


def summarize_recording(
    recording: SpikeStream, selection: Selection | None = None
) -> RecordingSummary:
    """Describe a recording; of a long one, only a sample is counted.

    Args:
        recording: the recording.
        selection: where to sample the firing rate; by default everywhere. Planes and time are
            always those of the whole recording.

    Raises:
        RangeError: the recording has no such planes.

    Example:
        >>> import numpy as np
        >>> from vidar_det.spikes.stream import Sensor
        >>> planes = np.ones((200, 2, 3), np.uint8)
        >>> summarize_recording(SpikeStream.from_planes(planes, Sensor(3, 2))).firing_rate_hz
        20000.0
    """
    rate, sampled = _firing_rate(recording, selection or Selection())
    sensor = recording.sensor
    return RecordingSummary(
        path=None if recording.path is None else str(recording.path),
        width=sensor.width,
        height=sensor.height,
        planes=len(recording),
        rate_hz=sensor.rate_hz,
        duration_s=recording.time_us(len(recording)) / 1e6,
        layout=recording.layout,
        flip=recording.flip,
        firing_rate=rate,
        firing_rate_hz=rate * sensor.rate_hz,
        sampled_planes=sampled,
        leading_bytes=recording.report.leading_bytes,
        trailing_bytes=recording.report.trailing_bytes,
        resyncs=recording.report.resyncs,
        lost_planes=recording.report.lost_planes,
        warnings=recording_warnings(recording),
    )


def _firing_rate(recording: SpikeStream, selection: Selection) -> tuple[float, int]:
    """Mean spikes per pixel and readout, and how many planes it was taken from."""
    spikes = planes = 0
    for window in _sample_grid(recording, selection).spread(SAMPLED_WINDOWS):
        spikes += int(window.counts(1).sum())
        planes += window.length
    return spikes / (planes * recording.sensor.width * recording.sensor.height), planes


def _sample_grid(recording: SpikeStream, selection: Selection) -> WindowGrid:
    plain = Selection(selection.start, selection.planes)
    try:
        return window_grid(recording, plain, SAMPLED_PLANES)
    except RangeError:  # too short, or holes everywhere: single planes always fit a valid range
        return window_grid(recording, plain, 1)
