"""A clip comes in; its recording, as long as it is by now, comes out again and again."""

from dataclasses import dataclass
from pathlib import Path

from service.recordings import open_clip
from service.replay.pictures import Lightbox
from vidar_det.errors import FormatError, SourceError
from vidar_det.spikes.recording import recording_files
from vidar_det.spikes.sidecar import RecordingOptions
from vidar_det.spikes.stream import SpikeStream

BRIGHTNESS_GROWTH = 2.0
"""A recording that grew so many times longer is given a brightness of its own again."""


@dataclass(frozen=True)
class Reel:
    """A recording as it was at one moment.

    Attributes:
        recording: open.
        lightbox: shows it.
        identity: tells files apart that bore the same name one after the other.
    """

    recording: SpikeStream
    lightbox: Lightbox
    identity: tuple[object, ...]


class ReplaySource:
    """Opens a clip, and looks after it while a camera writes on; blocking, one thread at a time.

    Args:
        path: of the clip; its sidecar says what its bytes do not.
        max_pixels: of one plane.
    """

    def __init__(self, path: Path, max_pixels: int) -> None:
        self.path, self._max_pixels = path, max_pixels
        self._size, self._brightened_planes = -1, 0

    def open(self) -> Reel:
        """Open it.

        Raises:
            VidarError: as ``open_clip`` says.
        """
        identity, self._size = self._state()
        recording = open_clip(self.path, RecordingOptions(), self._max_pixels)
        self._brightened_planes = len(recording)
        return Reel(recording, Lightbox(recording), identity)

    def look_again(self, reel: Reel) -> Reel | None:
        """Open it anew if it grew, shrank or was replaced; None while nothing happened.

        Raises:
            SourceError: it is gone.
            VidarError: as ``open_clip`` says.
        """
        identity, size = self._state()
        if (identity, size) == (reel.identity, self._size):
            return None
        if identity != reel.identity or size < self._size:
            return self.open()
        recording = open_clip(self.path, RecordingOptions(), self._max_pixels)
        self._size = size
        if len(recording) == len(reel.recording):
            return None
        white: float | None = reel.lightbox.white
        if len(recording) >= BRIGHTNESS_GROWTH * self._brightened_planes:
            self._brightened_planes, white = len(recording), None
        return Reel(recording, Lightbox(recording, white), identity)

    def _state(self) -> tuple[tuple[object, ...], int]:
        """What the file system calls the first file, and how much there is of all of them."""
        try:
            files = recording_files(self.path)[0]
            stats = [file.stat() for file in files]
        except FormatError:
            return (), -1
        except OSError as error:
            raise SourceError(f"{self.path.resolve().name}: is gone") from error
        return (stats[0].st_dev, stats[0].st_ino), sum(stat.st_size for stat in stats)
