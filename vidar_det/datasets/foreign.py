"""Boxes as another project's files say them come in, labels in the upright picture go out."""

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from vidar_det.datasets.reading import Box, ReadingSpec, drawn_flip, flip_box
from vidar_det.detections.label_reader import labels_of_document
from vidar_det.detections.labels import Labels, Origin
from vidar_det.errors import FormatError
from vidar_det.spikes.recording import open_recording
from vidar_det.spikes.sidecar import RecordingOptions, complete_options, read_spikecv
from vidar_det.spikes.stream import SpikeStream

CAMERA = RecordingOptions(width=400, height=250, layout="plain")
"""What the cameras of these datasets store, where nothing says otherwise."""
CONFIG_FILE = "config.yaml"


class ForeignBox(NamedTuple):
    """One box as its file has it; ``x1, y1, x2, y2`` pixels, NaN where no speed is known."""

    xyxy: Box
    category: str
    ignore: bool = False
    speed_px_s: float = math.nan


class ForeignImage(NamedTuple):
    """A labelled range of planes.

    Attributes:
        file_name: the recording, relative to the dataset.
        size: its width and height, pixels.
        pixels: flip of the stored planes that makes them upright.
        plane_start: first plane of the range; its boxes hold in its middle.
        plane_count: planes in the range.
        origin: where it comes from.
        boxes: what it shows.
    """

    file_name: str
    size: tuple[int, int]
    pixels: str
    plane_start: int
    plane_count: int
    origin: Origin
    boxes: Sequence[ForeignBox]


def open_foreign(path: Path, options: RecordingOptions, root: Path) -> SpikeStream:
    """Open a recording of a dataset that SpikeCV knows.

    Args:
        path: the recording.
        options: what the caller knows.
        root: the dataset's folder; its ``config.yaml`` comes after what stands beside ``path``.

    Raises:
        VidarError: as ``open_recording`` says.
    """
    known = complete_options(path, options)
    if (root / CONFIG_FILE).is_file():
        known = known.completed(read_spikecv(root / CONFIG_FILE))
    return open_recording(path, **dataclasses.asdict(known.completed(CAMERA)))


def foreign_labels(
    images: Sequence[ForeignImage],
    reading: ReadingSpec,
    drawn_on: str,
    source: str,
    notes: Iterable[tuple[int, str]] = (),
) -> Labels:
    """Turn what files say into checked labels; boxes without area are dropped and counted.

    Args:
        images: labelled ranges.
        reading: how labels are flipped.
        drawn_on: flip of the stored planes that gives the picture the labels were drawn on.
        source: the dataset, for messages.
        notes: counts, and the sentence that follows each where it is not 0.

    Returns:
        The labels; classes are the categories that occur, sorted by number, then by name. Each is
        scored on every image.
    """
    flips = {
        pixels: drawn_flip(drawn_on, pixels) if reading.label_flip == "auto" else reading.label_flip
        for pixels in sorted({image.pixels for image in images})
    }
    labels = labels_of_document(_document(images, flips), source)
    told = [f"{count:,} {sentence}" for count, sentence in notes if count]
    told += [
        f"labels are flipped onto the picture ({flip}); label flip none leaves them as they are"
        for flip in flips.values()
        if flip != "none"
    ]
    return dataclasses.replace(labels, report=dataclasses.replace(labels.report, notes=tuple(told)))


def _document(images: Sequence[ForeignImage], flips: Mapping[str, str]) -> dict[str, Any]:
    """Say everything in COCO's words; ``flips`` turns labels, by what turns the pixels."""
    categories = {box.category for image in images for box in image.boxes}
    ids = {name: index for index, name in enumerate(sorted(categories, key=_number_first))}
    entries: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, image in enumerate(images, start=1):
        width, height = image.size
        entry = {"id": number, "file_name": image.file_name, "width": width, "height": height}
        planes = {"plane_start": image.plane_start, "plane_count": image.plane_count}
        entries.append(entry | planes | image.origin._asdict())
        for box in image.boxes:
            left, top, right, bottom = flip_box(box.xyxy, image.size, flips[image.pixels])
            annotations.append(
                {
                    "id": len(annotations),
                    "image_id": number,
                    "category_id": ids[box.category],
                    "bbox": [left, top, right - left, bottom - top],
                    "ignore": int(box.ignore),
                    "speed_px_s": None if math.isnan(box.speed_px_s) else box.speed_px_s,
                }
            )
    names = [{"id": index, "name": name} for name, index in ids.items()]
    return {"images": entries, "annotations": annotations, "categories": names}


def _number_first(name: str) -> tuple[bool, int, str]:
    """Sort numbers by their value, before words."""
    return not name.isdecimal(), int(name) if name.isdecimal() else 0, name


def take_number(word: str, where: str, what: str) -> float:
    """Read one finite number of a line.

    Raises:
        FormatError: it is something else.
    """
    try:
        value = float(word)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise FormatError(f"{where}: found {word!r}, wanted {what}")
    return value
