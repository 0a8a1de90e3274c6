"""A picture of light comes in, a low wall is painted across it: large, plain, and no vehicle."""

import cv2
import numpy as np
from numpy.typing import NDArray

from vidar_det.spikes.drawn.canvas import cloud_noise

Light = NDArray[np.float32]


def paint_wall(light: Light, generator: np.random.Generator) -> None:
    """Paint a wall, parapet or fence panel with joints, a coping, a kerb and dark notches.

    Its tone is the picture's own at some random place, so that it is neither always the darkest
    nor always the brightest surface.

    Args:
        light: ``(h, w) float32`` linear light, painted upon.
        generator: source of randomness.

    Example:
        >>> light = np.full((100, 160), 0.5, np.float32)
        >>> paint_wall(light, np.random.default_rng(2))
        >>> bool((light != 0.5).any())
        True
    """
    height, width = light.shape
    tall = int(generator.uniform(0.12, 0.6) * height)
    foot = int(generator.uniform(0.5, 1.1) * height)
    top, bottom = max(0, foot - tall), min(height, foot)
    left, right = 0, width
    if generator.random() < 0.4:  # it ends within the picture, on one side or on both
        left, right = np.sort(generator.integers(-width // 2, width + width // 2, 2)).clip(0, width)
    if bottom - top < 4 or right - left < 8:
        return
    wall = light[top:bottom, left:right]
    shape = wall.shape
    tone = float(generator.choice(light.reshape(-1))) * float(generator.uniform(0.6, 1.5)) + 0.01
    grain = float(generator.uniform(0.01, 0.08)) * cloud_noise(shape, 3.0, generator)
    patches = float(generator.uniform(0.02, 0.15)) * cloud_noise(shape, 0.5 * shape[0], generator)
    wall[:] = tone * np.maximum(1.0 + grain + patches, 0.1)
    _draw_joints(wall, generator)
    _draw_notches(wall, generator)
    coping = max(1, int(generator.uniform(0.0, 0.1) * shape[0]))
    wall[:coping] *= float(generator.uniform(0.4, 2.0))
    kerb = light[bottom : bottom + int(generator.uniform(0.0, 0.25) * tall), left:right]
    kerb[:] = tone * float(generator.uniform(0.7, 3.0))
    light[bottom - 1 : bottom + 1, left:right] *= float(generator.uniform(0.3, 1.0))
    np.minimum(light, 1.0, out=light)


def _draw_joints(wall: Light, generator: np.random.Generator) -> None:
    """Seams between the panels, some dark, some lit."""
    columns = wall.shape[1]
    spacing = float(generator.uniform(0.15, 1.2)) * columns
    for x in np.arange(float(generator.uniform(0, spacing)), columns, spacing).astype(int):
        wall[:, x : x + int(generator.integers(1, 5))] *= float(generator.uniform(0.25, 1.2))


def _draw_notches(wall: Light, generator: np.random.Generator) -> None:
    """Small dark openings: drains at the foot, windows and vents above."""
    rows, columns = wall.shape
    for _ in range(int(generator.integers(0, 6))):
        tall = max(2, int(generator.uniform(0.05, 0.45) * rows))
        wide = max(2, int(tall * generator.uniform(0.3, 2.5)))
        x = int(generator.integers(0, max(1, columns - wide)))
        at_foot = generator.random() < 0.5
        y = rows - tall if at_foot else int(generator.integers(0, max(1, rows - tall)))
        shade = float(generator.uniform(0.05, 0.6)) * float(wall.mean())
        cv2.rectangle(wall, (x, y), (x + wide - 1, y + tall - 1), (shade, 0, 0, 0), cv2.FILLED)
