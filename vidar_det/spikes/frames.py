"""A video or a folder of pictures comes in, grey frames by number go out, in bounded memory."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from vidar_det.errors import RangeError, ShapeError, SourceError
from vidar_det.spikes.sprites import PICTURE_SUFFIXES, read_picture

Byte = NDArray[np.uint8]


class Frames(Protocol):
    """Numbered grey frames ``(h, w) uint8``, all of one size."""

    def __len__(self) -> int: ...
    def __getitem__(self, number: int) -> Byte: ...


class VideoFrames:
    """The frames of a video file, decoded one after another; going back starts anew.

    Args:
        path: anything that OpenCV reads.

    Attributes:
        fps: frames per second that the file states, or 25.

    Raises:
        SourceError: the file is missing, no video, or has fewer than two frames.

    Example:
        >>> VideoFrames("missing.mp4")
        Traceback (most recent call last):
        vidar_det.errors.SourceError: missing.mp4: no readable video
    """

    def __init__(self, path: Path | str) -> None:
        self._path = Path(path)
        self._video = self._open()
        self.fps = float(self._video.get(cv2.CAP_PROP_FPS)) or 25.0
        self._count = 0
        while self._video.grab():
            self._count += 1
        if self._count < 2:
            raise SourceError(f"{path}: {self._count} readable frames; wanted at least 2")
        self._video, self._next = self._open(), 0
        self._latest: Byte | None = None

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, number: int) -> Byte:
        if not 0 <= number < self._count:
            raise RangeError(f"{self._path}: frame {number} of {self._count}")
        if number == self._next - 1 and self._latest is not None:
            return self._latest
        if number < self._next:
            self._video, self._next = self._open(), 0
        while self._next < number:
            self._video.grab()
            self._next += 1
        is_read, frame = self._video.read()
        if not is_read:
            raise SourceError(f"{self._path}: frame {number} cannot be decoded")
        self._next = number + 1
        self._latest = _grey(np.asarray(frame, dtype=np.uint8))
        return self._latest

    def _open(self) -> cv2.VideoCapture:
        video = cv2.VideoCapture(str(self._path)) if self._path.is_file() else None
        if video is None or not video.isOpened():
            raise SourceError(f"{self._path}: no readable video")
        return video


class FolderFrames:
    """The pictures of a folder in the order of their names, read when asked for.

    Args:
        folder: holds at least two pictures of one size.

    Attributes:
        fps: 25, as pictures state none.

    Raises:
        SourceError: no such folder, or fewer than two pictures in it.

    Example:
        >>> FolderFrames("missing")
        Traceback (most recent call last):
        vidar_det.errors.SourceError: missing: 0 pictures; wanted at least 2
    """

    fps = 25.0

    def __init__(self, folder: Path | str) -> None:
        found = Path(folder).glob("*")
        self._paths = sorted(p for p in found if p.suffix.lower() in PICTURE_SUFFIXES)
        if len(self._paths) < 2:
            raise SourceError(f"{folder}: {len(self._paths)} pictures; wanted at least 2")
        self._shape = read_picture(self._paths[0]).shape

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, number: int) -> Byte:
        if not 0 <= number < len(self._paths):
            raise RangeError(f"picture {number} of {len(self._paths)}")
        picture = read_picture(self._paths[number])
        if picture.shape != self._shape:
            raise ShapeError(f"{self._paths[number]}: {picture.shape}; the first is {self._shape}")
        return picture


def read_all(frames: Frames) -> Sequence[Byte]:
    """Decode every frame into memory, for access in any order."""
    return [frames[number] for number in range(len(frames))]


def _grey(frame: Byte) -> Byte:
    return (
        frame if frame.ndim == 2 else np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY), np.uint8)
    )
