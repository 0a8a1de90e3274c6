"""A scene spec and a random generator come in, the parts of one scene go out."""

import math
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from vidar_det.errors import LabelError, SourceError
from vidar_det.spikes.cast import Cast
from vidar_det.spikes.drawn.walls import paint_wall
from vidar_det.spikes.motion import Path, Shake, draw_log_uniform, draw_shake
from vidar_det.spikes.movers import Look, Mover, build_mover
from vidar_det.spikes.scene_spec import SceneSpec
from vidar_det.spikes.sprites import DISPLAY_GAMMA, Sprite

LARGEST_IN_FRAMES = 1.6
LARGEST_IN_SPRITES = 4.0
SLOWEST_PX_S = 10.0
EYES_IN_PERSONS = (0.75, 1.15)
"""Height of a camera at eye level above the ground, heights of a person."""


class Flicker(NamedTuple):
    """Lamps on alternating current.

    Attributes:
        depth: share of the light that swings.
        rate_hz: twice the mains frequency.
        phase: radians.
    """

    depth: float
    rate_hz: float
    phase: float

    def at(self, time_s: float) -> float:
        """Factor on all light at a time in seconds."""
        return 1.0 + self.depth * math.sin(math.tau * self.rate_hz * time_s + self.phase)


class _Place(NamedTuple):
    """Where a sprite stands: person height there, sprite size (h, w), centre x, y at a time."""

    person_px: float
    size: tuple[int, int]
    centre: tuple[float, float]


