"""Labelled ranges of recordings come in, checked ground truth and its COCO document go out."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from vidar_det.detections.boxes import GroundTruth
from vidar_det.detections.coco import BOX_DECIMALS, categories_of, xywh_of
from vidar_det.errors import LabelError

SPEED_DECIMALS = 1


class Origin(NamedTuple):
    """Where a labelled range comes from, as far as it is known.

    Attributes:
        kind: what the camera was shown: ``video``, ``still``, ``composed``, ...
        source: name of the collection, such as the folder of the footage.
        scene: ranges that show the same place and objects carry the same name.
    """

    kind: str | None = None
    source: str | None = None
    scene: str | None = None


UNKNOWN_ORIGIN = Origin()


@dataclass(frozen=True)
class ImageRecord:
    """A labelled range of one recording: an ``images`` entry of the file.

    Attributes:
        id: unique in its file.
        file_name: the recording (or picture), relative to the dataset.
        width: pixels.
        height: pixels.
        plane_start: index of the range's first plane.
        plane_count: planes in the range; the boxes hold in its middle.
        scored: class ids (from 0) that are completely labelled here; None means all.
        speed_px_s: the fastest object's speed in pixels per second, if known.
        light: the name of the light, if known.
        origin: where it comes from.

    Example:
        >>> ImageRecord(1, "recordings/street.dat", 400, 250, plane_count=256).plane_start
        0
    """

    id: int
    file_name: str
    width: int
    height: int
    plane_start: int = 0
    plane_count: int = 0
    scored: tuple[int, ...] | None = None
    speed_px_s: float | None = None
    light: str | None = None
    origin: Origin = UNKNOWN_ORIGIN


@dataclass(frozen=True)
class LabelReport:
    """What reading met among the boxes.

    Attributes:
        empty: boxes of zero or negative width or height, dropped.
        outside: boxes that share no area with their picture, dropped.
        crossing: boxes that reach more than a pixel beyond their picture, kept as they are.
        notes: what else a reader of the labels should know, one sentence each.
    """

    empty: int = 0
    outside: int = 0
    crossing: int = 0
    notes: tuple[str, ...] = ()

    @property
    def warnings(self) -> tuple[str, ...]:
        """Everything above that happened, one sentence each."""
        sentences = (
            (self.empty, "boxes have no area and are dropped"),
            (self.outside, "boxes lie outside their picture and are dropped"),
            (self.crossing, "boxes reach beyond their picture and are kept"),
        )
        counted = tuple(f"{count:,} {sentence}" for count, sentence in sentences if count)
        return (*counted, *self.notes)


@dataclass(frozen=True)
class Labels:
    """Everything that one annotation file says.

    Attributes:
        classes: names; a class id is an index into them.
        images: the labelled ranges.
        truths: what each of ``images`` shows, in the same order.
        report: boxes dropped or doubtful.

    Raises:
        LabelError: ``truths`` and ``images`` differ in number, names or image ids repeat, or a
            class id has no name.

    Example:
        >>> labels = Labels(("person",), (ImageRecord(1, "a.dat", 8, 8),), (GroundTruth.empty(),))
        >>> len(labels.images)
        1
    """

    classes: tuple[str, ...]
    images: tuple[ImageRecord, ...]
    truths: tuple[GroundTruth, ...]
    report: LabelReport = LabelReport()

    def __post_init__(self) -> None:
        if len(self.images) != len(self.truths):
            found = f"{len(self.images)} images and {len(self.truths)} truths"
            raise LabelError(f"labels: found {found}, wanted one truth for each image")
        refuse_repeats("labels: class", self.classes)
        refuse_repeats("labels: image id", [image.id for image in self.images])
        for image, truth in zip(self.images, self.truths, strict=True):
            used = [*truth.class_ids.tolist(), *(image.scored or ())]
            if used and not 0 <= min(used) <= max(used) < len(self.classes):
                found = f"found class ids {min(used)}..{max(used)}"
                raise LabelError(f"image {image.id}: {found}, wanted 0..{len(self.classes) - 1}")


def labels_document(labels: Labels, description: str) -> dict[str, Any]:
    """Say ground truth in COCO's words.

    Args:
        labels: what to say.
        description: one line about the data, for ``info``.

    Returns:
        ``info``, ``images``, ``categories`` and ``annotations``, ready for ``write_json``.
        Annotation ids count from 1; an ignored box has ``iscrowd`` and ``ignore`` 1, and a box
        whose speed is known has ``speed_px_s``.

    Example:
        >>> import numpy as np
        >>> truth = GroundTruth(np.float32([[1, 2, 4, 6]]), np.array([0]), np.array([False]))
        >>> labels = Labels(("person",), (ImageRecord(1, "a.dat", 400, 250),), (truth,))
        >>> labels_document(labels, "one person")["annotations"][0]["bbox"]
        [1.0, 2.0, 3.0, 4.0]
    """
    annotations: list[dict[str, Any]] = []
    for image, truth in zip(labels.images, labels.truths, strict=True):
        speeds = [_speed_entry(speed) for speed in truth.speeds_px_s.tolist()]
        columns = xywh_of(truth.xyxy), truth.class_ids.tolist(), truth.ignore.tolist(), speeds
        for box, class_id, ignore, speed in zip(*columns, strict=True):
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image.id,
                    "category_id": class_id + 1,
                    "bbox": box,
                    "area": round(box[2] * box[3], BOX_DECIMALS),
                    "iscrowd": int(ignore),
                    "ignore": int(ignore),
                    **speed,
                }
            )
    return {
        "info": {"description": description, "version": "1"},
        "images": [_image_entry(image, len(labels.classes)) for image in labels.images],
        "categories": categories_of(labels.classes),
        "annotations": annotations,
    }


def _image_entry(image: ImageRecord, class_count: int) -> dict[str, Any]:
    scored = range(class_count) if image.scored is None else image.scored
    entry: dict[str, Any] = {
        "id": image.id,
        "file_name": image.file_name,
        "plane_start": image.plane_start,
        "plane_count": image.plane_count,
        "width": image.width,
        "height": image.height,
        "scored": [class_id + 1 for class_id in scored],
    }
    optional = {"speed_px_s": image.speed_px_s, "light": image.light} | image.origin._asdict()
    return entry | {key: value for key, value in optional.items() if value is not None}


def _speed_entry(speed_px_s: float) -> dict[str, float]:
    return {} if math.isnan(speed_px_s) else {"speed_px_s": round(speed_px_s, SPEED_DECIMALS)}


def refuse_repeats(what: str, values: Sequence[object]) -> None:
    """Check that no value occurs twice.

    Args:
        what: the values' name, for the message.
        values: hashable values.

    Raises:
        LabelError: one does.
    """
    repeated = [value for value, count in Counter(values).items() if count > 1]
    if repeated:
        raise LabelError(f"{what} {repeated[0]!r} occurs more than once")
