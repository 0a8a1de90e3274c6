"""A recording comes in; another recording, a slow-motion video or a picture goes out."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vidar_det.commands.pictures import Darkroom, write_picture
from vidar_det.errors import OutputError
from vidar_det.spikes.recording import write_recording
from vidar_det.spikes.selection import Selection, window_grid
from vidar_det.spikes.sidecar import Layout
from vidar_det.spikes.stream import ITERATED_PLANES, SpikeStream
from vidar_det.spikes.video import VideoWriter

PICTURE_PLANES = 256
"""Planes behind a PNG where the user names no number: 12.8 ms at 20,000 Hz."""
VIDEO_PLANES = 128

Report = Callable[[int, int], None]
"""Told how much is done, and of how much."""


@dataclass(frozen=True)
class ConvertSettings:
    """What to take, and how to store it.

    Attributes:
        selection: the planes; window and stride concern videos only.
        layout: of a recording that is written; ``auto``: ``plain``, in npz ``array-thw``.
        fps: frames per second of a video.
        overwrite: replace files that exist.
    """

    selection: Selection = field(default_factory=Selection)
    layout: Layout = "auto"
    fps: float = 30.0
    overwrite: bool = False


def convert_recording(
    recording: SpikeStream,
    out: str | Path,
    settings: ConvertSettings | None = None,
    report: Report = lambda done, total: None,
) -> None:
    """Convert by the ending of ``out``: ``.dat``, ``.npz``, ``.mp4`` or ``.png``.

    Videos and pictures are averages over windows (TFP), one brightness for all.

    Args:
        recording: what to convert.
        out: the file to make; its folder must exist.
        settings: what to take, and how to store it.
        report: told how many planes are done, and of how many.

    Raises:
        OutputError: another ending, ``out`` exists, or it cannot be written.
        RangeError: the recording has no such planes.
        GeometryError: the layout does not suit the ending or the geometry.

    Example:
        >>> import tempfile
        >>> from vidar_det.spikes.stream import Sensor
        >>> stream = SpikeStream.from_planes(np.ones((8, 2, 3), np.uint8), Sensor(3, 2))
        >>> with tempfile.TemporaryDirectory() as home:
        ...     convert_recording(stream, Path(home) / "clip.dat")
        ...     sorted(file.name for file in Path(home).iterdir())
        ['clip.dat', 'clip.toml']
    """
    out, settings = Path(out), settings or ConvertSettings()
    match out.suffix.lower():
        case ".dat" | ".npz":
            _write_recording(recording, out, settings, report)
        case ".mp4":
            _write_video(recording, out, settings, report)
        case ".png":
            _write_picture(recording, out, settings)
        case other:
            wanted = "wanted .dat, .npz, .mp4 or .png"
            raise OutputError(f"{out}: found the ending {other!r}, {wanted}")


def _write_recording(
    recording: SpikeStream, out: Path, settings: ConvertSettings, report: Report
) -> None:
    natural = "array-thw" if out.suffix.lower() == ".npz" else "plain"
    layout = natural if settings.layout == "auto" else settings.layout
    start, stop = settings.selection.span(recording)
    planes = _planes(recording, start, stop, report)
    write_recording(out, planes, recording.sensor, layout=layout, overwrite=settings.overwrite)


def _planes(
    recording: SpikeStream, start: int, stop: int, report: Report
) -> Iterator[NDArray[np.uint8]]:
    """Decode some planes at a time, so that memory stays bounded."""
    edges = [*range(start, stop, ITERATED_PLANES), stop]
    for first, last in itertools.pairwise(edges):
        yield from recording[first:last]
        recording.store.release(first, last)
        report(last - start, stop - start)


def _write_video(
    recording: SpikeStream, out: Path, settings: ConvertSettings, report: Report
) -> None:
    grid = window_grid(recording, settings.selection, VIDEO_PLANES)
    room = Darkroom(grid)
    with VideoWriter(out, settings.fps, overwrite=settings.overwrite) as video:
        for window in grid:
            video.write(room.develop(window))
            report(window.start + window.length - grid.start, grid.stop - grid.start)


def _write_picture(recording: SpikeStream, out: Path, settings: ConvertSettings) -> None:
    start, stop = settings.selection.span(recording)
    if settings.selection.planes is None:
        stop = min(stop, start + PICTURE_PLANES)
    grid = window_grid(recording, Selection(start, stop - start), length=stop - start)
    window = next(iter(grid))
    write_picture(out, Darkroom(grid).develop(window), settings.overwrite)
