"""Records, videos or pictures come in, moving light with boxes goes out: real footage as a scene.

A clip's frames are joined by optical flow; a still moves by a path of the camera. ``time_s`` is
time at the sensor: ``frame_interval_s`` says how long one frame interval of the clip takes there,
so the same clip can be shown slow or fast. Light is ``(grey / 255) ** gamma``.
"""

import math
from collections import OrderedDict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vidar_det.errors import FormatError, RangeError, SourceError
from vidar_det.spikes.annotations import UNTRACKED, FootageRecord, load_footage
from vidar_det.spikes.flow import Between
from vidar_det.spikes.frames import FolderFrames, Frames, VideoFrames, read_all
from vidar_det.spikes.framing import Framing
from vidar_det.spikes.labels import DEFAULT_CLASSES, BoxRow, SceneBoxes, stack_boxes
from vidar_det.spikes.sprites import DISPLAY_GAMMA, read_picture
from vidar_det.spikes.stills import StillClip, StillMotion, draw_still_motion

__all__ = [
    "FootageClip",
    "FootageRecord",
    "StillClip",
    "StillMotion",
    "draw_still_motion",
    "load_footage",
    "open_clip",
    "open_still",
    "open_video_light",
]

PAIRS_KEPT = 8


class FootageClip:
    """A video as moving light; `open_clip` and `open_video_light` build it.

    Boxes between two labelled frames are interpolated by track. A box without a partner of the
    same track and class stands where its nearer frame has it, and vanishes half-way. A box is
    ignored while either of its two labels is.

    Args:
        frames: the pictures.
        framing: from picture to sensor.
        frame_interval_s: sensor time from one frame to the next.
        record: labels; None for a clip without.
        gamma: display gamma of the frames.

    Attributes:
        width: of the sensor's frame, pixels.
        height: of the sensor's frame, pixels.
        duration_s: times 0..duration_s can be asked for.
        classes: class names.
        scored: ids of the completely labelled classes.

    Raises:
        RangeError: the frame interval is not positive.
    """

    def __init__(
        self,
        frames: Frames,
        framing: Framing,
        frame_interval_s: float,
        record: FootageRecord | None = None,
        gamma: float = DISPLAY_GAMMA,
    ) -> None:
        if not frame_interval_s > 0:
            raise RangeError(f"frame_interval_s = {frame_interval_s}; wanted more than 0")
        self._frames, self._framing, self._gamma = frames, framing, gamma
        self._labels = {} if record is None else record.frames
        self._labelled = sorted(self._labels)
        self._first = self._labelled[0] if self._labelled else 0
        last = self._labelled[-1] if self._labelled else len(frames) - 1
        self.frame_interval_s = frame_interval_s
        self.width, self.height = framing.width, framing.height
        self.duration_s = (last - self._first) * frame_interval_s
        self.classes = DEFAULT_CLASSES if record is None else record.classes
        self.scored = () if record is None else record.scored
        self._pairs: OrderedDict[int, Between] = OrderedDict()

    def light(self, time_s: float) -> NDArray[np.float32]:
        """Light on the sensor.

        Args:
            time_s: 0..duration_s.

        Returns:
            ``(H, W) float32`` in 0..1, fresh.

        Raises:
            RangeError: the time lies outside the clip.

        Example:
            >>> clip.light(0.01).dtype      # doctest: +SKIP
            dtype('float32')
        """
        position = self._position(time_s)
        number = min(int(position), len(self._frames) - 2)
        return self._framing.show(self._pair(number).light(position - number))

    def boxes(self, time_s: float) -> SceneBoxes:
        """Boxes of the labelled objects.

        Args:
            time_s: 0..duration_s.

        Returns:
            The boxes inside the frame.

        Raises:
            RangeError: the time lies outside the clip.

        Example:
            >>> clip.boxes(0.01).xyxy.shape      # doctest: +SKIP
            (3, 4)
        """
        position = self._position(time_s)
        if not self._labelled:
            return stack_boxes([])
        k = max(0, int(np.searchsorted(self._labelled, position, side="right")) - 1)
        start, end = self._labelled[k], self._labelled[min(k + 1, len(self._labelled) - 1)]
        share = (position - start) / (end - start) if end > start else 0.0
        interval_s = max(1, end - start) * self.frame_interval_s
        rows = _interpolated(self._labels[start], self._labels[end], share, interval_s)
        return stack_boxes(self._framing.place_all(rows))

    def _position(self, time_s: float) -> float:
        if not -1e-9 <= time_s <= self.duration_s + 1e-9:
            raise RangeError(f"time {time_s} s; the clip lasts 0..{self.duration_s} s")
        return self._first + min(max(time_s, 0.0), self.duration_s) / self.frame_interval_s

    def _pair(self, number: int) -> Between:
        if number in self._pairs:
            self._pairs.move_to_end(number)
        else:
            before, after = self._frames[number], self._frames[number + 1]
            self._pairs[number] = Between(before, after, self._gamma)
            if len(self._pairs) > PAIRS_KEPT:
                self._pairs.popitem(last=False)
        return self._pairs[number]


