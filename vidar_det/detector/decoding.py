"""Raw predictions of one window come in, boxes on the picture go out. No torch is needed here."""

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from vidar_det.detections.boxes import Detections, nms
from vidar_det.detector.spec import STRIDES


@lru_cache(maxsize=32)
def cell_grid(height: int, width: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the centre and stride of every cell of a padded picture.

    Args:
        height: padded height, pixels.
        width: padded width, pixels.

    Returns:
        ``(N, 2) float32`` centres (x, y) and ``(N,) float32`` strides, both pixels, read-only.

    Example:
        >>> cell_grid(32, 32)[0][0].tolist()
        [4.0, 4.0]
    """
    centres, strides = [], []
    for stride in STRIDES:
        rows, columns = np.mgrid[: height // stride, : width // stride].astype(np.float32)
        centres.append((np.stack((columns, rows), -1).reshape(-1, 2) + 0.5) * stride)
        strides.append(np.full(rows.size, stride))
    grid = np.concatenate(centres).astype(np.float32), np.concatenate(strides).astype(np.float32)
    for array in grid:
        array.setflags(write=False)
    return grid


def decode(
    scores: NDArray[np.float32],
    distances: NDArray[np.float32],
    size: tuple[int, int],
    padded: tuple[int, int],
    conf: float = 0.25,
    iou: float = 0.6,
    max_det: int = 300,
) -> Detections:
    """Turn one window's raw predictions into boxes on the picture.

    Only cells above ``conf`` are decoded, each with its best class.

    Args:
        scores: ``(N, classes) float32`` logits.
        distances: ``(N, 4 * reg_max) float32`` logits.
        size: height and width of the picture, pixels; boxes are clipped to it.
        padded: height and width of what the network saw, pixels.
        conf: lowest score that is kept, 0 to 1.
        iou: overlap above which the weaker box of one class is dropped.
        max_det: most boxes returned.

    Returns:
        The boxes, best first.

    Example:
        >>> scores, distances = np.full((21, 3), -9, np.float32), np.zeros((21, 64), np.float32)
        >>> len(decode(scores, distances, size=(30, 32), padded=(32, 32)))
        0
    """
    height, width = size
    class_ids = scores.argmax(1)
    best = scores[np.arange(len(scores)), class_ids]
    threshold = -np.inf if conf <= 0 else math.log(conf / (1 - conf)) if conf < 1 else np.inf
    (kept,) = np.nonzero(best >= threshold)
    if not len(kept):
        return Detections.empty()
    centres, strides = cell_grid(*padded)
    logits = distances[kept].reshape(len(kept), 4, -1)
    weights = np.exp(logits - logits.max(2, keepdims=True))
    bins = np.arange(logits.shape[2], dtype=np.float32)
    sides = (weights @ bins) / weights.sum(2) * strides[kept, None]
    boxes = np.concatenate((centres[kept] - sides[:, :2], centres[kept] + sides[:, 2:]), 1)
    boxes = np.clip(boxes, 0, np.array((width, height, width, height))).astype(np.float32)
    real = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
    found = Detections(
        boxes[real],
        (1 / (1 + np.exp(-best[kept][real]))).astype(np.float32),
        class_ids[kept][real].astype(np.int64),
    )
    return nms(found, iou=iou, max_det=max_det)
