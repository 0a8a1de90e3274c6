"""A labelled picture and a camera path come in, moving light with boxes goes out."""

import math
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from vidar_det.errors import RangeError
from vidar_det.spikes.annotations import FootageRecord
from vidar_det.spikes.framing import Framing
from vidar_det.spikes.labels import SceneBoxes, stack_boxes
from vidar_det.spikes.motion import Path, Shake, draw_log_uniform, draw_shake
from vidar_det.spikes.sprites import DISPLAY_GAMMA, linear_light


@dataclass(frozen=True)
class StillMotion:
    """How the camera moves over a still.

    Attributes:
        duration_s: times 0..duration_s can be asked for.
        pan: shift of the picture in frame pixels.
        shake: added to the pan.
        zoom_per_s: relative growth per second, about the frame's centre.

    Example:
        >>> StillMotion(0.01).zoom_per_s
        0.0
    """

    duration_s: float
    pan: Path = field(default_factory=lambda: Path(0.0, (0.0, 0.0), (0.0, 0.0)))
    shake: Shake = field(default_factory=Shake)
    zoom_per_s: float = 0.0

    def framing_at(self, framing: Framing, time_s: float) -> Framing:
        """The framing of the still at a time, from the one in the middle of the path."""
        (px, py), (sx, sy) = self.pan.at(time_s), self.shake.at(time_s)
        scale = framing.scale * math.exp(self.zoom_per_s * (time_s - 0.5 * self.duration_s))
        side = 1.0 if framing.flip else -1.0
        middle_x = framing.left + 0.5 * framing.width / framing.scale
        middle_y = framing.top + 0.5 * framing.height / framing.scale
        return replace(
            framing,
            scale=scale,
            left=middle_x + (side * (px + sx) - 0.5 * framing.width) / scale,
            top=middle_y - (py + sy + 0.5 * framing.height) / scale,
        )


def draw_still_motion(
    duration_s: float,
    generator: np.random.Generator,
    speed_px_s: tuple[float, float] = (10.0, 2000.0),
    shake_px: tuple[float, float] = (0.0, 1.5),
) -> StillMotion:
    """Draw a camera path over a still: one in four stands, the others pan, shake and zoom.

    Args:
        duration_s: of the path, above 0.
        generator: source of randomness.
        speed_px_s: range of the pan's speed, log-uniform.
        shake_px: range of the shake's amplitude.

    Returns:
        The path, in the middle of its way at half of the duration.

    Raises:
        RangeError: the duration is not positive.

    Example:
        >>> draw_still_motion(0.0128, np.random.default_rng(0)).duration_s
        0.0128
    """
    if not duration_s > 0:
        raise RangeError(f"duration_s = {duration_s}; wanted more than 0")
    if generator.random() < 0.25:
        return StillMotion(duration_s)
    speed, angle = draw_log_uniform(speed_px_s, generator), float(generator.normal(0.0, 0.4))
    angle += math.pi * int(generator.integers(2))
    velocity = speed * math.cos(angle), speed * math.sin(angle)
    pan = Path(0.5 * duration_s, (0.0, 0.0), velocity)
    zoom_per_s = float(generator.normal(0.0, 0.5))
    return StillMotion(duration_s, pan, draw_shake(shake_px, generator), zoom_per_s)


class StillClip:
    """A labelled picture seen by a moving camera; `open_still` builds it.

    Args:
        picture: ``(h, w) uint8`` display grey.
        framing: from picture to sensor in the middle of the path.
        motion: the camera's path.
        record: labels.
        gamma: display gamma.

    Attributes:
        width: of the sensor's frame, pixels.
        height: of the sensor's frame, pixels.
        duration_s: times 0..duration_s can be asked for.
        classes: class names.
        scored: ids of the completely labelled classes.
    """

    def __init__(
        self,
        picture: NDArray[np.uint8],
        framing: Framing,
        motion: StillMotion,
        record: FootageRecord,
        gamma: float = DISPLAY_GAMMA,
    ) -> None:
        self._picture = linear_light(picture, gamma)
        self._framing, self._motion = framing, motion
        self._rows = record.frames[0]
        self.width, self.height = framing.width, framing.height
        self.duration_s = motion.duration_s
        self.classes, self.scored = record.classes, record.scored

    def light(self, time_s: float) -> NDArray[np.float32]:
        """Light on the sensor: ``(H, W) float32`` in 0..1, fresh; as `FootageClip.light`."""
        return self._framing_at(time_s).show(self._picture)

    def boxes(self, time_s: float) -> SceneBoxes:
        """Boxes, moved exactly as the picture is; as `FootageClip.boxes`."""
        framing = self._framing_at(time_s)
        step = 1e-4
        early, late = (
            self._motion.framing_at(self._framing, time_s + sign * step) for sign in (-0.5, 0.5)
        )
        rows = []
        for row in self._rows:
            a, b = early.place(row.xyxy), late.place(row.xyxy)
            way = math.hypot(b[0] + b[2] - a[0] - a[2], b[1] + b[3] - a[1] - a[3])
            rows.append(row._replace(speed_px_s=0.5 * way / step / framing.scale))
        return stack_boxes(framing.place_all(rows))

    def _framing_at(self, time_s: float) -> Framing:
        if not -1e-9 <= time_s <= self.duration_s + 1e-9:
            raise RangeError(f"time {time_s} s; the still lasts 0..{self.duration_s} s")
        return self._motion.framing_at(self._framing, time_s)
