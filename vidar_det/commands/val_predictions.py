"""What a detector found on a split goes to a file and comes back, to be compared with another."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vidar_det.detections.boxes import Detections
from vidar_det.detections.coco import categories_of, detections_of, results_of, take
from vidar_det.detections.labels import ImageRecord
from vidar_det.errors import FormatError, LabelError, SourceError

PREDICTIONS_FILE = "predictions.json"

_FACTS = ("id", "file_name", "plane_start", "plane_count")


def predictions_document(
    weights: str,
    data: str,
    split: str,
    classes: Sequence[str],
    images: Sequence[ImageRecord],
    detections: Sequence[Detections],
) -> dict[str, Any]:
    """Say what was found on labelled ranges; ``detections`` is a COCO results list.

    Args:
        weights: who detected.
        data: the dataset's folder.
        split: the split.
        classes: names; a class id is an index into them.
        images: the labelled ranges.
        detections: what was found in each.

    Returns:
        ``weights, data, split, images, categories, detections``, ready for ``write_json``.

    Example:
        >>> predictions_document("nano", "traffic", "val", ["person"], [], [])["categories"]
        [{'id': 1, 'name': 'person'}]
    """
    results = [
        entry
        for image, found in zip(images, detections, strict=True)
        for entry in results_of(found, image.id)
    ]
    return {
        "weights": weights,
        "data": data,
        "split": split,
        "images": [{name: getattr(image, name) for name in _FACTS} for image in images],
        "categories": categories_of(classes),
        "detections": results,
    }


def read_predictions(
    path: str | Path, classes: Sequence[str], images: Sequence[ImageRecord]
) -> tuple[str, list[Detections]]:
    """Read what a detector found on these labelled ranges.

    Args:
        path: a ``predictions.json`` of ``vidar-det val``.
        classes: the classes wanted, matched by name.
        images: the ranges wanted, matched by id.

    Returns:
        Name of the weights, and what they found in each of ``images``.

    Raises:
        SourceError: the file is missing or unreadable.
        FormatError: it is no such document.
        LabelError: it knows other classes, or shows other ranges.

    Example:
        >>> read_predictions("runs/a/predictions.json", ["person"], [])  # doctest: +SKIP
        ('nano', [])
    """
    document, where = _load(Path(path)), str(path)
    known = [take(entry, "name", str, where) for entry in take(document, "categories", list, where)]
    if set(known) != set(classes):
        raise LabelError(f"{where}: found classes {known}, wanted {list(classes)}")
    listed = {
        take(entry, "id", int, where): [entry.get(name) for name in _FACTS]
        for entry in take(document, "images", list, where)
    }
    for image in images:
        wanted = [getattr(image, name) for name in _FACTS]
        if listed.get(image.id) != wanted:
            found = listed.get(image.id, "nothing")
            raise LabelError(
                f"{where}: image {image.id}: found {found}, wanted {wanted}: "
                "predictions of another split or dataset?"
            )
    found_in = detections_of(take(document, "detections", list, where))
    highest = max((int(found.class_ids.max()) for found in found_in.values()), default=-1)
    if highest >= len(known):
        raise LabelError(f"{where}: found category id {highest + 1}, wanted 1..{len(known)}")
    found = [found_in.get(image.id, Detections.empty()) for image in images]
    return take(document, "weights", str, where), [renumber(f, known, classes) for f in found]


def renumber(detections: Detections, known: Sequence[str], wanted: Sequence[str]) -> Detections:
    """Give the same detections the class ids of another list of the same classes.

    Example:
        >>> box, score = np.zeros((1, 4), np.float32), np.ones(1, np.float32)
        >>> found = Detections(box, score, np.array([0]))
        >>> renumber(found, ["person", "cycle"], ["cycle", "person"]).class_ids
        array([1])
    """
    table = np.array([list(wanted).index(name) for name in known], np.int64)
    return dataclasses.replace(detections, class_ids=table[detections.class_ids])


def _load(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_bytes())
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise FormatError(f"{path}: found no JSON ({error}), wanted val's predictions") from error
    if not isinstance(document, dict):
        kind = type(document).__name__
        raise FormatError(f"{path}: found a {kind}, wanted an object as val writes it")
    return document
