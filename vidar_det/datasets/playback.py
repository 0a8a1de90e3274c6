"""A clip comes in; the same clip at any speed goes out, exact at its labelled frames."""

import math
from dataclasses import dataclass, replace

import numpy as np

from vidar_det.datasets.moving_light import Light
from vidar_det.spikes.footage import FootageClip, FootageRecord
from vidar_det.spikes.framing import Framing
from vidar_det.spikes.labels import SceneBoxes, stack_boxes

SNAP_FRAMES = 1e-6
"""Nearer than this to a labelled frame, a time means that frame (times are rounded floats)."""


@dataclass(frozen=True, eq=False)
class Playback:
    """A labelled clip, decoded once and shown at any speed.

    Attributes:
        clip: opened with a frame interval of one second.
        framing: from its pictures to the sensor, as the clip was opened.
        record: its labels.
        interval_s: time from one frame to the next.
    """

    clip: FootageClip
    framing: Framing
    record: FootageRecord
    interval_s: float = 1.0

    @property
    def width(self) -> int:
        """Pixels."""
        return self.clip.width

    @property
    def height(self) -> int:
        """Pixels."""
        return self.clip.height

    def timed(self, interval_s: float) -> "Playback":
        """The same clip at another speed; flow that was computed is shared."""
        return replace(self, interval_s=interval_s)

    def time_of(self, frame: int) -> float:
        """Time of a frame of the video, seconds; the first labelled frame is at 0."""
        return (frame - min(self.record.frames)) * self.interval_s

    def light(self, time_s: float) -> Light:
        """``(H, W) float32`` linear light, white is 1."""
        return self.clip.light(time_s / self.interval_s)

    def boxes(self, time_s: float) -> SceneBoxes:
        """Labelled objects: at a labelled frame its own boxes, else the clip's interpolated ones.

        Speeds are those of the interpolation; NaN for objects that are not tracked.
        """
        position = time_s / self.interval_s
        moving = self.clip.boxes(position)
        moving = moving._replace(speeds_px_s=moving.speeds_px_s / np.float32(self.interval_s))
        frame = min(self.record.frames) + round(position)
        if abs(position - round(position)) > SNAP_FRAMES or frame not in self.record.frames:
            return moving
        exact = stack_boxes(self.framing.place_all(self.record.frames[frame]))
        speeds = dict(zip(moving.track_ids.tolist(), moving.speeds_px_s.tolist(), strict=True))
        known = [speeds.get(track, math.nan) for track in exact.track_ids.tolist()]
        return exact._replace(speeds_px_s=np.array(known, np.float32))
