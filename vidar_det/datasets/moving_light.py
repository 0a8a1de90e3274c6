"""A scene or clip comes in; the light of each readout goes out, rendered only where needed."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from vidar_det.spikes.labels import SceneBoxes

Light = NDArray[np.float32]

BLOCK_PLANES = 64
"""Light is rendered at least this often."""
LIGHT_ERROR = 0.05
"""Tolerated bend of the light half-way between two renderings, as a share of the brightest light
next to the pixel; where an object leaves the frame, interpolated light may miss by twice that."""
LIGHT_FLOOR = 0.001
"""Error that nobody sees, spikes per readout: a quarter of the daylight camera's dark rate."""
LIGHT_NAMES = (("dark", 0.02), ("dim", 0.06), ("daylight", 0.2), ("bright", float("inf")))
"""Names of the mean light in a picture, in spikes per readout, and where each ends."""


class MovingLight(Protocol):
    """A composed scene or a clip: light and exact boxes at any time."""

    @property
    def width(self) -> int:
        """Pixels."""
        ...

    @property
    def height(self) -> int:
        """Pixels."""
        ...

    def light(self, time_s: float) -> Light:
        """``(H, W) float32`` linear light, 1 saturates."""
        ...

    def boxes(self, time_s: float) -> SceneBoxes:
        """Labelled objects."""
        ...


@dataclass(frozen=True)
class Dimmed:
    """A scene or clip seen through a filter, or exposed longer: its light times a gain.

    Attributes:
        source: the scene or clip.
        gain: light that a white surface (1 in the source) gives, spikes per readout.
    """

    source: MovingLight
    gain: float

    @property
    def width(self) -> int:
        """Pixels."""
        return self.source.width

    @property
    def height(self) -> int:
        """Pixels."""
        return self.source.height

    def light(self, time_s: float) -> Light:
        """``(H, W) float32`` light after the filter."""
        return self.source.light(time_s) * np.float32(self.gain)

    def boxes(self, time_s: float) -> SceneBoxes:
        """Labelled objects, untouched."""
        return self.source.boxes(time_s)


def name_light(light: Light) -> str:
    """Name how bright a picture is, by its mean light up to saturation.

    Args:
        light: ``(H, W) float32``, spikes per readout.

    Returns:
        ``dark`` (below 0.02 spikes per readout), ``dim`` (below 0.06), ``daylight`` (below 0.2) or
        ``bright``.

    Example:
        >>> name_light(np.full((2, 2), 0.1, np.float32))
        'daylight'
    """
    mean = float(np.minimum(light, 1.0).mean())
    return next(name for name, end in LIGHT_NAMES if mean < end)


def sample_light(
    light: MovingLight, start_s: float, planes: int, rate_hz: float
) -> Iterator[Light]:
    """Give the light of each readout, rendered only as often as it needs.

    Light is rendered every 64 readouts and half-way between; where the middle is not what a
    straight line between the ends gives, the halves are treated alike, down to single readouts.
    The tolerance is 5 % of the brightest light next to the pixel: an edge may move about a quarter
    of a pixel from one rendering to the next.

    Args:
        light: the scene or clip.
        start_s: time at which the first readout begins; each shows the light of its middle.
        planes: readouts.
        rate_hz: readouts per second.

    Yields:
        ``(H, W) float32`` for each readout; not to be changed.

    Raises:
        RangeError: the light does not last that long.
    """

    def render(plane: int) -> Light:
        return light.light(start_s + (plane + 0.5) / rate_hz)

    first = render(0)
    yield first
    for start in range(0, planes - 1, BLOCK_PLANES):
        stop = min(start + BLOCK_PLANES, planes - 1)
        last = render(stop)
        yield from _between(render, (start, first), (stop, last))
        first = last


def _between(
    render: Callable[[int], Light], before: tuple[int, Light], after: tuple[int, Light]
) -> Iterator[Light]:
    """Light of the readouts behind ``before``, up to ``after``."""
    if after[0] - before[0] == 1:
        yield after[1]
        return
    number = (before[0] + after[0]) // 2
    middle = number, render(number)
    if _is_straight(before, middle, after):
        yield from _blended(before, middle)
        yield from _blended(middle, after)
    else:
        yield from _between(render, before, middle)
        yield from _between(render, middle, after)


def _is_straight(
    before: tuple[int, Light], middle: tuple[int, Light], after: tuple[int, Light]
) -> bool:
    share = (middle[0] - before[0]) / (after[0] - before[0])
    guess = cv2.addWeighted(before[1], 1.0 - share, after[1], share, 0.0)
    brightest = cv2.dilate(middle[1], np.ones((3, 3), np.uint8))
    excess = cv2.absdiff(middle[1], guess) - LIGHT_ERROR * brightest
    return bool(excess.max() <= LIGHT_FLOOR)


def _blended(before: tuple[int, Light], after: tuple[int, Light]) -> Iterator[Light]:
    span = after[0] - before[0]
    for step in range(1, span):
        share = step / span
        mixed = cv2.addWeighted(before[1], 1.0 - share, after[1], share, 0.0)
        yield np.asarray(mixed, dtype=np.float32)
    yield after[1]
