"""A recording that a camera still writes comes in; its windows go out as they become whole."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from vidar_det.errors import ConfigError, FormatError, SourceError
from vidar_det.spikes.arrays import is_array_file
from vidar_det.spikes.following_files import FollowedFiles, Report
from vidar_det.spikes.layouts import ARRAY_LAYOUTS
from vidar_det.spikes.recording_camera import CameraReader
from vidar_det.spikes.sidecar import RecordingOptions, complete_options
from vidar_det.spikes.stream import SpikeStream

SOONER = 20
"""How much sooner than later the first look after a finding comes."""


class Clock(Protocol):
    """Tells the time and waits, as the module ``time`` does."""

    def monotonic(self) -> float:
        """Seconds since some moment."""

    def sleep(self, seconds: float, /) -> None:
        """Wait between two looks."""


@dataclass(frozen=True)
class FollowSpec:
    """How long to wait for a camera.

    Attributes:
        window: planes per window.
        stride: planes from one window to the next.
        timeout_s: the recording has ended when nothing has come for so long.
        poll_s: most time between two looks; the first comes after a twentieth of it, and each
            that finds nothing waits twice as long as the last.
        newest: where more windows came while the last stretch was looked at than that stretch
            held, the reader is late: it gets the newest so many, and the others are dropped. None
            drops nothing.

    Raises:
        ConfigError: a number is not positive.
    """

    window: int
    stride: int
    timeout_s: float = 10.0
    poll_s: float = 0.02
    newest: int | None = None

    def __post_init__(self) -> None:
        for name, number in vars(self).items():
            if number is not None and not number > 0:  # nan is not
                raise ConfigError(f"follow: {name}: found {number}, wanted a positive number")


@dataclass(frozen=True)
class Stretch:
    """Planes that have come since the last stretch: whole windows, or at the very end the rest.

    The rest is for the record alone: nothing in it is to be looked at.

    Attributes:
        recording: as long as it was when they came.
        start: first plane of the first window.
        stop: one past the last plane.
        before: planes of earlier recordings under the same name, which a new one replaced.
        planes: how many have come altogether, those before among them.
        windows: how many begin here.
        dropped: windows before ``start`` that came too late to be looked at.
        is_late: whether more windows came while the last stretch was looked at than it held.
    """

    recording: SpikeStream
    start: int
    stop: int
    before: int
    planes: int
    windows: int = 0
    dropped: int = 0
    is_late: bool = False


class Following(Iterator[Stretch]):
    """What ``follow`` gives: stretches, and in between more of the last one."""

    def __init__(self, follower: "_Follower", is_over: Callable[[], bool], clock: Clock) -> None:
        self._follower, self._is_over, self._clock = follower, is_over, clock
        self._pending: Stretch | None = None
        self._before = 0  # of the stretch that was handed out last
        self._stretches = self._walk()

    def __next__(self) -> Stretch:
        return next(self._stretches)

    def more(self, read: int) -> Stretch | None:
        """Take what has come meanwhile, while windows of the last stretch are still worked on.

        Args:
            read: plane of its recording, before which nothing is read any more.

        Returns:
            The windows that follow those that were handed out; None while there are none, and
            where the recording has begun anew: that is the next stretch's.
        """
        follower = self._follower
        if follower.before != self._before:
            return None
        stretch = follower.look(read=read)
        if follower.before != self._before:
            self._pending = stretch
            return None
        return stretch

    def _walk(self) -> Iterator[Stretch]:
        follower, clock, poll_s = self._follower, self._clock, self._follower.spec.poll_s
        pause_s, since, held = poll_s / SOONER, clock.monotonic(), None
        while not self._is_over():
            stretch, self._pending = self._pending or follower.look(held), None
            has_news = follower.has_news or stretch is not None
            if stretch is not None:
                self._before = stretch.before
                yield stretch
            if has_news:
                pause_s, since = poll_s / SOONER, clock.monotonic()
            held = None if stretch is None else stretch.windows
            if stretch is None:
                if clock.monotonic() - since >= follower.spec.timeout_s:
                    break
                clock.sleep(pause_s)
                pause_s = min(2 * pause_s, poll_s)
        yield from follower.finish(self._is_over())


def follow(
    path: Path,
    options: RecordingOptions,
    spec: FollowSpec,
    report: Report = lambda sentence: None,
    is_over: Callable[[], bool] = lambda: False,
    clock: Clock = time,
) -> Following:
    """Wait for planes, and hand them out as soon as they make a window.

    The recording may be a camera's file that grows, or a folder in which numbered files appear; it
    may not be there yet. Its geometry is settled once, when the first planes are there. What else
    may become of the files, ``FollowedFiles`` says; planes of a recording that begins anew count
    on.

    Args:
        path: file or folder.
        options: what the files do not say.
        spec: windows, and how long to wait.
        report: told when the recording begins anew, and of what was lost.
        is_over: asked before each look; then the rest is handed out, however long it is.
        clock: tells the time.

    Returns:
        Stretches in order; windows begun in one are never in the next. The walk ends when nothing
        has come for ``timeout_s``. A stretch that cannot be read, because its file became shorter,
        raises ``CutOffError`` and may be left: the next one begins anew.

    Raises:
        ConfigError: an array, which no camera writes piece by piece.
        SourceError: nothing that can be read has appeared in time, or what was read has vanished.
        FormatError: what appeared in time is no recording.
        GeometryError: its geometry is not known.

    Example:
        >>> spec = FollowSpec(window=128, stride=128)
        >>> for stretch in follow(Path("camera"), RecordingOptions(), spec):  # doctest: +SKIP
        ...     print(stretch.recording.shape)
    """
    return Following(_Follower(path, options, spec, report), is_over, clock)


class _Follower:
    """Remembers how far the recording was read, and as what.

    Attributes:
        has_news: whether the last look found something that can be read.
    """

    def __init__(
        self, path: Path, options: RecordingOptions, spec: FollowSpec, report: Report
    ) -> None:
        if options.layout in ARRAY_LAYOUTS:
            raise _not_followed(path)
        self.path, self.options, self.spec, self.report = path, options, spec, report
        self.files = FollowedFiles(path, report)
        self.position, self.before, self.planes = 0, 0, 0
        self.has_news = False
        self.reader: CameraReader | None = None
        self.recording: SpikeStream | None = None
        self.trouble: SourceError | FormatError | None = None

    def look(self, held: int | None = None, read: int | None = None) -> Stretch | None:
        """Take what has come since the last look.

        Args:
            held: windows of the stretch that was worked on since the last look; None after a wait.
            read: plane before which nothing is read any more; by default the next window's first.
        """
        finding = self.files.look()
        self.has_news = finding != "nothing"
        if finding == "anew":
            self._begin_anew()
        if not self.has_news:
            return None
        try:
            self.recording = self._read(self.position if read is None else read)
        except (SourceError, FormatError) as error:  # empty at first, or about to be replaced
            self.trouble, self.has_news = error, False
            return None
        self.planes, self.trouble = len(self.recording), None
        return self._whole_windows(self.recording, held)

    def finish(self, was_ended: bool) -> Iterator[Stretch]:
        """Hand out what makes no window; say why nothing came, or that it has vanished.

        Args:
            was_ended: by somebody, so that whole windows may be among the rest.
        """
        while was_ended and self.look() is not None:
            pass
        trouble = self.trouble or self.files.trouble
        if self.recording is None:
            raise trouble or SourceError(f"{self.path}: found 0 bytes, wanted a recording")
        if trouble is not None and not was_ended:
            raise trouble
        unread = self.planes - self.position
        if unread > 0 and not was_ended:
            self.report(f"{unread} planes at the end make no whole window")
        if unread > 0 or was_ended:
            total = self.before + self.planes
            yield Stretch(self.recording, self.position, self.planes, self.before, total)

    def _read(self, done: int) -> SpikeStream:
        """Read the recording as it is now; from now on its geometry is what it was found to be."""
        if self.reader is None:
            if self.path.is_file() and is_array_file(self.path):
                raise _not_followed(self.path)
            span, options = self.files.span, complete_options(self.path, self.options)
            if span.size == 0:
                raise SourceError(f"{self.path}: found 0 bytes, wanted a recording")
            self.reader = CameraReader(self.path, span, options)
            self.options = self.reader.options
        elif done > 0:
            self.files.span.forget(self.reader.offset(min(done, self.planes - 1)))
        return self.reader.read()

    def _begin_anew(self) -> None:
        lost = self.planes - self.position
        if lost > 0:
            self.report(f"{lost} planes that had made no whole window are lost")
        self.before += self.planes
        self.position, self.planes, self.reader = 0, 0, None

    def _whole_windows(self, recording: SpikeStream, held: int | None) -> Stretch | None:
        start, length, stride = self.position, self.spec.window, self.spec.stride
        if start + length > len(recording):
            return None
        starts = [window.start for window in recording.windows(length, stride, start)]
        if not starts:
            return None
        self.position = starts[-1] + stride
        is_late = held is not None and len(starts) > held
        kept = starts[-self.spec.newest :] if self.spec.newest and is_late else starts
        return Stretch(
            recording,
            start=kept[0],
            stop=starts[-1] + length,
            before=self.before,
            planes=self.before + len(recording),
            windows=len(kept),
            dropped=len(starts) - len(kept),
            is_late=is_late,
        )


def _not_followed(path: Path) -> ConfigError:
    return ConfigError(
        f"{path}: found an array, wanted a camera's file or folder; nobody writes arrays piece by "
        "piece, so predict them without following"
    )
