"""A grey picture and its detections come in; a colour picture that shows them goes out."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from vidar_det.detections.boxes import Detections
from vidar_det.errors import LabelError, ShapeError

WIDEST_DOUBLED = 640
"""Pictures up to this width are shown at twice their size, so that labels can be read."""
CAPTION_HEIGHT = 24

_COLOURS = (
    *((86, 180, 233), (230, 159, 0), (0, 158, 115), (240, 228, 66)),
    *((204, 121, 167), (213, 94, 0), (0, 114, 178)),
)
"""RGB of Okabe and Ito's palette, which colour-blind readers can tell apart."""
_FONT, _FONT_SCALE, _PADDING = cv2.FONT_HERSHEY_SIMPLEX, 0.45, 3
_BLACK, _WHITE = (0, 0, 0), (255, 255, 255)


def annotate(
    grey: NDArray[np.uint8], detections: Detections, classes: Sequence[str], caption: str
) -> NDArray[np.uint8]:
    """Draw boxes with class and score over a picture, and a caption under it.

    Args:
        grey: ``(H, W) uint8``.
        detections: boxes in pixels of ``grey``.
        classes: names; a class id is an index into them.
        caption: one line, such as the sensor time.

    Returns:
        ``(H', W', 3) uint8`` RGB: the picture, doubled where it is small, over a caption line.

    Raises:
        ShapeError: ``grey`` has another shape or dtype.
        LabelError: a class id has no name.

    Example:
        >>> annotate(np.zeros((250, 400), np.uint8), Detections.empty(), ["person"], "0 ms").shape
        (524, 800, 3)
    """
    if grey.ndim != 2 or grey.dtype != np.uint8 or grey.size == 0:
        raise ShapeError(f"grey: found {grey.shape} {grey.dtype}, wanted (H, W) uint8")
    if len(detections) and detections.class_ids.max() >= len(classes):
        found = f"found class id {detections.class_ids.max()}"
        raise LabelError(f"detections: {found}, wanted below {len(classes)}")
    scale = 2 if grey.shape[1] <= WIDEST_DOUBLED else 1
    enlarged = np.repeat(np.repeat(grey, scale, axis=0), scale, axis=1)
    picture = np.repeat(enlarged[:, :, None], 3, axis=2)
    columns = (detections.xyxy * scale, detections.class_ids.tolist(), detections.scores.tolist())
    weakest_first = reversed(list(zip(*columns, strict=True)))
    for box, class_id, score in weakest_first:
        colour = _COLOURS[class_id % len(_COLOURS)]
        _draw_box(picture, box, f"{classes[class_id]} {score:.2f}", colour)
    return np.concatenate([picture, _caption(caption, picture.shape[1])])


def _draw_box(
    picture: NDArray[np.uint8],
    box: NDArray[np.float32],
    label: str,
    colour: tuple[int, int, int],
) -> None:
    """Draw into ``picture``; the label sits on the box, or inside where there is no room above."""
    left, top, right, bottom = (round(value) for value in box.tolist())
    cv2.rectangle(picture, (left, top), (right, bottom), colour, 2)
    (width, height), _ = cv2.getTextSize(label, _FONT, _FONT_SCALE, 1)
    width, height = width + 2 * _PADDING, height + 2 * _PADDING
    left = max(0, min(left, picture.shape[1] - width))
    base = top if top >= height else top + height
    cv2.rectangle(picture, (left, base - height), (left + width, base), colour, cv2.FILLED)
    origin = (left + _PADDING, base - _PADDING)
    cv2.putText(picture, label, origin, _FONT, _FONT_SCALE, _BLACK, 1, cv2.LINE_AA)


def _caption(text: str, width: int) -> NDArray[np.uint8]:
    line = np.zeros((CAPTION_HEIGHT, width, 3), np.uint8)
    origin = (_PADDING, CAPTION_HEIGHT - 8)
    cv2.putText(line, text, origin, _FONT, _FONT_SCALE, _WHITE, 1, cv2.LINE_AA)
    return line
