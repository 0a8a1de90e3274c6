"""Windows of a recording come in; grey pictures of one stable brightness go out."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from vidar_det.errors import OutputError
from vidar_det.outputs import atomic_path
from vidar_det.spikes.reconstruction import texture_from_playback, to_grey8, white_level
from vidar_det.spikes.selection import WindowGrid
from vidar_det.spikes.stream import SpikeWindow

SAMPLED_WINDOWS = 8
"""Windows that decide what is shown as white: one level for all keeps a video from flickering."""


class Darkroom:
    """Develops windows of one recording, all at the same brightness.

    Args:
        grid: the windows that will be shown.

    Example:
        >>> from vidar_det.spikes.selection import Selection, window_grid
        >>> from vidar_det.spikes.stream import Sensor, SpikeStream
        >>> stream = SpikeStream.from_planes(np.ones((64, 2, 3), np.uint8), Sensor(3, 2))
        >>> grid = window_grid(stream, Selection(), length=32)
        >>> Darkroom(grid).develop(next(iter(grid))).tolist()
        [[255, 255, 255], [255, 255, 255]]
    """

    def __init__(self, grid: WindowGrid) -> None:
        samples = [texture_from_playback(window) for window in grid.spread(SAMPLED_WINDOWS)]
        self.white = white_level(np.stack(samples))

    def develop(self, window: SpikeWindow) -> NDArray[np.uint8]:
        """Average a window (TFP) and turn it into ``(H, W) uint8`` for a screen."""
        return to_grey8(texture_from_playback(window), self.white)


def write_picture(path: str | Path, picture: NDArray[np.uint8], overwrite: bool = False) -> None:
    """Write a PNG, whole or not at all.

    Args:
        path: the file.
        picture: ``(H, W) uint8`` grey or ``(H, W, 3) uint8`` RGB.
        overwrite: replace a file that exists.

    Raises:
        OutputError: the file exists or cannot be written.
    """
    stored = picture if picture.ndim == 2 else cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    done, encoded = cv2.imencode(".png", stored)
    if not done:
        raise OutputError(f"{path}: this picture of {picture.shape} cannot be stored as PNG")
    with atomic_path(path, overwrite) as partial:
        partial.write_bytes(encoded.tobytes())
