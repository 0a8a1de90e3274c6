"""Shapes and tones come in, an anti-aliased grey picture with alpha goes out."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

Byte = NDArray[np.uint8]
Point = tuple[float, float]
SUPERSAMPLING = 3
SHIFT = 4  # OpenCV takes sub-pixel coordinates as integers with this many fractional bits


class Canvas:
    """A surface to draw on in free units; later shapes cover earlier ones. Tones are 0..1.

    Args:
        size: width, height in units.
        pixels_per_unit: resolution of the finished picture.

    Example:
        >>> canvas = Canvas((1.0, 1.0), 16)
        >>> canvas.polygon([(0, 0), (1, 0), (1, 1), (0, 1)], 0.5)
        >>> grey, alpha = canvas.finish()
    """

    def __init__(self, size: Point, pixels_per_unit: float) -> None:
        self._scale = pixels_per_unit * SUPERSAMPLING
        width, height = (round(side * pixels_per_unit) * SUPERSAMPLING for side in size)
        self._tone = np.zeros((height, width), dtype=np.float32)
        self._alpha = np.zeros((height, width), dtype=np.uint8)

    def polygon(self, points: Sequence[Point], tone: float) -> None:
        """Fill a polygon."""
        corners = self._fixed(points)
        cv2.fillPoly(self._tone, [corners], (tone, 0, 0, 0), shift=SHIFT)
        cv2.fillPoly(self._alpha, [corners], (255, 0, 0, 0), shift=SHIFT)

    def fade(self, points: Sequence[Point], tones: tuple[float, float]) -> None:
        """Fill a polygon from one tone at its top to another at its bottom."""
        mask = self._mask(points)
        rows = np.flatnonzero(mask.any(axis=1))
        if not rows.size:
            return
        ramp = np.interp(np.arange(len(mask)), [rows[0], rows[-1] + 1], tones).astype(np.float32)
        self._tone = np.where(mask, ramp[:, None], self._tone)
        self._alpha[mask] = 255

    def pattern(self, points: Sequence[Point], factor: NDArray[np.float32]) -> None:
        """Multiply the tone inside a polygon by a pattern, scaled to the whole canvas."""
        mask = self._mask(points)
        whole = cv2.resize(factor, mask.shape[::-1], interpolation=cv2.INTER_LINEAR)
        self._tone[mask] *= np.asarray(whole, dtype=np.float32)[mask]

    def ellipse(self, centre: Point, radii: Point, tone: float, angle_deg: float = 0.0) -> None:
        """Fill an ellipse."""
        turn = np.linspace(0, 2 * np.pi, 36, endpoint=False)
        tilt = np.deg2rad(angle_deg)
        x, y = radii[0] * np.cos(turn), radii[1] * np.sin(turn)
        xs = centre[0] + x * np.cos(tilt) - y * np.sin(tilt)
        ys = centre[1] + x * np.sin(tilt) + y * np.cos(tilt)
        self.polygon(list(zip(xs.tolist(), ys.tolist(), strict=True)), tone)

    def limb(self, joints: Sequence[Point], radii: Sequence[float], tone: float) -> None:
        """Draw a chain of tapering, rounded segments."""
        for joint, radius in zip(joints, radii, strict=True):
            self.ellipse(joint, (radius, radius), tone)
        for k in range(len(joints) - 1):
            (ax, ay), (bx, by) = joints[k], joints[k + 1]
            length = max(1e-6, float(np.hypot(bx - ax, by - ay)))
            nx, ny = (ay - by) / length, (bx - ax) / length
            ra, rb = radii[k], radii[k + 1]
            quad = [
                (ax + nx * ra, ay + ny * ra),
                (bx + nx * rb, by + ny * rb),
                (bx - nx * rb, by - ny * rb),
                (ax - nx * ra, ay - ny * ra),
            ]
            self.polygon(quad, tone)

    def line(self, points: Sequence[Point], width: float, tone: float) -> None:
        """Draw an open line of constant width."""
        self.limb(points, [0.5 * width] * len(points), tone)

    def finish(self, blemish: NDArray[np.float32] | None = None, crop: bool = True) -> "Picture":
        """Shrink to the final resolution.

        Args:
            blemish: factor on the tone, any shape, scaled to the canvas: dirt, folds, shading.
            crop: cut away what no shape covers.

        Returns:
            grey ``(h, w) uint8`` and alpha ``(h, w) uint8``.
        """
        alpha = self._alpha.astype(np.float32) / 255.0
        size = (self._alpha.shape[1] // SUPERSAMPLING, self._alpha.shape[0] // SUPERSAMPLING)
        light = cv2.resize(self._tone * alpha, size, interpolation=cv2.INTER_AREA)
        cover = cv2.resize(alpha, size, interpolation=cv2.INTER_AREA)
        tone = np.asarray(light / np.maximum(cover, 1e-3), dtype=np.float32)
        if blemish is not None:
            tone = tone * np.asarray(cv2.resize(blemish, size), dtype=np.float32)
        picture = to_byte(tone), to_byte(np.asarray(cover, dtype=np.float32))
        return cropped(picture) if crop else picture

    def _fixed(self, points: Sequence[Point]) -> NDArray[np.int32]:
        scaled = np.array(points, dtype=np.float64) * self._scale - 0.5
        return np.rint(scaled * (1 << SHIFT)).astype(np.int32)

    def _mask(self, points: Sequence[Point]) -> NDArray[np.bool_]:
        mask = np.zeros(self._alpha.shape, dtype=np.uint8)
        cv2.fillPoly(mask, [self._fixed(points)], (1, 0, 0, 0), shift=SHIFT)
        return mask.astype(np.bool_)


Picture = tuple[Byte, Byte]
"""grey and alpha, ``(h, w) uint8`` each."""


def to_byte(tone: NDArray[np.float32]) -> Byte:
    """Tones 0..1, clipped, as ``uint8`` of the same shape."""
    return np.asarray(np.rint(np.clip(tone, 0.0, 1.0) * 255.0), dtype=np.uint8)


def cropped(picture: Picture) -> Picture:
    """Cut away the rows and columns whose alpha never reaches 8 of 255."""
    grey, alpha = picture
    rows = np.flatnonzero((alpha > 7).any(axis=1))
    columns = np.flatnonzero((alpha > 7).any(axis=0))
    window = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return np.ascontiguousarray(grey[window]), np.ascontiguousarray(alpha[window])


def cloud_noise(
    shape: tuple[int, int], coarsest_px: float, generator: np.random.Generator
) -> NDArray[np.float32]:
    """Smooth noise at several scales, each half as strong as the next coarser.

    Args:
        shape: h, w.
        coarsest_px: size of the largest blobs.
        generator: source of randomness.

    Returns:
        ``(h, w) float32``, mean about 0, standard deviation 1.

    Example:
        >>> cloud_noise((8, 8), 4.0, np.random.default_rng(0)).shape
        (8, 8)
    """
    total = np.zeros(shape, dtype=np.float32)
    weight, size = 1.0, max(1.0, coarsest_px)
    while size >= 1.0:
        rows, columns = int(shape[0] / size) + 3, int(shape[1] / size) + 3
        coarse = generator.standard_normal((rows, columns), dtype=np.float32)
        scaled = cv2.resize(coarse, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC)
        total += weight * np.asarray(scaled, dtype=np.float32)
        weight, size = 0.55 * weight, size / 2.2
    return np.asarray(total / max(1e-6, float(total.std())), dtype=np.float32)


def blemishes(
    shape: tuple[int, int], strength: float, generator: np.random.Generator
) -> NDArray[np.float32]:
    """Folds, dirt and uneven light: a factor around 1 for `Canvas.finish`."""
    x = np.linspace(-1, 1, shape[1], dtype=np.float32)
    side = float(generator.uniform(-0.25, 0.25))
    clouds = strength * cloud_noise(shape, 0.25 * max(shape), generator)
    return np.asarray(np.clip(1.0 + clouds + side * x, 0.2, 1.8), dtype=np.float32)
