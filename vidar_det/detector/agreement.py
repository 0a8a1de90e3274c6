"""An ONNX file and the network behind it come in; how well they agree in ONNX Runtime goes out.

A neuron rounds: where a membrane lies on the edge of one spike more, another order of sums flips
it, and nearly every cell feels a little of that. So a whole picture says little of a file. Small
patches of spikes in the dark hold few different membranes, and most patches have no flip: a right
file then agrees in all cells, and a wrong weight shows in every patch.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from vidar_det.detections.boxes import Detections, box_iou
from vidar_det.detector.decoding import decode
from vidar_det.detector.deployment import DeployedNetwork
from vidar_det.detector.inputs import pad_counts, rate_table
from vidar_det.detector.runtime import CellArrays
from vidar_det.spikes.demo import RECORDING_FILE, find_demo
from vidar_det.spikes.recording import open_recording

Counts = NDArray[np.integer[Any]]

PATCHES, PATCH_SIDE = 8, 32
TOLERANCE = 0.01
"""Of a logit; rounding alone moves it by less than a hundredth of that."""
MOST_DIFFERING = 0.01
"""Share of the cells; one wrong read-out at stride 32 alone makes it 0.05."""
SAME_BOX_IOU = 0.5


@dataclass(frozen=True)
class Agreement:
    """How ONNX Runtime compares with PyTorch.

    Attributes:
        differing: share of the cells whose scores or distances differ by more than ``TOLERANCE``,
            in the median of the patches.
        score: largest difference of a score in whole pictures, as probabilities.
        boxes: that PyTorch finds on a picture full of the demo's objects.
        boxes_found: those that ONNX Runtime finds too: of the same class, in the same place.
    """

    differing: float
    score: float
    boxes: int
    boxes_found: int

    @property
    def is_close(self) -> bool:
        """Whether the file says what the network says."""
        return self.differing <= MOST_DIFFERING


def compare_onnx(path: Path, deployed: DeployedNetwork, size: tuple[int, int]) -> Agreement:
    """Run a file and the network it was made of on the same counts.

    Args:
        path: the ONNX file, for pictures of this size.
        deployed: the network.
        size: height and width of the picture, pixels.
    """
    import onnxruntime  # type: ignore[import-untyped]  # it ships no types

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    encoding = deployed.network.spec.encoding
    scene, planes = _demo_counts(encoding.bins, encoding.planes_per_count, size)
    noise = np.random.default_rng(0).binomial(planes, 0.3, scene.shape)
    rates = rate_table(encoding, planes)

    def run(counts: Counts) -> tuple[CellArrays, CellArrays]:
        padded = pad_counts(counts)
        ours = deployed(torch.from_numpy(padded), torch.from_numpy(rates))
        theirs = session.run(["scores", "distances"], {"counts": padded, "rates": rates})
        shape = (padded.shape[1], padded.shape[2])
        scores, distances = (each.numpy() for each in ours)
        return CellArrays(scores, distances, shape), CellArrays(theirs[0], theirs[1], shape)

    patches = [run(_patch((scene, noise)[seed % 2], seed)) for seed in range(PATCHES)]
    pictures = [run(scene), run(noise)]
    wanted, found = (
        decode(cells.scores, cells.distances, size, cells.padded) for cells in pictures[0]
    )
    return Agreement(
        differing=float(np.median([_differing(*pair) for pair in patches])),
        score=max(_apart(*pair) for pair in pictures),
        boxes=len(wanted),
        boxes_found=_found_again(wanted, found),
    )


def _demo_counts(bins: int, planes: int, size: tuple[int, int]) -> tuple[Counts, int]:
    """A window of the demo, repeated over the whole picture, and the planes behind a count."""
    recording = open_recording(find_demo() / RECORDING_FILE)
    planes = min(planes, len(recording) // bins)
    counts = recording.counts(0, planes * bins, bins)
    rows, columns = map(range, size)
    return counts.take(rows, 1, mode="wrap").take(columns, 2, mode="wrap"), planes


def _patch(counts: Counts, seed: int) -> Counts:
    """A small part of a picture, the rest dark."""
    generator = np.random.default_rng(seed)
    top, left = (int(generator.integers(max(1, side - PATCH_SIDE))) for side in counts.shape[1:])
    part = np.s_[:, top : top + PATCH_SIDE, left : left + PATCH_SIDE]
    dark = np.zeros_like(counts)
    dark[part] = counts[part]
    return dark


def _differing(ours: CellArrays, theirs: CellArrays) -> float:
    pairs = ((ours.scores, theirs.scores), (ours.distances, theirs.distances))
    close = [(np.abs(one - other) <= TOLERANCE).all(axis=1) for one, other in pairs]
    return float(1 - (close[0] & close[1]).mean())  # what is no number is not close


def _apart(ours: CellArrays, theirs: CellArrays) -> float:
    one, other = (1 / (1 + np.exp(-cells.scores)) for cells in (ours, theirs))
    return float(np.abs(one - other).max())


def _found_again(wanted: Detections, found: Detections) -> int:
    is_same_class = wanted.class_ids[:, None] == found.class_ids
    matches = (box_iou(wanted.xyxy, found.xyxy) >= SAME_BOX_IOU) & is_same_class
    return int(matches.any(axis=1).sum())
