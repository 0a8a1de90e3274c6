"""A clip whose geometry is in doubt comes in; the likely ones with a picture of each go out.

People see at once which picture is right.
"""

import base64
import dataclasses
from dataclasses import dataclass
from pathlib import Path

import cv2

from service.recordings import open_clip
from service.replay.pictures import Lightbox
from vidar_det.errors import VidarError
from vidar_det.spikes.likely import LikelyGeometry, likely_geometries
from vidar_det.spikes.sidecar import RecordingOptions

HEAD_BYTES = 4 << 20
"""Of a file's beginning: enough to look at."""

PREVIEW_PLANES = 64
MOST_PREVIEWS = 6


@dataclass(frozen=True)
class GeometryPreview:
    """A way to read a clip, and what it would look like.

    Attributes:
        geometry: the way.
        flip: what makes it upright.
        picture: of its first planes, as a ``data:`` address.
    """

    geometry: LikelyGeometry
    flip: str
    picture: str


def preview_geometries(
    path: Path, options: RecordingOptions, max_pixels: int, size_bytes: int | None = None
) -> list[GeometryPreview]:
    """Show the likely ways to read a file; blocking.

    Args:
        path: the clip, or its first bytes.
        options: a width and height of the user's own are shown first; so is their flip.
        max_pixels: of one plane.
        size_bytes: of the whole clip, where ``path`` holds its first bytes only.
    """
    found = []
    for geometry in likely_geometries(path, options, size_bytes):
        if geometry.width * geometry.height <= max_pixels:
            found.append(geometry)
    wanted = (options.width, options.height)
    found.sort(key=lambda one: (one.width, one.height) != wanted)  # stable: else by likelihood
    shown = (_preview(path, options, geometry, max_pixels) for geometry in found[:MOST_PREVIEWS])
    return [one for one in shown if one is not None]


def _preview(
    path: Path, options: RecordingOptions, geometry: LikelyGeometry, max_pixels: int
) -> GeometryPreview | None:
    chosen = dataclasses.replace(
        options, width=geometry.width, height=geometry.height, layout=geometry.layout
    )
    try:
        recording = open_clip(path, chosen, max_pixels)
    except VidarError:  # it cannot be read so after all
        return None
    _, picture = Lightbox(recording).draw("tfp", 0, PREVIEW_PLANES)
    done, encoded = cv2.imencode(".jpg", picture)
    assert done
    address = f"data:image/jpeg;base64,{base64.b64encode(encoded.tobytes()).decode()}"
    return GeometryPreview(geometry, recording.flip, address)
