"""A stretch of a clip and a model come in; an annotated slow-motion video goes out."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from service.recordings import open_clip
from service.replay.pictures import Lightbox, run_around
from service.replay.protocol import View
from vidar_det.detections.boxes import Detections
from vidar_det.detections.drawing import draw_detections
from vidar_det.errors import RangeError
from vidar_det.spikes.sidecar import RecordingOptions
from vidar_det.spikes.stream import SpikeStream
from vidar_det.spikes.video import VideoWriter

MOST_FRAMES = 3000
WIDEST_DOUBLED = 640


@dataclass(frozen=True)
class FilmSpec:
    """Which video.

    Attributes:
        start: first plane that is shown.
        planes: how many planes it runs through.
        step: planes from one frame to the next.
        view: what a frame shows.
        window: planes that a frame counts.
        fps: frames per second.

    Raises:
        RangeError: more frames than a video may have.
    """

    start: int
    planes: int
    step: int
    view: View
    window: int
    fps: float

    def __post_init__(self) -> None:
        frames = -(-self.planes // self.step)
        if frames > MOST_FRAMES:
            least = -(-self.planes // MOST_FRAMES)
            raise RangeError(
                f"video of {frames} frames: wanted at most {MOST_FRAMES}; "
                f"choose a shorter stretch, or a step of {least} planes"
            )


@dataclass(frozen=True)
class Cast:
    """What was found in the stretch.

    Attributes:
        found: detections by first plane of their window.
        window: planes of a window.
        classes: names; a class id is an index into them.
    """

    found: dict[int, Detections]
    window: int
    classes: tuple[str, ...]


def window_start(recording: SpikeStream, plane: int, length: int) -> int:
    """Find the first plane of the window that holds a plane; windows are those of ``predict``."""
    first = run_around(recording, plane)[0]
    return first + (plane - first) // length * length


def film_windows(clip: Path, spec: FilmSpec, length: int, max_pixels: int) -> tuple[int, int]:
    """Find the planes whose windows a video shows: the first, and how many; blocking."""
    recording = open_clip(clip, RecordingOptions(), max_pixels)
    last = min(spec.start + spec.planes, len(recording)) - 1
    if spec.start > last:
        raise RangeError(f"plane {spec.start}: the clip has {len(recording)} planes")
    begin = window_start(recording, spec.start, length)
    stop = min(window_start(recording, last, length) + length, len(recording))
    return begin, stop - begin


def write_film(
    clip: Path,
    path: Path,
    spec: FilmSpec,
    cast: Cast,
    max_pixels: int,
    told: Callable[[], None],
) -> None:
    """Draw and write a video; blocking.

    Args:
        clip: what is shown.
        path: the video.
        spec: which part, and how.
        cast: boxes to draw.
        max_pixels: of one plane.
        told: of each picture that was written; it may raise, where nobody needs the video any more.

    Raises:
        RangeError: the clip has no such planes.
        OutputError: the video cannot be written.
    """
    recording = open_clip(clip, RecordingOptions(), max_pixels)
    if spec.start + spec.planes > len(recording):
        raise RangeError(
            f"planes {spec.start} to {spec.start + spec.planes}: the clip has {len(recording)}"
        )
    lightbox = Lightbox(recording)
    scale = 2 if recording.sensor.width <= WIDEST_DOUBLED else 1
    with VideoWriter(path, spec.fps) as video:
        for plane in range(spec.start, spec.start + spec.planes, spec.step):
            _, picture = lightbox.draw(spec.view, plane, spec.window)
            if picture.ndim == 3:
                picture = cv2.cvtColor(picture, cv2.COLOR_BGR2RGB).astype(np.uint8)
            frame = draw_detections(
                picture,
                cast.found.get(window_start(recording, plane, cast.window), Detections.empty()),
                cast.classes,
                caption=f"{recording.time_us(plane) / 1e3:.2f} ms   plane {plane}",
                scale=scale,
            )
            video.write(frame)
            told()
