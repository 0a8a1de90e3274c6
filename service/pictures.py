"""A clip and a plane come in; a picture of the light around it, ready for a browser, goes out."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from service.recordings import open_clip
from service.replay.pictures import MOST_INTERVAL_PLANES, most_interval_planes
from vidar_det.errors import RangeError
from vidar_det.spikes.reconstruction import (
    texture_from_intervals,
    texture_from_playback,
    to_grey8,
    white_level,
)
from vidar_det.spikes.sidecar import RecordingOptions
from vidar_det.spikes.stream import SpikeStream, SpikeWindow

View = Literal["tfp", "tfi", "raw"]

USUAL_PLANES = {"tfp": 128, "tfi": 256, "raw": 1}
MOST_PLANES = {"tfp": 65_535, "tfi": MOST_INTERVAL_PLANES, "raw": 1}
PICTURE_TYPES = ("image/png", "image/jpeg")
SUFFIXES = {"image/png": ".png", "image/jpeg": ".jpg"}


@dataclass(frozen=True)
class PictureSpec:
    """Which picture.

    Attributes:
        plane: to look at.
        view: ``tfp`` (mean spikes), ``tfi`` (one over the interval) or ``raw`` (the plane).
        window: planes around ``plane`` that count; None for the view's usual number.
        media_type: one of ``PICTURE_TYPES``.

    Raises:
        RangeError: a window longer than the view allows.
    """

    plane: int
    view: View
    window: int | None
    media_type: str

    def __post_init__(self) -> None:
        if self.planes > MOST_PLANES[self.view]:
            most = MOST_PLANES[self.view]
            raise RangeError(f"window of {self.planes} planes: wanted at most {most} ({self.view})")

    @property
    def planes(self) -> int:
        """How many planes count, where the clip has as many."""
        return self.window or USUAL_PLANES[self.view]


def render(path: Path, options: RecordingOptions, spec: PictureSpec, max_pixels: int) -> bytes:
    """Draw one picture; blocking.

    Args:
        path: of the clip.
        options: what the client said about it.
        spec: which picture.
        max_pixels: of one plane.

    Returns:
        An image file.

    Raises:
        VidarError: the clip has no such plane, cannot be opened, or has planes so large that the
            view takes fewer of them.
    """
    recording = open_clip(path, options, max_pixels)
    grey = draw(recording, spec)
    is_written, image = cv2.imencode(SUFFIXES[spec.media_type], grey)
    assert is_written
    return image.tobytes()


def draw(recording: SpikeStream, spec: PictureSpec) -> NDArray[np.uint8]:
    """Draw one picture, ``(H, W) uint8``; the window is moved inside the recording at its ends."""
    if not spec.plane < len(recording):
        raise RangeError(f"plane {spec.plane}: the clip has {len(recording)} planes")
    if spec.view == "raw":
        return recording[spec.plane] * np.uint8(255)
    most = most_interval_planes(recording) if spec.view == "tfi" else spec.planes
    if spec.window is not None and spec.window > most:
        raise RangeError(
            f"window of {spec.window} planes: wanted at most {most} of this size ({spec.view})"
        )
    length = min(spec.planes, most, len(recording))
    start = min(max(0, spec.plane - length // 2), len(recording) - length)
    window = SpikeWindow(recording, start, length)
    if spec.view == "tfp":
        picture = texture_from_playback(window)
    else:
        picture = texture_from_intervals(window, spec.plane - start)
    return to_grey8(picture, white_level(picture))
