"""A recording and the user's numbers come in; the planes and windows to look at come out."""

import dataclasses
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from vidar_det.errors import RangeError
from vidar_det.spikes.recording import open_recording
from vidar_det.spikes.sidecar import RecordingOptions
from vidar_det.spikes.stream import SpikeStream, SpikeWindow


@dataclass(frozen=True)
class Selection:
    """Which part of a recording is looked at, and in which pieces.

    Attributes:
        start: first plane.
        planes: how many planes from there; None means to the end.
        window: planes per window; None leaves it to the job.
        stride: planes from one window to the next; None means gap-free.

    Example:
        >>> Selection(start=100, planes=256).window is None
        True
    """

    start: int = 0
    planes: int | None = None
    window: int | None = None
    stride: int | None = None

    def span(self, recording: SpikeStream) -> tuple[int, int]:
        """Turn start and length into the first plane and one past the last.

        Raises:
            RangeError: the recording has no such planes.
        """
        stop = len(recording) if self.planes is None else self.start + self.planes
        if not 0 <= self.start < stop <= len(recording):
            raise RangeError(
                f"{recording.path or 'recording'}: found {len(recording)} planes, "
                f"wanted planes {self.start} to {stop}"
            )
        return self.start, stop


@dataclass(frozen=True)
class WindowGrid:
    """The windows that a selection comes to in one recording.

    Attributes:
        recording: the recording.
        start: first plane.
        stop: one past the last plane.
        length: planes per window.
        stride: planes from one window to the next.

    Raises:
        RangeError: not one window fits.

    Example:
        >>> import numpy as np
        >>> from vidar_det.spikes.stream import Sensor
        >>> stream = SpikeStream.from_planes(np.zeros((200, 2, 2), np.uint8), Sensor(2, 2))
        >>> grid = window_grid(stream, Selection(), length=64)
        >>> len(grid), grid.unseen_planes
        (3, 8)
    """

    recording: SpikeStream
    start: int
    stop: int
    length: int
    stride: int

    def __post_init__(self) -> None:
        if min(self.length, self.stride) < 1:
            raise RangeError(
                f"window {self.length}, stride {self.stride}: wanted at least 1 plane each"
            )
        if len(self) == 0:
            longest = max(stop - start for start, stop in self._runs())
            raise RangeError(
                f"{self.recording.path or 'recording'}: found {longest} planes in a row, wanted "
                f"at least one window of {self.length}; choose a shorter window"
            )

    def __len__(self) -> int:
        """How many windows there are."""
        return sum(self._fitting(stop - start) for start, stop in self._runs())

    def __iter__(self) -> Iterator[SpikeWindow]:
        return self.recording.windows(self.length, self.stride, self.start, self.stop)

    @property
    def unseen_planes(self) -> int:
        """Planes of the selection that lie in no window."""
        seen = 0
        for start, stop in self._runs():
            windows = self._fitting(stop - start)
            seen += windows and (windows - 1) * min(self.stride, self.length) + self.length
        return self.stop - self.start - seen

    def spread(self, most: int) -> list[SpikeWindow]:
        """Pick windows spread evenly over the recording, at most ``most`` of them."""
        count = min(most, len(self))
        step = (self.stop - self.start) / count
        picked: dict[int, SpikeWindow] = {}
        for index in range(count):
            start = self.start + int(index * step)
            for window in self.recording.windows(self.length, self.stride, start, self.stop):
                picked[window.start] = window
                break
        return list(picked.values())

    def _runs(self) -> Iterator[tuple[int, int]]:
        """Stretches without lost planes."""
        holes = [h.index for h in self.recording.holes if self.start < h.index < self.stop]
        return itertools.pairwise([self.start, *holes, self.stop])

    def _fitting(self, planes: int) -> int:
        return max(0, (planes - self.length) // self.stride + 1)


def window_grid(recording: SpikeStream, selection: Selection, length: int) -> WindowGrid:
    """Lay the windows of a selection over a recording.

    Args:
        recording: the recording.
        selection: the user's numbers.
        length: planes per window where the user named none.

    Raises:
        RangeError: the recording has no such planes, or not one window fits.
    """
    start, stop = selection.span(recording)
    window = length if selection.window is None else selection.window
    stride = window if selection.stride is None else selection.stride
    return WindowGrid(recording, start, stop, window, stride)


def open_source(path: str | Path, options: RecordingOptions | None = None) -> SpikeStream:
    """Open a recording with options that came as one value; see ``open_recording``."""
    return open_recording(path, **dataclasses.asdict(options or RecordingOptions()))


def recording_warnings(recording: SpikeStream) -> tuple[str, ...]:
    """Say what a reader of the recording should know, one sentence each.

    Other layouts' readers name their trailing bytes themselves; m1k40 files may begin and end
    anywhere, and lose planes.
    """
    report = recording.report
    if recording.layout != "m1k40":
        return report.warnings
    sentences = (
        (report.leading_bytes, "bytes lie before the first whole plane and are dropped"),
        (report.trailing_bytes, "trailing bytes are no whole plane and dropped"),
        (report.resyncs, "times the plane grid was lost and found again"),
        (report.lost_planes, "planes are lost; no window straddles the gap"),
    )
    return (*report.warnings, *(f"{count} {sentence}" for count, sentence in sentences if count))
