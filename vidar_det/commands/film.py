"""Windows and their detections come in one by one; an annotated slow-motion video goes out."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vidar_det.commands.pictures import Darkroom
from vidar_det.detections.boxes import Detections, GroundTruth
from vidar_det.detections.drawing import draw_detections
from vidar_det.spikes.selection import WindowGrid
from vidar_det.spikes.stream import SpikeWindow
from vidar_det.spikes.video import VideoWriter

WIDEST_DOUBLED = 640
"""Pictures up to this width are shown at twice their size, so that labels can be read."""


class Film:
    """A video of a recording's windows, one frame a window, with what was found in them.

    Args:
        path: the file to write.
        grid: the windows that will be shown; they decide the brightness.
        classes: names; a class id is an index into them.
        fps: frames per second.

    Raises:
        OutputError: the video cannot be written.

    Example:
        >>> with Film(Path("annotated.mp4"), grid, ("person",), fps=30.0) as film:  # doctest: +SKIP
        ...     film.show(window, detections)
    """

    def __init__(self, path: Path, grid: WindowGrid, classes: Sequence[str], fps: float) -> None:
        self._room, self._classes = Darkroom(grid), classes
        self._video = VideoWriter(path, fps)

    def __enter__(self) -> "Film":
        self._video.__enter__()
        return self

    def __exit__(self, *failure: object) -> None:
        self._video.__exit__(*failure)

    def show(self, window: SpikeWindow, detections: Detections) -> None:
        """Add a frame."""
        self._video.write(draw_window(self._room, window, detections, self._classes))


def draw_window(
    room: Darkroom,
    window: SpikeWindow,
    detections: Detections,
    classes: Sequence[str],
    truth: GroundTruth | None = None,
) -> NDArray[np.uint8]:
    """Show one window: its averaged picture, the boxes, its sensor time and planes.

    Args:
        room: develops the picture.
        window: what to show.
        detections: what was found in it.
        classes: names; a class id is an index into them.
        truth: what it truly shows, drawn dashed.

    Returns:
        ``(H', W', 3) uint8`` RGB, twice the recording's size where that is small, and a caption.
    """
    last = window.start + window.length - 1
    return draw_detections(
        room.develop(window),
        detections,
        classes,
        caption=f"{window.time_us / 1e3:.2f} ms   planes {window.start}-{last}",
        ground_truth=truth,
        scale=2 if window.stream.sensor.width <= WIDEST_DOUBLED else 1,
    )
