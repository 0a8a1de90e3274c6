"""Settings come in, a checked description of what composed scenes look like goes out."""

import math
from dataclasses import dataclass, fields

from vidar_det.errors import ConfigError
from vidar_det.spikes.labels import DEFAULT_CLASSES

Pair = tuple[float, float]
POSITIVE = frozenset({"height_px", "pan_px_s", "light_at_white", "gamma", "object_light"})


@dataclass(frozen=True)
class SceneSpec:
    """What composed scenes look like. Pairs are the lowest and highest value drawn.

    Attributes:
        width: frame width, pixels.
        height: frame height, pixels.
        duration_s: the times 0..duration_s can be rendered; objects are in view around its middle.
        objects: how many labelled objects (a rider on a cycle comes on top).
        height_px: height of a person, log-uniform; other objects are scaled to stand beside one.
        speed_px_s: speed in the image, log-uniform from at least 10 px/s.
        still_probability: share of objects that stand still on the background.
        acceleration_s: time in which an object's speed may double; 0 = constant speed.
        pan_probability: share of scenes whose camera pans.
        pan_px_s: speed of the pan, log-uniform, at most half a frame within the duration.
        shake_px: amplitude of the camera's shake.
        shake_probability: share of scenes whose camera shakes.
        light_at_white: light of a white surface, log-uniform; above 1 saturates the sensor.
        gamma: multiplies the display gamma of 2.2: below 1 flattens, above 1 deepens contrast.
        haze: share of even light laid over everything, lowers contrast.
        gradient: strongest fall of light across the frame, 0..1.
        flicker_probability: share of scenes under lamps that flicker at 100 or 120 Hz.
        object_light: gain on each object's light, log-uniform.
        shadow_probability: share of scenes in which objects cast shadows.
        distractors: how many unlabelled objects.
        crowd_probability: share of scenes whose objects stand close together.
        truncation_probability: share of objects that may be cut by the frame's borders.
        eye_level_probability: share of scenes on flat ground before a camera held by a person:
            heads lie near the horizon, and what is near is cut below.
        wall_probability: share of scenes with a low wall before the background.
        flip: mirror sprites and backgrounds at random.
        classes: names of the sprites' class ids.

    Raises:
        ConfigError: a pair is not in order, or a value lies outside its range.

    Example:
        >>> SceneSpec(objects=(1, 3)).width
        400
    """

    width: int = 400
    height: int = 250
    duration_s: float = 0.0128
    objects: tuple[int, int] = (0, 7)
    height_px: Pair = (16.0, 230.0)
    speed_px_s: Pair = (0.0, 4000.0)
    still_probability: float = 0.25
    acceleration_s: float = 0.5
    pan_probability: float = 0.5
    pan_px_s: Pair = (10.0, 1500.0)
    shake_px: Pair = (0.0, 1.5)
    shake_probability: float = 0.3
    light_at_white: Pair = (0.04, 1.5)
    gamma: Pair = (0.5, 1.25)
    haze: Pair = (0.0, 0.25)
    gradient: float = 0.6
    flicker_probability: float = 0.1
    object_light: Pair = (0.5, 2.2)
    shadow_probability: float = 0.5
    distractors: tuple[int, int] = (0, 3)
    crowd_probability: float = 0.15
    truncation_probability: float = 0.4
    eye_level_probability: float = 0.0
    wall_probability: float = 0.15
    flip: bool = True
    classes: tuple[str, ...] = DEFAULT_CLASSES

    def __post_init__(self) -> None:
        if self.width < 8 or self.height < 8 or not self.duration_s > 0:
            raise ConfigError(
                f"scene {self.width}x{self.height} px, {self.duration_s} s; "
                "wanted at least 8x8 px and a positive duration"
            )
        for field in fields(self):
            if field.name != "classes":
                self._check_field(field.name, getattr(self, field.name))

    def _check_field(self, name: str, value: object) -> None:
        if isinstance(value, tuple):
            low, high = value
            if not 0 <= low <= high < math.inf or (name in POSITIVE and low == 0):
                raise ConfigError(f"{name} = {value}; wanted (lowest, highest), in order, no minus")
        is_share = name.endswith("_probability") or name == "gradient"
        if is_share and not 0 <= float(str(value)) <= 1:
            raise ConfigError(f"{name} = {value}; wanted 0..1")
