"""Batches of labelled windows come in; what they hold, and what is doubtful in it, goes out."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vidar_det.detector.decoding import cell_grid
from vidar_det.detector.encoding import encode
from vidar_det.detector.inputs import padded_size
from vidar_det.detector.network import SpikingDetector
from vidar_det.detector.spec import STRIDES
from vidar_det.errors import LabelError, RangeError
from vidar_det.training.losses import LossSpec, assign, decode_boxes
from vidar_det.training.simulation import Batch

LEAST_SIDE_PX = 2.0
"""A box with a side below this shows nothing."""
BEYOND_PX = 1.0
"""A box may reach this far beyond its picture, by rounding."""
MANY, FEW = 0.9, 0.01
"""Shares above, and below, which something is worth a warning."""


@dataclass(frozen=True)
class LabelCheck:
    """What labelled windows hold.

    Attributes:
        windows: how many were looked at.
        empty: windows that show no object to find.
        silent: windows in which no pixel fired.
        objects: objects to find, by class.
        scored: windows in which the class is completely labelled, by class.
        ignored: boxes that are neither to be found nor false alarms.
        degenerate: boxes with a side below two pixels, turned inside out or not finite.
        outside: boxes that reach beyond their picture.
        heights_px: a low (5 %), the middle and a high (95 %) height of the objects; NaN without.
        cells: the same of how many cells stand for an object in a fresh network.
        unassigned: objects that no cell stands for.
    """

    windows: int
    empty: int
    silent: int
    objects: Mapping[str, int]
    scored: Mapping[str, int]
    ignored: int
    degenerate: int
    outside: int
    heights_px: tuple[float, float, float]
    cells: tuple[float, float, float]
    unassigned: int

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is doubtful, one sentence each."""
        total, windows = sum(self.objects.values()), self.windows
        finest = STRIDES[0]
        absent = [name for name, count in self.objects.items() if not count]
        unscored = [name for name, count in self.scored.items() if not count]
        told = (
            *((True, f"no window shows a {name}: it cannot be learned") for name in absent),
            *((True, f"no window is completely labelled for {name}") for name in unscored),
            (self.empty > MANY * windows, f"{self.empty} of {windows} windows show no object"),
            (self.silent > 0, f"in {self.silent} of {windows} windows no pixel fires"),
            (self.degenerate > 0, f"boxes thinner than two pixels: {self.degenerate}"),
            (self.outside > 0, f"boxes that reach beyond their picture: {self.outside}"),
            (
                self.unassigned > FEW * total,
                f"no cell stands for {self.unassigned} of {total} objects: boxes cover each other",
            ),
            (
                self.heights_px[1] < finest,
                f"half of the objects are lower than the finest cell, {finest} pixels",
            ),
        )
        return tuple(sentence for is_doubtful, sentence in told if is_doubtful)


def check_labels(
    batches: Iterable[Batch], network: SpikingDetector, classes: Sequence[str], loss: LossSpec
) -> LabelCheck:
    """Count what batches hold.

    Args:
        batches: any number of batches, of one encoding.
        network: a fresh network of that encoding; its cells are assigned as in its first step.
        classes: names, in the order of class ids.
        loss: how cells are assigned.

    Returns:
        The counts.

    Raises:
        RangeError: there is no batch.
        LabelError: a class id has no name.

    Example:
        >>> check_labels(batches, network, ("person",), LossSpec()).warnings  # doctest: +SKIP
        ('boxes thinner than two pixels: 2',)
    """
    parts = [_look_at(batch, network, len(classes), loss) for batch in batches]
    if not parts:
        raise RangeError("found no windows to check, wanted at least one")
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    wanted = ~columns["ignored"]
    counts = np.bincount(columns["class_ids"][wanted], minlength=len(classes))
    sizes = columns["sizes"]
    cells = columns["cells"][wanted]
    return LabelCheck(
        windows=len(columns["empty"]),
        empty=int(columns["empty"].sum()),
        silent=int(columns["silent"].sum()),
        objects=dict(zip(classes, counts.tolist(), strict=True)),
        scored=dict(zip(classes, columns["scored"].sum(0).tolist(), strict=True)),
        ignored=int((~wanted).sum()),
        degenerate=int((~(sizes.min(1) >= LEAST_SIDE_PX)).sum()),
        outside=int(columns["outside"].sum()),
        heights_px=_spread(sizes[wanted, 1]),
        cells=_spread(cells),
        unassigned=int((cells == 0).sum()),
    )


def _look_at(
    batch: Batch, network: SpikingDetector, classes: int, loss: LossSpec
) -> dict[str, NDArray[Any]]:
    """Columns of one batch: per window, and per box."""
    targets, valid = batch.targets, batch.targets.valid
    class_ids, boxes = targets.class_ids[valid], targets.boxes[valid]
    if len(class_ids) and not 0 <= int(class_ids.min()) <= int(class_ids.max()) < classes:
        found = f"{int(class_ids.min())} to {int(class_ids.max())}"
        raise LabelError(f"labels: found class ids {found}, wanted 0 to {classes - 1}")
    height, width = batch.counts.shape[-2:]
    corner = torch.tensor((width, height)) + BEYOND_PX
    outside = (boxes[:, :2] < -BEYOND_PX).any(1) | (boxes[:, 2:] > corner).any(1)
    columns = {
        "empty": ~(valid & ~targets.ignore).any(1),
        "silent": batch.counts.flatten(1).amax(1) == 0,
        "scored": targets.scored,
        "class_ids": class_ids,
        "ignored": targets.ignore[valid],
        "sizes": boxes[:, 2:] - boxes[:, :2],
        "outside": outside,
        "cells": _count_cells(batch, network, loss)[valid],
    }
    return {name: column.numpy() for name, column in columns.items()}


@torch.no_grad()
def _count_cells(batch: Batch, network: SpikingDetector, loss: LossSpec) -> Tensor:
    """How many cells stand for each object, ``[B, M] int64``."""
    device = next(network.parameters()).device
    targets = batch.targets.to(device)
    scores, logits = network(encode(batch.counts.to(device), network.spec.encoding))
    grid = cell_grid(*padded_size(*batch.counts.shape[-2:]))
    centres, strides = (torch.from_numpy(array.copy()).to(device) for array in grid)
    boxes = decode_boxes(logits.reshape(*scores.shape[:2], 4, -1), centres, strides)
    assigned = assign(scores.sigmoid(), boxes, centres, strides, targets, loss)
    counts = torch.zeros(targets.valid.shape, dtype=torch.int64, device=device)
    return counts.scatter_add_(1, assigned.objects, assigned.positive.long()).cpu()


def _spread(values: NDArray[Any]) -> tuple[float, float, float]:
    if not len(values):
        return math.nan, math.nan, math.nan
    low, middle, high = np.percentile(values, (5, 50, 95))
    return float(low), float(middle), float(high)
