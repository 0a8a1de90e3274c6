"""A recording that a camera still writes comes in; its windows go out as they become whole."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from vidar_det.config import build_spec
from vidar_det.errors import ConfigError, FormatError, SourceError
from vidar_det.spikes.recording import recording_files, reopen
from vidar_det.spikes.selection import open_source
from vidar_det.spikes.sidecar import RecordingOptions
from vidar_det.spikes.stream import SpikeStream

SOONER = 20
"""How much sooner than later the first look after a finding comes."""

Report = Callable[[str], None]
"""Told what a reader should know, one sentence each."""


@dataclass(frozen=True)
class FollowSpec:
    """How long to wait for a camera.

    Attributes:
        window: planes per window.
        stride: planes from one window to the next.
        timeout_s: the recording has ended when nothing has come for so long.
        poll_s: most time between two looks; the first comes after a twentieth of it, and each
            that finds nothing waits twice as long as the last.
        newest: whoever looks so late that more windows have come gets the newest so many, and the
            others are dropped; None drops nothing.

    Raises:
        ConfigError: a number is not positive.
    """

    window: int
    stride: int
    timeout_s: float = 10.0
    poll_s: float = 0.02
    newest: int | None = None

    def __post_init__(self) -> None:
        numbers = (self.window, self.stride, self.timeout_s, self.poll_s, self.newest or 1)
        if min(numbers) <= 0:
            raise ConfigError(f"follow: found {self}, wanted positive numbers")


@dataclass(frozen=True)
class Stretch:
    """Planes that have come since the last stretch: whole windows, or at the very end the rest.

    Attributes:
        recording: as long as it was when they came.
        start: first plane of the first window.
        stop: one past the last plane.
        before: planes of earlier recordings under the same name, which a new one replaced.
        dropped: windows before ``start`` that came too late to be looked at.
    """

    recording: SpikeStream
    start: int
    stop: int
    before: int
    dropped: int = 0


def follow(
    path: Path,
    options: RecordingOptions,
    spec: FollowSpec,
    report: Report = lambda sentence: None,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[Stretch]:
    """Wait for planes, and hand them out as soon as they make a window.

    The recording may be a file that grows, or a folder in which numbered files appear; it may not
    be there yet. Its geometry is settled once, when the first planes are there. A file that became
    shorter or was replaced is read from its beginning: its planes count on.

    Args:
        path: file or folder.
        options: what the files do not say.
        spec: windows, and how long to wait.
        report: told when the recording begins anew, and of what was lost.
        sleep: waits between two looks.

    Yields:
        Stretches in order; windows begun in one are never in the next. The walk ends when nothing
        has come for ``timeout_s``.

    Raises:
        SourceError: nothing that can be read has appeared in time, or what was read has vanished.
        FormatError: what appeared in time is no recording.
        GeometryError: its geometry is not known.

    Example:
        >>> spec = FollowSpec(window=128, stride=128)
        >>> for stretch in follow(Path("camera"), RecordingOptions(), spec):  # doctest: +SKIP
        ...     print(stretch.recording.shape)
    """
    follower = _Follower(path, options, spec, report)
    waited_s, pause_s = 0.0, spec.poll_s / SOONER
    while waited_s < spec.timeout_s:
        stretch = follower.look()
        if stretch is not None:
            waited_s, pause_s = 0.0, spec.poll_s / SOONER
            yield stretch
        else:
            sleep(pause_s)
            waited_s += pause_s
            pause_s = min(2 * pause_s, spec.poll_s)
    yield from follower.finish()


class _Follower:
    """Remembers how far the recording was read, and as what."""

    def __init__(
        self, path: Path, options: RecordingOptions, spec: FollowSpec, report: Report
    ) -> None:
        self.path, self.options, self.spec, self.report = path, options, spec, report
        self.position, self.before, self.planes = 0, 0, 0
        self.identity: tuple[object, ...] = ()
        self.bytes_seen = -1
        self.recording: SpikeStream | None = None
        self.trouble: SourceError | FormatError | None = None

    def look(self) -> Stretch | None:
        """Take what has come since the last look."""
        identity, size = self._state()
        if size == self.bytes_seen and identity == self.identity:
            return None
        grew = identity[:1] == self.identity[:1] and size >= self.bytes_seen
        try:
            if self.recording is not None and grew:
                recording = reopen(self.recording)
            else:
                recording = open_source(self.path, self.options)
                self._settle(recording)
        except (SourceError, FormatError) as error:
            self._wait_on(error)
            return None
        if len(recording) < self.planes or identity[:1] != (self.identity or identity)[:1]:
            self._begin_anew(recording)
        self.identity, self.bytes_seen, self.planes = identity, size, len(recording)
        self.recording, self.trouble = recording, None
        return self._whole_windows(recording)

    def finish(self) -> Iterator[Stretch]:
        """Hand out what makes no window; say why nothing came, or that it has vanished."""
        if self.trouble is not None:
            raise self.trouble
        unread = self.planes - self.position
        if unread > 0 and self.recording is not None:
            self.report(f"{unread} planes at the end make no whole window")
            yield Stretch(self.recording, self.position, self.planes, self.before)

    def _state(self) -> tuple[tuple[object, ...], int]:
        """Tell files apart by what the file system calls them, and how much there is of them."""
        try:
            files = recording_files(self.path)[0] if self.path.exists() else []
            stats = [file.stat() for file in files]
        except (OSError, SourceError, FormatError):
            return (), -2
        return tuple((stat.st_dev, stat.st_ino) for stat in stats), sum(s.st_size for s in stats)

    def _wait_on(self, error: SourceError | FormatError) -> None:
        """A recording may be empty at first, or be about to be replaced."""
        self.trouble, self.bytes_seen = error, -1

    def _settle(self, recording: SpikeStream) -> None:
        """From now on the geometry is what it was found to be."""
        sensor = recording.sensor
        found = {"layout": recording.layout, "flip": recording.flip}
        size = {"width": sensor.width, "height": sensor.height, "rate_hz": sensor.rate_hz}
        self.options = build_spec(RecordingOptions, {**found, **size}, str(self.path))

    def _begin_anew(self, recording: SpikeStream) -> None:
        lost = max(0, self.planes - self.position)
        self.report(
            f"{self.path}: became shorter or was replaced; read from its beginning again"
            + (f", and {lost} planes that had made no whole window are lost" if lost else "")
        )
        self.before += self.planes
        self.position, self.planes = 0, 0

    def _whole_windows(self, recording: SpikeStream) -> Stretch | None:
        start, length, stride = self.position, self.spec.window, self.spec.stride
        if start + length > len(recording):
            return None
        starts = [window.start for window in recording.windows(length, stride, start)]
        if not starts:
            return None
        self.position = starts[-1] + stride
        dropped = max(0, len(starts) - (self.spec.newest or len(starts)))
        return Stretch(recording, starts[dropped], starts[-1] + length, self.before, dropped)
