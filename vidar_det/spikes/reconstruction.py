"""A window of spikes comes in, a grey picture of the light goes out.

Both methods are those of Zhu, Dong, Li, Huang, Tian, "A retina-inspired sampling method for visual
texture reconstruction", ICME 2019. Playback averages (smooth, blurs what moves); intervals look at
one moment (sharp, but grainy: an interval is a whole number of readouts).
"""

import numpy as np
from numpy.typing import NDArray

from vidar_det.compilation import compiled
from vidar_det.errors import RangeError, ShapeError
from vidar_det.spikes.stream import SpikeWindow

Picture = NDArray[np.float32]


def texture_from_playback(window: SpikeWindow | NDArray[np.uint8]) -> Picture:
    """Spikes of each pixel over the window's length (TFP), counted without decoding planes.

    Args:
        window: a window of at most 65,535 planes, or ``(T, H, W) uint8`` planes of 0 and 1.

    Returns:
        ``(H, W) float32``, mean spikes per readout, 0 to 1: linear light.

    Raises:
        ShapeError: the planes are no such array, or there are none.
        RangeError: the window is longer.

    Example:
        >>> planes = np.zeros((4, 1, 2), np.uint8)
        >>> planes[::2, 0, 1] = 1
        >>> texture_from_playback(planes).tolist()
        [[0.0, 0.5]]
    """
    if isinstance(window, SpikeWindow):
        spikes, length = window.counts(1)[0], window.length
    else:
        _check_planes(window)
        spikes, length = window.sum(axis=0, dtype=np.uint32), len(window)
    rates: Picture = spikes.astype(np.float32) / np.float32(length)
    return rates


def texture_from_intervals(
    window: SpikeWindow | NDArray[np.uint8], readout: int | None = None
) -> Picture:
    """One over the interval between the spikes around a readout (TFI).

    The interval runs from the last spike at or before the readout to the first one after it. Where
    the window shows only one of the two, its edge stands for the other, which makes the value an
    upper bound: the true interval is at least that long. A pixel without a spike is 0.

    Args:
        window: a window, or ``(T, H, W) uint8`` planes of 0 and 1.
        readout: the moment to look at, counted from the window's start; by default its middle.

    Returns:
        ``(H, W) float32``, spikes per readout, 0 to 1: linear light.

    Raises:
        ShapeError: the planes are no such array, or there are none.
        RangeError: ``readout`` lies outside the window.

    Example:
        >>> planes = np.zeros((9, 1, 2), np.uint8)
        >>> planes[[2, 6], 0, 1] = 1
        >>> texture_from_intervals(planes).tolist()
        [[0.0, 0.25]]
    """
    planes = window.planes if isinstance(window, SpikeWindow) else window
    _check_planes(planes)
    length = len(planes)
    middle = length // 2 if readout is None else readout
    if not 0 <= middle < length:
        raise RangeError(f"readout: found {middle}, wanted 0 to {length - 1}")
    before = np.full(planes.shape[1:], -1, np.int32)
    after = np.full(planes.shape[1:], length, np.int32)
    flat = np.ascontiguousarray(planes).reshape(length, before.size)
    _find_spikes(flat, middle, before.reshape(-1), after.reshape(-1))
    dark = (before < 0) & (after == length)
    picture = np.float32(1.0) / (after - before).astype(np.float32)
    picture[dark] = 0.0
    return picture


def white_level(picture: Picture, share: float = 0.99) -> float:
    """Find the level to show as white, so that a dark picture can be seen.

    Args:
        picture: ``(H, W) float32``, linear light.
        share: how much of the picture lies at or below white, above 0 and up to 1.

    Returns:
        That quantile of the picture, or 1 where it is 0 (nothing to see).

    Raises:
        ShapeError: ``picture`` has no pixels.
        RangeError: ``share`` lies outside 0 to 1.

    Example:
        >>> white_level(np.array([[0.0, 0.01, 0.03]], np.float32), share=0.5)
        0.009999999776482582
    """
    if picture.size == 0:
        raise ShapeError(f"picture: found {picture.shape}, wanted at least one pixel")
    if not 0.0 < share <= 1.0:
        raise RangeError(f"share: found {share}, wanted above 0 and up to 1")
    level = float(np.quantile(picture, share))
    return level if level > 0.0 else 1.0


def to_grey8(picture: Picture, white: float = 1.0, gamma: float = 2.2) -> NDArray[np.uint8]:
    """Turn linear light into grey values for a screen: ``255 (light / white)^(1 / gamma)``.

    Args:
        picture: ``(H, W) float32``, linear light, 0 or more.
        white: the light to show as 255, and all that is brighter; see ``white_level``.
        gamma: of the screen; 1 leaves the picture linear.

    Returns:
        ``(H, W) uint8``.

    Raises:
        RangeError: ``white`` or ``gamma`` is not positive and finite, or the picture holds negative
            light or NaN.

    Example:
        >>> to_grey8(np.array([[0.0, 0.25, 1.0]], np.float32), white=0.5, gamma=1.0).tolist()
        [[0, 128, 255]]
    """
    if not (0.0 < white < np.inf and 0.0 < gamma < np.inf):
        raise RangeError(f"white {white}, gamma {gamma}: wanted positive numbers")
    if not (picture >= 0.0).all():
        raise RangeError("picture: found negative light or NaN, wanted 0 or more")
    light = np.minimum(picture / np.float32(white), np.float32(1.0))
    grey: NDArray[np.uint8] = np.rint(255.0 * light ** (1.0 / gamma)).astype(np.uint8)
    return grey


@compiled
def _find_spikes(
    planes: NDArray[np.uint8], middle: int, before: NDArray[np.int32], after: NDArray[np.int32]
) -> None:
    """Find each pixel's last spike up to the middle plane, and its first one after that."""
    for time in range(middle + 1):
        plane = planes[time]
        for pixel in range(plane.size):
            before[pixel] = np.int32(time) if plane[pixel] else before[pixel]
    for time in range(planes.shape[0] - 1, middle, -1):
        plane = planes[time]
        for pixel in range(plane.size):
            after[pixel] = np.int32(time) if plane[pixel] else after[pixel]


def _check_planes(planes: NDArray[np.uint8]) -> None:
    if planes.ndim != 3 or planes.dtype != np.uint8 or 0 in planes.shape:
        raise ShapeError(f"planes: found {planes.shape} {planes.dtype}, wanted (T, H, W) uint8")
