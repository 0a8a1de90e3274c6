"""An annotation file (COCO JSON) comes in, checked labels come out."""

import json
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from vidar_det.config import did_you_mean
from vidar_det.detections.boxes import GroundTruth
from vidar_det.detections.coco import take, take_box, take_optional, xyxy_of
from vidar_det.detections.labels import (
    ImageRecord,
    LabelReport,
    Labels,
    Origin,
    refuse_repeats,
)
from vidar_det.errors import FormatError, LabelError, SourceError


class _Row(NamedTuple):
    """One box as the file has it."""

    xywh: list[float]
    class_id: int
    ignore: bool
    speed_px_s: float


def read_labels(path: str | Path, classes: Sequence[str] | None = None) -> Labels:
    """Read ground truth from a COCO file.

    Args:
        path: the JSON file.
        classes: the classes wanted, in the order of their ids; the file's categories are matched
            to them by name. Default: the file's own, by ascending category id.

    Returns:
        The labels, images in the file's order. ``scored`` is always filled in: where the file is
        silent, all of its categories count as completely labelled.

    Raises:
        SourceError: the file is missing or unreadable.
        FormatError: it is no COCO JSON.
        LabelError: ids repeat or point nowhere, or a category is none of ``classes``.

    Example:
        >>> labels = read_labels("annotations/test.json", ["person", "vehicle"])  # doctest: +SKIP
        >>> labels.report.outside  # doctest: +SKIP
        0
    """
    return labels_of_document(_load(Path(path)), str(path), classes)


def labels_of_document(
    document: Mapping[str, Any], where: str, classes: Sequence[str] | None = None
) -> Labels:
    """Read ground truth from what a COCO file says.

    Args:
        document: ``images``, ``annotations`` and ``categories``.
        where: the file it comes from, for messages.
        classes: as `read_labels` takes them.

    Returns:
        As `read_labels` does.

    Raises:
        FormatError: a key is missing, or its value is of the wrong kind.
        LabelError: ids repeat or point nowhere, or a category is none of ``classes``.

    Example:
        >>> image = {"id": 1, "file_name": "a.dat", "width": 8, "height": 8}
        >>> document = {"images": [image], "annotations": [], "categories": []}
        >>> labels_of_document(document, "memory").images[0].file_name
        'a.dat'
    """
    images = take(document, "images", list, where)
    annotations = take(document, "annotations", list, where)
    names, class_of = _match_classes(take(document, "categories", list, where), classes, where)
    records = tuple(
        _read_image(entry, class_of, f"{where}: images[{index}]")
        for index, entry in enumerate(images)
    )
    refuse_repeats(f"{where}: image id", [record.id for record in records])
    truths, report = _read_truths(annotations, records, class_of, where)
    return Labels(names, records, truths, report)


def _load(path: Path) -> Mapping[str, Any]:
    try:
        document = json.loads(path.read_bytes())
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise FormatError(f"{path}: found no JSON ({error}), wanted COCO annotations") from error
    if not isinstance(document, dict):
        raise FormatError(f"{path}: found a {type(document).__name__}, wanted a COCO object")
    return document


def _match_classes(
    categories: list[Any], classes: Sequence[str] | None, where: str
) -> tuple[tuple[str, ...], dict[int, int]]:
    """Class names, and the class id of each category id."""
    pairs = [(take(c, "id", int, where), take(c, "name", str, where)) for c in categories]
    refuse_repeats(f"{where}: category id", [identity for identity, _ in pairs])
    refuse_repeats(f"{where}: category name", [name for _, name in pairs])
    names = tuple(name for _, name in sorted(pairs)) if classes is None else tuple(classes)
    for _, name in pairs:
        if name not in names:
            raise LabelError(f"{where}: unknown class {name!r}{did_you_mean(name, names)}")
    return names, {identity: names.index(name) for identity, name in pairs}


def _read_image(entry: Any, class_of: Mapping[int, int], where: str) -> ImageRecord:
    width, height = take(entry, "width", int, where), take(entry, "height", int, where)
    if min(width, height) < 1:
        raise LabelError(f"{where}: found {width} x {height} pixels, wanted at least 1 x 1")
    scored = take_optional(entry, "scored", list, where)
    for category_id in [] if scored is None else scored:
        if take({"scored": category_id}, "scored", int, where) not in class_of:
            raise LabelError(f"{where}: scored: found category id {category_id} without a name")
    return ImageRecord(
        id=take(entry, "id", int, where),
        file_name=take(entry, "file_name", str, where),
        width=width,
        height=height,
        plane_start=take_optional(entry, "plane_start", int, where) or 0,
        plane_count=take_optional(entry, "plane_count", int, where) or 0,
        scored=tuple(sorted(class_of[c] for c in (class_of if scored is None else scored))),
        speed_px_s=take_optional(entry, "speed_px_s", float, where),
        light=take_optional(entry, "light", str, where),
        origin=Origin(*(take_optional(entry, key, str, where) for key in Origin._fields)),
    )


def _read_truths(
    annotations: list[Any], images: Iterable[ImageRecord], class_of: Mapping[int, int], where: str
) -> tuple[tuple[GroundTruth, ...], LabelReport]:
    by_id = {image.id: image for image in images}
    rows: dict[int, list[_Row]] = defaultdict(list)
    counts: Counter[str] = Counter()
    refuse_repeats(
        f"{where}: annotation id", [take(entry, "id", int, where) for entry in annotations]
    )
    for index, entry in enumerate(annotations):
        here = f"{where}: annotations[{index}]"
        image_id, category_id = (take(entry, key, int, here) for key in ("image_id", "category_id"))
        if image_id not in by_id:
            raise LabelError(f"{here}: image id {image_id} is none of the images")
        if category_id not in class_of:
            raise LabelError(f"{here}: category id {category_id} is none of the categories")
        box = take_box(entry, here)
        place = _place(box, by_id[image_id])
        counts[place] += 1
        if place not in ("empty", "outside"):
            ignore = bool(entry.get("iscrowd", 0) or entry.get("ignore", 0))
            speed_px_s = _take_speed(entry, here)
            rows[image_id].append(_Row(box, class_of[category_id], ignore, speed_px_s))
    report = LabelReport(counts["empty"], counts["outside"], counts["crossing"])
    return tuple(_truth(rows[image_id]) for image_id in by_id), report


def _place(box: list[float], image: ImageRecord) -> str:
    """Say how a box lies in its picture: empty, outside, crossing or inside."""
    left, top, width, height = box
    right, bottom = left + width, top + height
    if width <= 0 or height <= 0:
        return "empty"
    if right <= 0 or bottom <= 0 or left >= image.width or top >= image.height:
        return "outside"
    if min(left, top) < -1 or right > image.width + 1 or bottom > image.height + 1:
        return "crossing"
    return "inside"


def _take_speed(entry: Mapping[str, Any], where: str) -> float:
    """How fast the object is; NaN where the file is silent."""
    speed_px_s = take_optional(entry, "speed_px_s", float, where)
    if speed_px_s is not None and speed_px_s < 0:
        raise LabelError(f"{where}: found speed_px_s {speed_px_s}, wanted 0 or more")
    return math.nan if speed_px_s is None else speed_px_s


def _truth(rows: list[_Row]) -> GroundTruth:
    return GroundTruth(
        xyxy_of([row.xywh for row in rows]),
        np.array([row.class_id for row in rows], np.int64),
        np.array([row.ignore for row in rows], np.bool_),
        np.array([row.speed_px_s for row in rows], np.float32),
    )
