"""Sprites, backgrounds and a spec come in, moving light with exact boxes goes out."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from vidar_det.errors import RangeError, SourceError
from vidar_det.spikes.cast import Cast
from vidar_det.spikes.composing import Composer, Flicker
from vidar_det.spikes.labels import DEFAULT_CLASSES, BoxRow, SceneBoxes, is_cut_off, stack_boxes
from vidar_det.spikes.motion import Path, Shake
from vidar_det.spikes.movers import Mover, shifted, visibility
from vidar_det.spikes.scene_spec import SceneSpec
from vidar_det.spikes.sprites import Sprite

__all__ = ["Scene", "SceneBoxes", "SceneSpec", "compose_scene"]

MOST_COVERED = 0.75


@dataclass(frozen=True)
class Scene:
    """A composed scene: movers over a background, seen by a moving camera.

    Pixel ``i`` covers ``i..i+1``. Boxes enclose alpha > 0.5, clipped to the frame; they are not
    shrunk where a nearer object hides a part. An object is *ignored* when less than 25 % of it lies
    in the frame and that part fills less than 12 % of the frame, when nearer objects hide more than
    75 % of what the frame shows, or when a side is under 4 px. It is *absent* when no pixel of it
    can be seen.

    Attributes:
        width: frame width, pixels.
        height: frame height, pixels.
        duration_s: last time that can be rendered, seconds.
        background: ``(H + margin, W + margin) float32`` linear light.
        background_path: of the background's top left corner, in pixels of the frame.
        shake: common to background and movers.
        movers: far ones first.
        gain: ``(H, W) float32`` light that the sensor gets of a surface's light.
        haze: light added everywhere.
        flicker: of the lamps, multiplies all light.
        classes: names of the class ids.
    """

    width: int
    height: int
    duration_s: float
    background: NDArray[np.float32]
    background_path: Path
    shake: Shake
    movers: tuple[Mover, ...]
    gain: NDArray[np.float32]
    haze: float
    flicker: Flicker
    classes: tuple[str, ...] = DEFAULT_CLASSES

    @property
    def scored(self) -> tuple[int, ...]:
        """Ids of the completely labelled classes: all of them."""
        return tuple(range(len(self.classes)))

    def light(self, time_s: float) -> NDArray[np.float32]:
        """Render the light that falls on the sensor.

        Args:
            time_s: 0..duration_s.

        Returns:
            ``(H, W) float32`` linear light, fresh; 1 saturates the sensor, more may occur.

        Raises:
            RangeError: the time lies outside the scene.

        Example:
            >>> scene.light(0.0).shape      # doctest: +SKIP
            (250, 400)
        """
        self._check_time(time_s)
        dx, dy = self.shake.at(time_s)
        frame = self._background_at(time_s, dx, dy)
        for mover in self.movers:
            x, y = mover.path.at(time_s)
            mover.paste(frame, (x + dx, y + dy))
        swing = self.flicker.at(time_s)
        cv2.multiply(frame, self.gain, dst=frame, scale=swing)
        if self.haze > 0:
            frame += np.float32(swing * self.haze)
        return frame

    def boxes(self, time_s: float) -> SceneBoxes:
        """Boxes of the labelled objects, exact at any time.

        Args:
            time_s: 0..duration_s.

        Returns:
            Nearest object first; speeds include the camera's shake.

        Raises:
            RangeError: the time lies outside the scene.

        Example:
            >>> scene.boxes(0.0).xyxy.shape      # doctest: +SKIP
            (3, 4)
        """
        self._check_time(time_s)
        hidden = np.zeros((self.height, self.width), dtype=np.bool_)
        found = [self._row(mover, time_s, hidden) for mover in reversed(self.movers)]
        return stack_boxes([row for row in found if row is not None and row.class_id >= 0])

    def _check_time(self, time_s: float) -> None:
        if not -1e-9 <= time_s <= self.duration_s + 1e-9:
            raise RangeError(f"time {time_s} s; the scene lasts 0..{self.duration_s} s")

    def _background_at(self, time_s: float, dx: float, dy: float) -> NDArray[np.float32]:
        x, y = self.background_path.at(time_s)
        x, y = -(x + dx), -(y + dy)
        left, top = math.ceil(x), math.ceil(y)
        part = self.background[top - 1 : top + self.height, left - 1 : left + self.width]
        return shifted(part, left - x, top - y)

    def _row(self, mover: Mover, time_s: float, hidden: NDArray[np.bool_]) -> BoxRow | None:
        (x, y), (dx, dy) = mover.path.at(time_s), self.shake.at(time_s)
        seen = visibility(mover, (x + dx, y + dy), hidden)
        if seen is None or seen.pixels == 0:
            return None
        left, top, right, bottom = seen.xyxy
        share = (right - left) * (bottom - top) / (self.width * self.height)
        cut_off = is_cut_off(seen.inside, share, min(right - left, bottom - top))
        (vx, vy), (sx, sy) = mover.path.velocity_at(time_s), self.shake.velocity_at(time_s)
        return BoxRow(
            xyxy=seen.xyxy,
            class_id=mover.class_id,
            track_id=mover.track_id,
            ignore=cut_off or seen.covered > MOST_COVERED,
            speed_px_s=math.hypot(vx + sx, vy + sy),
        )


def compose_scene(
    spec: SceneSpec,
    sprites: Sequence[Sprite] | Cast,
    backgrounds: Sequence[NDArray[np.float32]],
    generator: np.random.Generator,
) -> Scene:
    """Draw a scene: which objects, where, how fast, in what light.

    Every class that has sprites is drawn equally often, and the sprites of a class equally often.

    Args:
        spec: what scenes look like.
        sprites: objects to choose from, distractors among them; a `Cast` of them is sorted once.
        backgrounds: ``(h, w) float32`` linear light, any sizes; cut and scaled to cover the frame.
        generator: source of all randomness.

    Returns:
        A scene; the same one for the same arguments and state of the generator.

    Raises:
        SourceError: no background, or objects are asked for and there is no labelled sprite.
        LabelError: a sprite's class id lies beyond the spec's classes.

    Example:
        >>> from vidar_det.spikes.procedural import procedural_backgrounds, procedural_sprites
        >>> rng = np.random.default_rng(1)
        >>> sprites, plates = procedural_sprites(rng, 2), procedural_backgrounds(rng, 2, 400, 250)
        >>> scene = compose_scene(SceneSpec(), sprites, plates, rng)
        >>> scene.light(0.005).shape
        (250, 400)
    """
    if not backgrounds:
        raise SourceError("no backgrounds to compose a scene from")
    composer = Composer(spec, generator)
    shake = composer.draw_shake()
    plate = backgrounds[int(generator.integers(len(backgrounds)))]
    background, path = composer.cut_background(plate, shake)
    cast = sprites if isinstance(sprites, Cast) else Cast(sprites)
    movers = composer.draw_movers(cast, path.velocity_px_s)
    gain, haze = composer.draw_light()
    return Scene(
        width=spec.width,
        height=spec.height,
        duration_s=spec.duration_s,
        background=background,
        background_path=path,
        shake=shake,
        movers=movers,
        gain=gain,
        haze=haze,
        flicker=composer.draw_flicker(),
        classes=spec.classes,
    )
