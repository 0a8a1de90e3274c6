"""A clip that a client sent comes in; an open recording within the service's limits comes out."""

import zipfile
from pathlib import Path

from vidar_det.errors import FormatError, RangeError
from vidar_det.spikes.arrays import is_array_file
from vidar_det.spikes.selection import open_source
from vidar_det.spikes.sidecar import RecordingOptions
from vidar_det.spikes.stream import SpikeStream


def open_clip(path: Path, options: RecordingOptions, max_pixels: int) -> SpikeStream:
    """Open a clip; what the options leave open stands in its sidecar, or is guessed.

    Args:
        path: the clip.
        options: what the client said.
        max_pixels: of one plane.

    Raises:
        FormatError: an npz archive, whose members unpack into memory, to any size.
        RangeError: planes of more pixels.
        VidarError: as ``open_recording`` says.
    """
    _check_pixels((options.width or 1) * (options.height or 1), max_pixels)
    if _is_archive(path):
        raise FormatError("clip: found an npz or zip archive, wanted camera bytes or npy")
    recording = open_source(path, options)
    _check_pixels(recording.sensor.width * recording.sensor.height, max_pixels)
    return recording


def _is_archive(path: Path) -> bool:
    """Whether the library would look for arrays in a zip archive, whatever its first bytes are."""
    return path.is_file() and is_array_file(path) and zipfile.is_zipfile(path)


def _check_pixels(found: int, wanted: int) -> None:
    if found > wanted:
        raise RangeError(f"clip: found planes of {found} pixels, wanted at most {wanted}")
