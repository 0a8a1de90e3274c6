"""Category names come in, class ids and boxes per moment go out: what scenes and footage share."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vidar_det.errors import LabelError

ClassMap = Mapping[str, tuple[str, ...]]
"""Class name -> the category names that count as this class; the order gives the class ids."""

DEFAULT_CLASS_MAP: ClassMap = MappingProxyType(
    {
        "person": ("person",),
        "vehicle": ("car", "bus", "truck", "van", "vehicle", "automobile"),
        "cycle": ("bicycle", "motorcycle", "cycle"),
    }
)
DEFAULT_CLASSES: tuple[str, ...] = tuple(DEFAULT_CLASS_MAP)
DISTRACTOR = -1
"""Class id of an object that is drawn, but never labelled."""
LEAST_INSIDE = 0.25
LARGE_IN_FRAME = 0.12
LEAST_SIDE_PX = 4.0


class SceneBoxes(NamedTuple):
    """The labelled objects of a scene or clip at one moment.

    Attributes:
        xyxy: ``(N, 4) float32`` pixels, clipped to the frame, positive width and height.
        class_ids: ``(N,) int64`` index into the scene's ``classes``.
        track_ids: ``(N,) int64``, the same number for the same object at every time.
        ignore: ``(N,) bool``, True where a detection is neither hit nor false alarm.
        speeds_px_s: ``(N,) float32`` speed of the box's centre in the image; NaN if unknown.
    """

    xyxy: NDArray[np.float32]
    class_ids: NDArray[np.int64]
    track_ids: NDArray[np.int64]
    ignore: NDArray[np.bool_]
    speeds_px_s: NDArray[np.float32]


class BoxRow(NamedTuple):
    """One labelled object at one moment; the fields are those of `SceneBoxes`."""

    xyxy: tuple[float, float, float, float]
    class_id: int
    track_id: int
    ignore: bool
    speed_px_s: float


def stack_boxes(rows: list[BoxRow]) -> SceneBoxes:
    """Turn a list of objects into arrays.

    Args:
        rows: any number of objects, none included.

    Returns:
        The same objects in the same order.

    Example:
        >>> stack_boxes([BoxRow((1, 2, 3, 4), 0, 7, False, 10.0)]).track_ids
        array([7])
    """
    return SceneBoxes(
        xyxy=np.array([row.xyxy for row in rows], dtype=np.float32).reshape(-1, 4),
        class_ids=np.array([row.class_id for row in rows], dtype=np.int64),
        track_ids=np.array([row.track_id for row in rows], dtype=np.int64),
        ignore=np.array([row.ignore for row in rows], dtype=np.bool_),
        speeds_px_s=np.array([row.speed_px_s for row in rows], dtype=np.float32),
    )


def class_ids_by_category(class_map: ClassMap) -> dict[str, int]:
    """Class id of every category that a class map names.

    Args:
        class_map: class name -> category names.

    Returns:
        Category name -> class id; categories that no class names are absent.

    Raises:
        LabelError: one category belongs to two classes.

    Example:
        >>> class_ids_by_category(DEFAULT_CLASS_MAP)["bus"]
        1
    """
    ids: dict[str, int] = {}
    for class_id, (name, categories) in enumerate(class_map.items()):
        for category in categories:
            if category in ids:
                raise LabelError(f"category {category!r} belongs to two classes, one is {name!r}")
            ids[category] = class_id
    return ids


def is_cut_off(inside: float, frame_share: float, least_side_px: float) -> bool:
    """Whether too little of an object is in the frame to count as hit or miss.

    Args:
        inside: share of the object that lies in the frame.
        frame_share: share of the frame that its box fills.
        least_side_px: shorter side of its box in the frame.

    Returns:
        True if less than 25 % of it is inside and that fills less than 12 % of the frame, or if a
        side is under 4 px.

    Example:
        >>> is_cut_off(0.2, 0.05, 20.0), is_cut_off(0.2, 0.5, 200.0)
        (True, False)
    """
    is_sliver = inside < LEAST_INSIDE and frame_share < LARGE_IN_FRAME
    return is_sliver or least_side_px < LEAST_SIDE_PX
