"""Batches of labelled windows come in, one picture that shows them with their boxes goes out."""

import itertools
from collections.abc import Iterable, Iterator, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from vidar_det.detections.boxes import Detections, GroundTruth
from vidar_det.detections.drawing import draw_detections
from vidar_det.spikes.reconstruction import to_grey8, white_level
from vidar_det.training.simulation import Batch

TILE_WIDTH = 400
COLUMNS = 4

Tile = NDArray[np.uint8]


def draw_windows(batch: Batch, classes: Sequence[str], caption: str) -> Iterator[Tile]:
    """Draw the windows of a batch.

    Args:
        batch: windows and their labels.
        classes: a class id is an index into them.
        caption: stands under each picture, before its number of objects and the classes that are
            not completely labelled on it.

    Yields:
        ``(h, 400, 3) uint8`` RGB: mean light, each at its own brightness; boxes in the colour of
        their class, ignored ones dashed.
    """
    for row, counts in enumerate(batch.counts):
        light = counts.numpy().mean(axis=0, dtype=np.float32)
        grey = to_grey8(light, white_level(light))
        boxes, class_ids, ignore = _labels(batch, row)
        shown = Detections(boxes[~ignore], np.ones((~ignore).sum(), np.float32), class_ids[~ignore])
        ignored = GroundTruth(boxes[ignore], class_ids[ignore], ignore[ignore])
        text = f"{caption}: {len(shown)} to find"
        if len(ignored):
            text += f", {len(ignored)} ignored"
        scored = batch.targets.scored[row].tolist()
        if not all(scored):
            text += f", no {'/'.join(itertools.compress(classes, [not s for s in scored]))} labels"
        scale = max(1, round(TILE_WIDTH / grey.shape[1]))
        drawn = draw_detections(
            grey, shown, classes, caption=text, ground_truth=ignored, scale=scale
        )
        size = (TILE_WIDTH, round(drawn.shape[0] * TILE_WIDTH / drawn.shape[1]))
        yield np.asarray(cv2.resize(drawn, size, interpolation=cv2.INTER_AREA), np.uint8)


def lay_out(tiles: Iterable[Tile], columns: int = COLUMNS) -> Tile:
    """Put pictures of one width side by side, four to a row.

    Example:
        >>> lay_out([np.zeros((20, 30, 3), np.uint8)] * 5).shape
        (40, 120, 3)
    """
    pictures = list(tiles)
    rows = []
    for begin in range(0, len(pictures), columns):
        row = pictures[begin : begin + columns]
        height = max(picture.shape[0] for picture in row)
        canvas = np.zeros((height, columns * row[0].shape[1], 3), np.uint8)
        for column, picture in enumerate(row):
            left = column * picture.shape[1]
            canvas[: picture.shape[0], left : left + picture.shape[1]] = picture
        rows.append(canvas)
    return np.concatenate(rows)


def _labels(
    batch: Batch, row: int
) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.bool_]]:
    """The boxes of a window that can be drawn, their classes, and which are ignored."""
    targets = batch.targets
    kept = targets.valid[row] & targets.boxes[row].isfinite().all(-1)
    kept &= (targets.boxes[row, :, 2:] >= targets.boxes[row, :, :2]).all(-1)
    columns = (targets.boxes, targets.class_ids, targets.ignore)
    boxes, class_ids, ignore = (column[row][kept].numpy() for column in columns)
    return boxes, class_ids, ignore