def _interpolated(
    before: tuple[BoxRow, ...], after: tuple[BoxRow, ...], share: float, interval_s: float
) -> list[BoxRow]:
    """Boxes at a share of the way between two labelled frames."""
    tracked = [row for row in after if row.track_id != UNTRACKED]
    partners = {(row.track_id, row.class_id): row for row in reversed(tracked)}
    rows = []
    for row in before:
        partner = partners.pop((row.track_id, row.class_id), None)
        if partner is not None:
            rows.append(_blend(row, partner, share, interval_s))
        elif share < 0.5:
            rows.append(row)
    if share >= 0.5:
        rows += list(partners.values())
        rows += [row for row in after if row.track_id == UNTRACKED]
    return rows


def _blend(a: BoxRow, b: BoxRow, share: float, interval_s: float) -> BoxRow:
    x0, y0, x1, y1 = ((1.0 - share) * p + share * q for p, q in zip(a.xyxy, b.xyxy, strict=True))
    dx = 0.5 * (b.xyxy[0] + b.xyxy[2] - a.xyxy[0] - a.xyxy[2])
    dy = 0.5 * (b.xyxy[1] + b.xyxy[3] - a.xyxy[1] - a.xyxy[3])
    speed = math.hypot(dx, dy) / interval_s
    return BoxRow((x0, y0, x1, y1), a.class_id, a.track_id, a.ignore or b.ignore, speed)


def open_clip(
    record: FootageRecord,
    framing: Framing | None = None,
    frame_interval_s: float | None = None,
    gamma: float = DISPLAY_GAMMA,
) -> FootageClip:
    """Read the video of a record into memory.

    Args:
        record: a clip of `load_footage`.
        framing: from picture to sensor; None keeps the video's own size.
        frame_interval_s: sensor time from frame to frame; None takes the nominal 1 / fps.
        gamma: display gamma.

    Returns:
        The clip.

    Raises:
        SourceError: the video is missing or unreadable, or the record is a still.
        FormatError: the video's size differs from the labels', or labels exceed its frames.

    Example:
        >>> open_clip(load_footage("annotations.json")[0], frame_interval_s=0.01)  # doctest: +SKIP
    """
    if record.is_still:
        raise SourceError(f"{record.path}: a still, no clip; use open_still")
    frames = read_all(VideoFrames(record.path))
    last = max(record.frames)
    if last >= len(frames):
        raise FormatError(f"{record.path}: {len(frames)} frames, but frame {last} is labelled")
    _check_size(record, frames[0])
    framing = framing or Framing(*record.size)
    return FootageClip(frames, framing, frame_interval_s or 1.0 / record.fps, record, gamma)


def open_still(
    record: FootageRecord,
    motion: StillMotion,
    framing: Framing | None = None,
    gamma: float = DISPLAY_GAMMA,
) -> StillClip:
    """Read the picture of a record.

    Args:
        record: a still of `load_footage`.
        motion: the camera's path.
        framing: from picture to sensor; None keeps the picture's own size.
        gamma: display gamma.

    Returns:
        The still as a clip.

    Raises:
        SourceError: the picture is missing or unreadable, or the record is a video.
        FormatError: the picture's size differs from the labels'.

    Example:
        >>> open_still(load_footage("annotations.json")[0], StillMotion(0.01))  # doctest: +SKIP
    """
    if not record.is_still:
        raise SourceError(f"{record.path}: a clip, no still; use open_clip")
    picture = read_picture(record.path)
    _check_size(record, picture)
    return StillClip(picture, framing or Framing(*record.size), motion, record, gamma)


def open_video_light(
    path: Path | str,
    framing: Framing | None = None,
    frame_interval_s: float | None = None,
    gamma: float = DISPLAY_GAMMA,
) -> FootageClip:
    """Take any video or folder of pictures as a source of light without labels.

    Frames are decoded when they are needed; only a few stay in memory.

    Args:
        path: a video that OpenCV reads, or a folder of at least two pictures of one size.
        framing: from picture to sensor; None keeps the source's own size.
        frame_interval_s: sensor time from frame to frame; None takes 1 / fps (folders: 25 fps).
        gamma: display gamma.

    Returns:
        A clip whose ``boxes`` are empty.

    Raises:
        SourceError: the video is missing or unreadable, or there are fewer than two frames.

    Example:
        >>> open_video_light("street.mp4", frame_interval_s=0.01)      # doctest: +SKIP
    """
    frames = FolderFrames(path) if Path(path).is_dir() else VideoFrames(path)
    height, width = frames[0].shape
    framing = framing or Framing(width, height)
    return FootageClip(frames, framing, frame_interval_s or 1.0 / frames.fps, None, gamma)


def _check_size(record: FootageRecord, picture: NDArray[np.uint8]) -> None:
    width, height = record.size
    if picture.shape != (height, width):
        raise FormatError(
            f"{record.path}: {picture.shape[1]}x{picture.shape[0]} px; "
            f"the labels are made for {width}x{height}"
        )
