"""Boxes, classes and results go out in COCO's words, and come back in checked.

In memory boxes are ``xyxy`` and classes count from 0; in COCO's files boxes are ``xywh`` and
category ids count from 1. Only this module knows the difference. Coordinates are written to a
thousandth of a pixel, scores to a millionth.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from vidar_det.detections.boxes import Detections
from vidar_det.errors import FormatError, LabelError

BOX_DECIMALS = 3
SCORE_DECIMALS = 6

Value = TypeVar("Value")


def categories_of(classes: Sequence[str]) -> list[dict[str, Any]]:
    """Name the classes as COCO's ``categories``, ids from 1.

    Example:
        >>> categories_of(["person"])
        [{'id': 1, 'name': 'person'}]
    """
    return [{"id": index + 1, "name": name} for index, name in enumerate(classes)]


def results_of(detections: Detections, image_id: int) -> list[dict[str, Any]]:
    """Say one window's detections as entries of a COCO results list.

    Args:
        detections: what was found.
        image_id: the window's id.

    Returns:
        One dictionary for each detection: ``image_id, category_id, bbox, score``.

    Example:
        >>> found = Detections(np.float32([[1, 2, 4, 6]]), np.float32([0.5]), np.array([0]))
        >>> results_of(found, 7)
        [{'image_id': 7, 'category_id': 1, 'bbox': [1.0, 2.0, 3.0, 4.0], 'score': 0.5}]
    """
    boxes = xywh_of(detections.xyxy)
    scores = np.round(detections.scores.astype(np.float64), SCORE_DECIMALS).tolist()
    category_ids = (detections.class_ids + 1).tolist()
    return [
        {"image_id": image_id, "category_id": category_id, "bbox": box, "score": score}
        for box, score, category_id in zip(boxes, scores, category_ids, strict=True)
    ]


def detections_of(results: Iterable[Mapping[str, Any]]) -> dict[int, Detections]:
    """Read a COCO results list back.

    Args:
        results: entries as ``results_of`` makes them, of any number of windows.

    Returns:
        The detections of each window that has any, by ``image_id``, in the order of the list.

    Raises:
        FormatError: an entry lacks a key, or holds a value of the wrong kind.
        LabelError: a category id is below 1, or a box has a negative side.

    Example:
        >>> entry = {"image_id": 7, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5}
        >>> detections_of([entry])[7].xyxy
        array([[1., 2., 4., 6.]], dtype=float32)
    """
    grouped: dict[int, list[tuple[list[float], float, int]]] = defaultdict(list)
    for index, entry in enumerate(results):
        where = f"results[{index}]"
        category_id = take(entry, "category_id", int, where)
        box = take_box(entry, where)
        if category_id < 1:
            raise LabelError(f"{where}: found category id {category_id}, wanted 1 or more")
        if min(box[2:]) < 0:
            raise LabelError(f"{where}: found bbox {box}, wanted a width and height of 0 or more")
        row = (box, take(entry, "score", float, where), category_id - 1)
        grouped[take(entry, "image_id", int, where)].append(row)
    return {
        image_id: Detections(
            xyxy_of([box for box, _, _ in rows]),
            np.array([score for _, score, _ in rows], np.float32),
            np.array([class_id for _, _, class_id in rows], np.int64),
        )
        for image_id, rows in grouped.items()
    }


def xywh_of(xyxy: NDArray[np.float32]) -> list[list[float]]:
    """Turn ``(N, 4) float32`` xyxy into N lists of left, top, width and height, rounded."""
    corners = np.round(xyxy.astype(np.float64), BOX_DECIMALS)
    sides = np.round(corners[:, 2:] - corners[:, :2], BOX_DECIMALS)
    boxes: list[list[float]] = np.concatenate([corners[:, :2], sides], axis=1).tolist()
    return boxes


def xyxy_of(xywh: Sequence[Sequence[float]]) -> NDArray[np.float32]:
    """Turn N boxes of left, top, width and height into ``(N, 4) float32`` xyxy."""
    boxes = np.array(xywh, np.float64).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    return boxes.astype(np.float32)


def take(entry: Mapping[str, Any], key: str, kind: type[Value], where: str) -> Value:
    """Take one value from a JSON object; an integer may stand for a float.

    Raises:
        FormatError: ``entry`` is no object, lacks ``key``, or its value is not of ``kind``.
    """
    if not isinstance(entry, Mapping):
        raise FormatError(f"{where}: found {entry!r}, wanted an object")
    if key not in entry:
        raise FormatError(f"{where}: key {key!r} is missing")
    value = entry[key]
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    wrong = not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool)
    if wrong or (isinstance(value, float) and not np.isfinite(value)):
        raise FormatError(f"{where}: {key}: found {value!r}, wanted {kind.__name__}")
    taken: Value = value
    return taken


def take_optional(
    entry: Mapping[str, Any], key: str, kind: type[Value], where: str
) -> Value | None:
    """Take one value from a JSON object, or None where it is absent or null.

    Raises:
        FormatError: the value is there, but not of ``kind``.
    """
    return None if entry.get(key) is None else take(entry, key, kind, where)


def take_box(entry: Mapping[str, Any], where: str) -> list[float]:
    """Take ``bbox``, four finite numbers: left, top, width and height.

    Raises:
        FormatError: ``bbox`` is missing or something else.
    """
    box = take(entry, "bbox", list, where)
    if len(box) != 4:
        raise FormatError(f"{where}: bbox: found {len(box)} values, wanted x, y, width, height")
    return [take({"bbox": side}, "bbox", float, where) for side in box]
