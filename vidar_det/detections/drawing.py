"""A picture and its detections come in; the annotated picture that people look at goes out."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from vidar_det.detections.boxes import Detections, GroundTruth
from vidar_det.errors import LabelError, RangeError, ShapeError

Picture = NDArray[np.uint8]
Colour = tuple[int, int, int]

PALETTE: tuple[Colour, ...] = (
    *((86, 180, 233), (230, 159, 0), (240, 228, 66), (204, 121, 167)),
    *((0, 158, 115), (213, 94, 0), (0, 114, 178)),
)
"""RGB by class id: sky blue, orange, yellow, reddish purple, bluish green, vermillion, blue.

Okabe and Ito, "Color Universal Design" (2008), which colour-blind readers can tell apart; the
brightest first, since pictures are often dark.
"""

_BLACK: Colour = (0, 0, 0)
_WHITE: Colour = (255, 255, 255)
_GREY: Colour = (150, 150, 150)
_FONT = cv2.FONT_HERSHEY_DUPLEX
_PADDING = 3


class _Chip(NamedTuple):
    """A filled rectangle with text in it: the first pixel, the size, the text and its size."""

    left: int
    top: int
    width: int
    height: int
    text: str
    font_scale: float

    def overlaps(self, other: "_Chip") -> bool:
        apart_x = self.left >= other.left + other.width or other.left >= self.left + self.width
        apart_y = self.top >= other.top + other.height or other.top >= self.top + self.height
        return not (apart_x or apart_y)


def draw_detections(
    picture: Picture,
    detections: Detections,
    class_names: Sequence[str],
    *,
    caption: str | None = None,
    ground_truth: GroundTruth | None = None,
    scale: int = 1,
) -> Picture:
    """Draw boxes with their classes and scores over a picture, and a caption under it.

    Args:
        picture: ``(H, W) uint8`` grey or ``(H, W, 3) uint8`` RGB; stays as it is.
        detections: boxes in pixels of ``picture``, drawn in the colour of their class, the surest
            on top. A label stands where it hides no surer one, if there is room.
        class_names: a class id is an index into them.
        caption: one line, such as the sensor time.
        ground_truth: white dashed boxes (ignored ones: grey).
        scale: whole factor by which the picture is enlarged first, so that text and lines are
            fine beside small objects.

    Returns:
        ``(H * scale + strip, W * scale, 3) uint8`` RGB; ``strip`` is 0 without a caption.

    Raises:
        ShapeError: ``picture`` is neither grey nor RGB uint8, or is empty.
        RangeError: ``scale`` is below 1.
        LabelError: a class id has no name.

    Example:
        >>> box, score = np.float32([[10, 20, 40, 60]]), np.float32([0.9])
        >>> found = Detections(box, score, np.array([0]))
        >>> draw_detections(np.zeros((250, 400), np.uint8), found, ["person"], scale=2).shape
        (500, 800, 3)
    """
    if len(detections) and int(detections.class_ids.max()) >= len(class_names):
        found = int(detections.class_ids.max())
        raise LabelError(f"detections: found class id {found}, wanted below {len(class_names)}")
    canvas = _canvas(picture, scale)
    if ground_truth is not None:
        corners = _corners(ground_truth.xyxy, canvas, scale)
        for box, ignore in zip(corners, ground_truth.ignore, strict=True):
            _draw_dashed(canvas, box, _GREY if ignore else _WHITE)
    ranked = detections.select(np.argsort(-detections.scores, kind="stable"))
    corners = _corners(ranked.xyxy, canvas, scale)
    colours = [PALETTE[class_id % len(PALETTE)] for class_id in ranked.class_ids]
    names = [class_names[class_id] for class_id in ranked.class_ids]
    labels = [f"{name} {score:.2f}" for name, score in zip(names, ranked.scores, strict=True)]
    for box, colour in reversed(list(zip(corners, colours, strict=True))):
        _draw_box(canvas, box, colour, min(scale, 2))
    chips = _place_chips(corners, labels, canvas, scale)
    for chip, colour in reversed(list(zip(chips, colours, strict=True))):
        _draw_chip(canvas, chip, colour)
    return canvas if caption is None else _captioned(canvas, caption, scale)


def _canvas(picture: Picture, scale: int) -> Picture:
    """Copy the picture, in colour and enlarged."""
    if scale < 1:
        raise RangeError(f"scale: found {scale}, wanted 1 or more")
    grey = picture.ndim == 2
    if picture.dtype != np.uint8 or not (grey or picture.shape[2:] == (3,)) or picture.size == 0:
        found = f"{picture.shape} {picture.dtype}"
        raise ShapeError(f"picture: found {found}, wanted (H, W) or (H, W, 3) uint8")
    size = (picture.shape[1] * scale, picture.shape[0] * scale)
    enlarged = cv2.resize(picture, size, interpolation=cv2.INTER_CUBIC) if scale > 1 else picture
    canvas = np.empty((size[1], size[0], 3), np.uint8)
    canvas[...] = enlarged[:, :, None] if grey else enlarged
    return canvas


def _corners(xyxy: NDArray[np.float32], canvas: Picture, scale: int) -> NDArray[np.int64]:
    """First and last pixel of each box, ``(N, 4)``, kept inside the canvas."""
    height, width = canvas.shape[:2]
    edges = np.rint(xyxy.astype(np.float64) * scale)
    edges[:, 2:] -= 1
    return np.clip(edges, 0, [width - 1, height - 1] * 2).astype(np.int64)


def _draw_box(canvas: Picture, box: NDArray[np.int64], colour: Colour, thickness: int) -> None:
    """Draw a line with a dark rim, so that it shows on any ground; it grows inwards."""
    left, top, right, bottom = (int(edge) for edge in box)
    for inset in range(-1, thickness + 1):
        line = colour if 0 <= inset < thickness else _BLACK
        first, last = (left + inset, top + inset), (right - inset, bottom - inset)
        if first[0] <= last[0] and first[1] <= last[1]:
            cv2.rectangle(canvas, first, last, line, 1)


def _draw_dashed(canvas: Picture, box: NDArray[np.int64], colour: Colour) -> None:
    """Draw a box in dashes of four pixels, dark ones between, so that it shows on any ground."""
    left, top, right, bottom = (int(edge) for edge in box)
    cv2.rectangle(canvas, (left, top), (right, bottom), _BLACK, 1)
    across, down = np.arange(left, right + 1), np.arange(top, bottom + 1)
    across, down = across[(across - left) % 8 < 4], down[(down - top) % 8 < 4]
    for row in (top, bottom):
        canvas[row, across] = colour
    for column in (left, right):
        canvas[down, column] = colour


def _place_chips(
    corners: NDArray[np.int64], labels: Sequence[str], canvas: Picture, scale: int
) -> list[_Chip]:
    """Find each label a place, surest first: where it hides none before it, else above its box."""
    placed: list[_Chip] = []
    for box, label in zip(corners, labels, strict=True):
        places = list(_places(box, label, canvas, scale))
        free = (place for place in places if not any(map(place.overlaps, placed)))
        placed.append(next(free, places[0]))
    return placed


def _places(box: NDArray[np.int64], label: str, canvas: Picture, scale: int) -> Iterator[_Chip]:
    """Where a label may stand, the best place first: above, inside, below; shifted into sight."""
    (text_width, text_height), below = cv2.getTextSize(label, _FONT, _font_scale(scale), 1)
    width, height = text_width + 2 * _PADDING, text_height + below + 2
    left, top, _, bottom = (int(edge) for edge in box)
    left = max(0, min(left, canvas.shape[1] - width))
    tops = (top - height, top, bottom + 1, bottom + 1 - height)
    lowest = max(0, canvas.shape[0] - height)
    for inside in [place for place in tops if 0 <= place <= lowest] or [min(top, lowest)]:
        yield _Chip(left, inside, width, height, label, _font_scale(scale))


def _draw_chip(canvas: Picture, chip: _Chip, colour: Colour) -> None:
    last = (chip.left + chip.width - 1, chip.top + chip.height - 1)
    cv2.rectangle(canvas, (chip.left, chip.top), last, colour, cv2.FILLED)
    (_, text_height), _ = cv2.getTextSize(chip.text, _FONT, chip.font_scale, 1)
    origin = (chip.left + _PADDING, chip.top + text_height + 1)
    ink = _readable_on(colour)
    cv2.putText(canvas, chip.text, origin, _FONT, chip.font_scale, ink, 1, cv2.LINE_AA)


def _captioned(canvas: Picture, caption: str, scale: int) -> Picture:
    """Add a dark strip under the picture, with a line of text."""
    font_scale = _font_scale(scale)
    (_, text_height), below = cv2.getTextSize(caption, _FONT, font_scale, 1)
    strip = np.full((text_height + below + 2 * _PADDING, canvas.shape[1], 3), 16, np.uint8)
    origin = (2 * _PADDING, text_height + _PADDING)
    cv2.putText(strip, caption, origin, _FONT, font_scale, _WHITE, 1, cv2.LINE_AA)
    return np.concatenate([canvas, strip])


def _font_scale(scale: int) -> float:
    return 0.4 if scale == 1 else 0.5


def _readable_on(colour: Colour) -> Colour:
    """Black or white, by the ground's luma (ITU-R BT.601)."""
    red, green, blue = colour
    return _BLACK if 0.299 * red + 0.587 * green + 0.114 * blue > 110 else _WHITE