class Composer:
    """Draws the parts of one scene, first what all parts share: horizon, contrast, shadows."""

    def __init__(self, spec: SceneSpec, generator: np.random.Generator) -> None:
        self._spec = spec
        self._generator = generator
        self._gamma = DISPLAY_GAMMA * float(generator.uniform(*spec.gamma))
        self._horizon = float(generator.uniform(0.1, 0.6))
        self._has_shadows = self._happens(spec.shadow_probability)
        up = float(generator.uniform(0.08, 0.35)) * float(generator.choice([-1.0, 1.0]))
        self._shadow_reach = (float(generator.uniform(-0.7, 0.7)), up)
        self._crowd = None
        if self._happens(spec.crowd_probability):
            self._crowd = float(generator.uniform(0.2, 0.8)) * spec.width
        self._eyes = None
        if spec.eye_level_probability and self._happens(spec.eye_level_probability):
            self._eyes = float(generator.uniform(*EYES_IN_PERSONS))

    def draw_shake(self) -> Shake:
        """The camera's trembling; firm in most scenes."""
        if not self._happens(self._spec.shake_probability):
            return Shake()
        return draw_shake(self._spec.shake_px, self._generator)

    def draw_flicker(self) -> Flicker:
        """The lamps' flicker; depth 0 in most scenes."""
        rng = self._generator
        flickers = self._happens(self._spec.flicker_probability)
        depth = float(rng.uniform(0.05, 0.4)) if flickers else 0.0
        return Flicker(depth, float(rng.choice([100.0, 120.0])), float(rng.uniform(0, math.tau)))

    def draw_light(self) -> tuple[NDArray[np.float32], float]:
        """Gain ``(H, W) float32`` on every surface's light, and the haze added to it."""
        spec, rng = self._spec, self._generator
        at_white = draw_log_uniform(spec.light_at_white, rng)
        haze = float(rng.uniform(*spec.haze))
        angle, fall = float(rng.uniform(0, math.tau)), float(rng.uniform(0, spec.gradient))
        x = np.linspace(-0.5, 0.5, spec.width, dtype=np.float32) * math.cos(angle)
        y = np.linspace(-0.5, 0.5, spec.height, dtype=np.float32) * math.sin(angle)
        ramp = 1.0 + fall * (x[None, :] + y[:, None])
        return (ramp * (at_white * (1.0 - haze))).astype(np.float32), 0.5 * haze * at_white

    def cut_background(
        self, plate: NDArray[np.float32], shake: Shake
    ) -> tuple[NDArray[np.float32], Path]:
        """Cut a plate large enough for the pan and the shake, and draw the pan."""
        spec = self._spec
        velocity = self._draw_pan()
        travel_x, travel_y = (abs(v) * spec.duration_s for v in velocity)
        margin = 2 * math.ceil(shake.amplitude_px) + 4
        need = (
            spec.height + math.ceil(travel_y) + margin,
            spec.width + math.ceil(travel_x) + margin,
        )
        background = self._cover(plate, need)
        middle = (-0.5 * (need[1] - spec.width), -0.5 * (need[0] - spec.height))
        position = (float(round(middle[0])), float(round(middle[1])))
        return background, Path(0.5 * spec.duration_s, position, velocity)

    def draw_movers(self, cast: Cast, pan_px_s: tuple[float, float]) -> tuple[Mover, ...]:
        """Labelled objects and distractors on their paths, far ones first."""
        chosen = self._choose(cast)
        drawn: list[tuple[float, Mover]] = []
        for sprite in chosen:
            place = self._place(sprite)
            look = self._look(place.size)
            path = self._draw_path(place, pan_px_s)
            drawn.append((place.person_px, build_mover(sprite, look, path, len(drawn))))
            if sprite.rider is not None:
                rider = build_mover(sprite.rider, look._replace(shadow=0.0), path, len(drawn))
                drawn.append((place.person_px, rider))
        drawn.sort(key=lambda pair: pair[0])
        return tuple(mover for _, mover in drawn)

    def _happens(self, probability: float) -> bool:
        return bool(self._generator.random() < probability)

    def _draw_pan(self) -> tuple[float, float]:
        spec, rng = self._spec, self._generator
        if not self._happens(spec.pan_probability):
            return 0.0, 0.0
        fastest = 0.5 * spec.height / spec.duration_s
        speed = min(draw_log_uniform(spec.pan_px_s, rng), fastest)
        angle = float(rng.normal(0.0, 0.3)) + math.pi * int(rng.integers(2))
        return speed * math.cos(angle), speed * math.sin(angle)

    def _cover(self, plate: NDArray[np.float32], need: tuple[int, int]) -> NDArray[np.float32]:
        """Cut a random part of the plate and scale it to the needed (h, w)."""
        rng = self._generator
        (rows, columns), (height, width) = plate.shape, need
        scale = max(height / rows, width / columns) * float(rng.uniform(1.0, 1.6))
        cut_h, cut_w = min(rows, round(height / scale)), min(columns, round(width / scale))
        top, left = int(rng.integers(rows - cut_h + 1)), int(rng.integers(columns - cut_w + 1))
        part = plate[top : top + cut_h, left : left + cut_w]
        if self._spec.flip and self._happens(0.5):
            part = part[:, ::-1]
        method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        resized = cv2.resize(np.ascontiguousarray(part), (width, height), interpolation=method)
        deepened = np.maximum(resized, 0) ** np.float32(self._gamma / DISPLAY_GAMMA)
        light = np.asarray(deepened, dtype=np.float32)
        if self._happens(self._spec.wall_probability):
            paint_wall(light, rng)
        return light

    def _choose(self, cast: Cast) -> list[Sprite]:
        spec, rng, groups = self._spec, self._generator, cast.groups
        count = int(rng.integers(spec.objects[0], spec.objects[1] + 1))
        if count and not groups:
            raise SourceError(f"{count} objects wanted, but no sprite has a class")
        if groups and cast.highest_class_id >= len(spec.classes):
            raise LabelError(
                f"a sprite has class id {cast.highest_class_id}; classes are {spec.classes}"
            )
        picked = [groups[int(rng.integers(len(groups)))] for _ in range(count)]
        has_others = len(cast.distractors) > 0
        extra = int(rng.integers(spec.distractors[0], spec.distractors[1] + 1)) if has_others else 0
        picked += [cast.distractors] * extra
        return [group[int(rng.integers(len(group)))] for group in picked]

    def _place(self, sprite: Sprite) -> _Place:
        spec, rng = self._spec, self._generator
        person = draw_log_uniform(spec.height_px, rng)
        rows, columns = sprite.grey.shape
        height = person * sprite.height_in_persons * float(rng.uniform(0.9, 1.1))
        width = height * columns / rows * float(rng.uniform(0.92, 1.08))
        excess = max(
            height / (LARGEST_IN_FRAMES * spec.height),
            width / (LARGEST_IN_FRAMES * spec.width),
            height / (LARGEST_IN_SPRITES * rows),
        )
        if excess > 1:
            height, width = height / excess, width / excess
        size = max(2, round(height)), max(2, round(width))
        return _Place(person, size, self._draw_centre(person, size))

    def _draw_centre(self, person: float, size: tuple[int, int]) -> tuple[float, float]:
        """Nearer objects stand lower; at eye level exactly so, else save for one in three."""
        spec, rng = self._spec, self._generator
        (height, width), frame_h, frame_w = size, spec.height, spec.width
        x = float(rng.uniform(0, frame_w))
        if self._crowd is not None:
            x = float(rng.normal(self._crowd, 0.12 * frame_w))
        if self._eyes is not None:  # flat ground: all heights are seen as shares of a person's
            feet = frame_h * self._horizon + person * self._eyes
            y = feet + float(rng.normal(0, 0.02)) * frame_h - 0.5 * height
        elif self._happens(1 / 3):  # seen from above, or on a slope
            y = float(rng.uniform(0, frame_h))
        else:
            near = min(1.2, person / frame_h) ** 0.7
            feet = frame_h * (self._horizon + (1.0 - self._horizon) * near + rng.normal(0, 0.06))
            y = feet - 0.5 * height
        if self._happens(spec.truncation_probability):
            return x, min(max(y, -0.2 * height), frame_h + 0.2 * height)
        return _within(x, width, frame_w), _within(y, height, frame_h)

    def _look(self, size: tuple[int, int]) -> Look:
        spec, rng = self._spec, self._generator
        gain = draw_log_uniform(spec.object_light, rng)
        tilt = float(rng.uniform(-0.35, 0.35))
        return Look(
            size=size,
            gamma=self._gamma,
            gain=(gain * (1.0 + tilt), gain * (1.0 - tilt)),
            shadow=float(rng.uniform(0.3, 0.75)) if self._has_shadows else 0.0,
            shadow_reach=self._shadow_reach,
            flip=spec.flip and self._happens(0.5),
        )

    def _draw_path(self, place: _Place, pan_px_s: tuple[float, float]) -> Path:
        """The path of the sprite's corner; it is at its place in the middle half of the scene."""
        spec, rng = self._spec, self._generator
        (height, width), (x, y) = place.size, place.centre
        corner = x - 0.5 * width, y - 0.5 * height
        centre_s = spec.duration_s * float(rng.uniform(0.25, 0.75))
        if self._happens(spec.still_probability):
            return Path(centre_s, corner, pan_px_s)
        slowest = max(spec.speed_px_s[0], min(SLOWEST_PX_S, spec.speed_px_s[1]))
        speed = draw_log_uniform((slowest, spec.speed_px_s[1]), rng) if slowest > 0 else 0.0
        angle = (
            float(rng.normal(0.0, 0.15)) if self._happens(0.8) else float(rng.uniform(-1.5, 1.5))
        )
        angle += math.pi * int(rng.integers(2))
        velocity = speed * math.cos(angle), speed * math.sin(angle)
        if spec.acceleration_s == 0:
            return Path(centre_s, corner, velocity)
        factor = float(rng.uniform(-1.0, 1.0)) / max(spec.acceleration_s, 2.0 * spec.duration_s)
        return Path(centre_s, corner, velocity, (velocity[0] * factor, velocity[1] * factor))


def _within(centre: float, extent: float, frame: float) -> float:
    """The centre, moved so that the extent lies in the frame, or in its middle if larger."""
    if extent >= frame:
        return 0.5 * frame
    return min(max(centre, 0.5 * extent), frame - 0.5 * extent)
