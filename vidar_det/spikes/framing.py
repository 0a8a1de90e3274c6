"""A picture of any size comes in, the sensor's frame goes out, with boxes moved alike.

Three ways to fit: `whole_framing` shows everything and leaves dark bars (for scoring),
`cover_framing` fills the frame and cuts the rest off in the middle, `draw_framing` cuts a random
part at a random scale, mirrored or not (for training).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from vidar_det.errors import RangeError
from vidar_det.spikes.labels import BoxRow, SceneBoxes, is_cut_off, stack_boxes
from vidar_det.spikes.motion import draw_log_uniform

Size = tuple[int, int]
"""width, height in pixels."""


@dataclass(frozen=True)
class Framing:
    """A scaled, perhaps mirrored cut-out of a picture.

    Edges of pixels are whole numbers: a point x of the picture lands at ``(x - left) * scale``,
    or at ``width - (x - left) * scale`` if mirrored.

    Attributes:
        width: of the frame, pixels.
        height: of the frame, pixels.
        left: x of the frame's left edge in the picture (of its right edge, if mirrored).
        top: y of the frame's upper edge in the picture.
        scale: frame pixels per picture pixel.
        flip: mirror left to right.

    Raises:
        RangeError: a size or the scale is not positive.

    Example:
        >>> Framing(100, 50, left=10.0, top=0.0, scale=2.0).place((10.0, 5.0, 20.0, 10.0))
        (0.0, 10.0, 20.0, 20.0)
    """

    width: int
    height: int
    left: float = 0.0
    top: float = 0.0
    scale: float = 1.0
    flip: bool = False

    def __post_init__(self) -> None:
        if self.width < 1 or self.height < 1 or not self.scale > 0:
            raise RangeError(
                f"frame {self.width}x{self.height}, scale {self.scale}; wanted all above 0"
            )

    def show(self, picture: NDArray[np.float32]) -> NDArray[np.float32]:
        """Cut and scale a picture.

        Args:
            picture: ``(h, w) float32``.

        Returns:
            ``(height, width) float32``, fresh; 0 where the picture does not reach.
        """
        step = 1.0 / self.scale
        if step == 1.0 and self == Framing(*picture.shape[::-1]):
            return picture.copy()
        a, b = (-step, self.left + self.width * step) if self.flip else (step, self.left)
        matrix = np.array([[a, 0, b + 0.5 * a - 0.5], [0, step, self.top + 0.5 * step - 0.5]])
        if step > 1.5:
            picture = np.asarray(cv2.blur(picture, (round(step), round(step))), dtype=np.float32)
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        shown = cv2.warpAffine(picture, matrix, (self.width, self.height), flags=flags)
        return np.asarray(shown, dtype=np.float32)

    def place(self, xyxy: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
        """Where a box of the picture lies in the frame; not clipped."""
        x0, y0, x1, y1 = xyxy
        x0, x1 = (x0 - self.left) * self.scale, (x1 - self.left) * self.scale
        y0, y1 = (y0 - self.top) * self.scale, (y1 - self.top) * self.scale
        if self.flip:
            x0, x1 = self.width - x1, self.width - x0
        return x0, y0, x1, y1

    def place_all(self, rows: Sequence[BoxRow]) -> list[BoxRow]:
        """Move, clip and judge boxes.

        Args:
            rows: boxes in pixels and pixels per second of the picture.

        Returns:
            Boxes in pixels of the frame; those outside it are gone, those that are mostly cut off
            are ignored (the rule of `labels.is_cut_off`).
        """
        placed = (self._place_row(row) for row in rows)
        return [row for row in placed if row is not None]

    def place_boxes(self, boxes: SceneBoxes) -> SceneBoxes:
        """Move, clip and judge boxes, as `place_all`."""
        columns = (
            boxes.xyxy.tolist(),
            boxes.class_ids.tolist(),
            boxes.track_ids.tolist(),
            boxes.ignore.tolist(),
            boxes.speeds_px_s.tolist(),
        )
        return stack_boxes(self.place_all([BoxRow(*row) for row in zip(*columns, strict=True)]))

    def _place_row(self, row: BoxRow) -> BoxRow | None:
        x0, y0, x1, y1 = self.place(row.xyxy)
        left, top = max(0.0, x0), max(0.0, y0)
        right, bottom = min(float(self.width), x1), min(float(self.height), y1)
        if right <= left or bottom <= top:
            return None
        area = (right - left) * (bottom - top)
        inside = area / ((x1 - x0) * (y1 - y0))
        cut_off = is_cut_off(
            inside, area / (self.width * self.height), min(right - left, bottom - top)
        )
        return BoxRow(
            xyxy=(left, top, right, bottom),
            class_id=row.class_id,
            track_id=row.track_id,
            ignore=row.ignore or cut_off,
            speed_px_s=row.speed_px_s * self.scale,
        )


def whole_framing(picture: Size, frame: Size) -> Framing:
    """Show the whole picture as large as it fits, centred; dark bars fill the rest.

    Args:
        picture: width, height.
        frame: width, height.

    Returns:
        The framing.

    Example:
        >>> whole_framing((200, 125), (400, 250)).scale
        2.0
    """
    return _centred(picture, frame, min(frame[0] / picture[0], frame[1] / picture[1]))


def cover_framing(picture: Size, frame: Size) -> Framing:
    """Fill the frame; what does not fit is cut off on both sides alike.

    Args:
        picture: width, height.
        frame: width, height.

    Returns:
        The framing.

    Example:
        >>> cover_framing((200, 250), (400, 250)).scale
        2.0
    """
    return _centred(picture, frame, max(frame[0] / picture[0], frame[1] / picture[1]))


def draw_framing(
    picture: Size,
    frame: Size,
    generator: np.random.Generator,
    zoom: tuple[float, float] = (0.9, 2.0),
) -> Framing:
    """Cut a random part of a picture, for training.

    Args:
        picture: width, height.
        frame: width, height.
        generator: source of randomness.
        zoom: range of the scale, log-uniform; 1 just fills the frame, less leaves dark bars.

    Returns:
        The framing; mirrored half of the time.

    Example:
        >>> draw_framing((400, 250), (400, 250), np.random.default_rng(0)).width
        400
    """
    cover = cover_framing(picture, frame)
    scale = cover.scale * draw_log_uniform(zoom, generator)
    spare_x, spare_y = picture[0] - frame[0] / scale, picture[1] - frame[1] / scale
    return replace(
        cover,
        scale=scale,
        left=spare_x * float(generator.random()),
        top=spare_y * float(generator.random()),
        flip=bool(generator.random() < 0.5),
    )


def _centred(picture: Size, frame: Size, scale: float) -> Framing:
    left, top = 0.5 * (picture[0] - frame[0] / scale), 0.5 * (picture[1] - frame[1] / scale)
    return Framing(frame[0], frame[1], left, top, scale)
