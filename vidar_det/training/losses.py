"""Raw predictions and labels come in, one number to minimise comes out.

Task-aligned assignment (TAL; Feng et al., *TOOD*, ICCV 2021), binary cross-entropy on class scores,
CIoU (Zheng et al., AAAI 2020) and distribution focal loss (Li et al., NeurIPS 2020) on boxes.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from vidar_det.detector.decoding import cell_grid
from vidar_det.detector.head import RawPredictions
from vidar_det.errors import ShapeError


@dataclass(frozen=True)
class LossSpec:
    """Weights and assignment of the detection loss.

    Attributes:
        box: weight of the CIoU term.
        score: weight of the class term.
        distribution: weight of the DFL term.
        topk: cells that one object may claim.
        alpha: exponent of the score in the alignment measure.
        beta: exponent of the overlap in the alignment measure.
    """

    box: float = 7.5
    score: float = 0.5
    distribution: float = 1.5
    topk: int = 10
    alpha: float = 0.5
    beta: float = 6.0


@dataclass(frozen=True)
class Targets:
    """Labels of a batch, padded to the same number of objects.

    Attributes:
        boxes: ``[B, M, 4] float32`` xyxy, pixels.
        class_ids: ``[B, M] int64``.
        valid: ``[B, M] bool``, False where padded.
        ignore: ``[B, M] bool``: the object is neither wanted nor a false alarm.
        scored: ``[B, classes] bool``: the class is completely labelled on this picture; where it
            is not, its unlabelled cells give no negatives.

    Raises:
        ShapeError: the arrays do not fit each other.
    """

    boxes: Tensor
    class_ids: Tensor
    valid: Tensor
    ignore: Tensor
    scored: Tensor

    def __post_init__(self) -> None:
        rows = self.boxes.shape[:2]
        flat = (self.class_ids.shape, self.valid.shape, self.ignore.shape)
        if self.boxes.shape[2:] != (4,) or any(shape != rows for shape in flat):
            raise ShapeError(f"targets: boxes {tuple(self.boxes.shape)} against {flat}")
        if self.scored.ndim != 2 or self.scored.shape[0] != rows[0]:
            raise ShapeError(f"targets: scored {tuple(self.scored.shape)}, wanted [{rows[0]}, K]")

    def to(self, device: torch.device) -> "Targets":
        """Return the same labels on another device."""
        return Targets(
            self.boxes.to(device),
            self.class_ids.to(device),
            self.valid.to(device),
            self.ignore.to(device),
            self.scored.to(device),
        )


class LossTerms(NamedTuple):
    """The loss and its parts, scalars; ``positives`` counts the cells that were assigned."""

    total: Tensor
    box: Tensor
    score: Tensor
    distribution: Tensor
    positives: Tensor


class Assignment(NamedTuple):
    """Which object each cell stands for.

    Attributes:
        objects: ``[B, N] int64`` index of the object; meaningful where ``positive``.
        positive: ``[B, N] bool``.
        quality: ``[B, N] float32`` the score this cell should reach, 0 where not positive.
    """

    objects: Tensor
    positive: Tensor
    quality: Tensor


def detection_loss(
    predictions: RawPredictions,
    targets: Targets,
    padded: tuple[int, int],
    spec: LossSpec,
    add_up: Callable[[Tensor], Tensor] = lambda value: value,
) -> LossTerms:
    """Compare a batch of predictions with its labels.

    Args:
        predictions: raw output of the network.
        targets: labels on the same device.
        padded: height and width of the network's input, pixels.
        spec: weights.
        add_up: sums a number over all processes that share the batch. Everything is divided by the
            quality that the whole batch assigns, so their losses add up to the batch's.

    Returns:
        The weighted loss, and its parts before weighting.

    Example:
        >>> raw = RawPredictions(torch.zeros(1, 21, 3), torch.zeros(1, 21, 64))
        >>> targets = Targets(
        ...     boxes=torch.tensor([[[4.0, 4.0, 20.0, 28.0]]]),
        ...     class_ids=torch.zeros(1, 1, dtype=torch.int64),
        ...     valid=torch.ones(1, 1, dtype=torch.bool),
        ...     ignore=torch.zeros(1, 1, dtype=torch.bool),
        ...     scored=torch.ones(1, 3, dtype=torch.bool),
        ... )
        >>> terms = detection_loss(raw, targets, (32, 32), LossSpec())
        >>> bool(terms.total > 0), int(terms.positives) > 0
        (True, True)
    """
    device = predictions.scores.device
    centres, strides = (torch.from_numpy(grid.copy()).to(device) for grid in cell_grid(*padded))
    scores = predictions.scores.float()
    distances = predictions.distances.float().reshape(*scores.shape[:2], 4, -1)
    reg_max = distances.shape[3]
    boxes = decode_boxes(distances, centres, strides)
    with torch.no_grad():
        assigned = assign(scores.sigmoid(), boxes, centres, strides, targets, spec)
    rows = torch.arange(len(scores), device=device)[:, None]
    classes = targets.class_ids[rows, assigned.objects]
    wanted = torch.zeros_like(scores)
    wanted[assigned.positive, classes[assigned.positive]] = assigned.quality[assigned.positive]
    normaliser = add_up(assigned.quality.sum()).clamp(min=1.0)
    counted = counted_cells(targets, centres, assigned.positive, wanted)
    entropy = F.binary_cross_entropy_with_logits(scores, wanted, reduction="none")
    score_term = (entropy * counted).sum() / normaliser

    weight = assigned.quality[assigned.positive]
    object_boxes = targets.boxes[rows, assigned.objects][assigned.positive]
    overlap = complete_iou(boxes[assigned.positive], object_boxes)
    box_term = ((1 - overlap) * weight).sum() / normaliser
    cells = assigned.positive.nonzero()[:, 1]
    sides = _sides(object_boxes, centres[cells]) / strides[cells, None]
    focal = distribution_focal(distances[assigned.positive], sides.clamp(0, reg_max - 1.01))
    distribution_term = (focal * weight).sum() / normaliser
    total = spec.box * box_term + spec.score * score_term + spec.distribution * distribution_term
    return LossTerms(total, box_term, score_term, distribution_term, assigned.positive.sum())


def decode_boxes(distances: Tensor, centres: Tensor, strides: Tensor) -> Tensor:
    """Turn distance logits ``[B, N, 4, reg_max]`` into ``[B, N, 4]`` xyxy, pixels."""
    bins = torch.arange(distances.shape[3], device=distances.device, dtype=distances.dtype)
    sides = distances.softmax(3) @ bins * strides[:, None]
    return torch.cat((centres - sides[..., :2], centres + sides[..., 2:]), -1)


def assign(
    scores: Tensor,
    boxes: Tensor,
    centres: Tensor,
    strides: Tensor,
    targets: Targets,
    spec: LossSpec,
) -> Assignment:
    """Give each object its best-aligned cells (TOOD, eq. 4: ``score^alpha * overlap^beta``).

    A cell may stand for an object when its centre lies in the box (or within half a cell of the
    centre, for objects smaller than a cell). Where two objects claim a cell, the greater overlap
    wins.

    Args:
        scores: ``[B, N, classes]`` probabilities.
        boxes: ``[B, N, 4]`` decoded, pixels.
        centres: ``[N, 2]`` pixels.
        strides: ``[N]`` pixels.
        targets: labels.
        spec: topk, alpha and beta.

    Returns:
        The assignment; qualities are the alignment, rescaled so that an object's best cell gets
        its best overlap.
    """
    wanted = targets.valid & ~targets.ignore
    overlap = pairwise_iou(targets.boxes, boxes)
    class_scores = scores.transpose(1, 2).gather(
        1, targets.class_ids.clamp(min=0)[..., None].expand(-1, -1, scores.shape[1])
    )
    inside = _near(targets.boxes, centres, strides) & wanted[..., None]
    alignment = class_scores.pow(spec.alpha) * overlap.pow(spec.beta) * inside
    topk = alignment.topk(min(spec.topk, alignment.shape[2]), dim=2)
    claimed = torch.zeros_like(inside).scatter(2, topk.indices, topk.values > 0) & inside
    # a fresh network may overlap nothing: fall back to the cells nearest to the centre
    claimed |= _nearest(targets.boxes, centres, inside, claimed)
    contested = torch.where(claimed, overlap, -1.0)
    best_overlap, objects = contested.max(1)
    positive = best_overlap >= 0
    owned = claimed & (
        torch.arange(claimed.shape[1], device=claimed.device)[None, :, None] == objects[:, None]
    )
    alignment = alignment * owned
    peak_alignment = alignment.amax(2, keepdim=True)
    peak_overlap = (overlap * owned).amax(2, keepdim=True)
    quality = (alignment / (peak_alignment + 1e-9) * peak_overlap).amax(1)
    return Assignment(objects, positive, quality * positive)


def counted_cells(targets: Targets, centres: Tensor, positive: Tensor, wanted: Tensor) -> Tensor:
    """Mark the (cell, class) pairs that the class term may judge.

    Left out are cells inside an ignored box (unless positive), and classes that the picture does
    not label completely (unless this cell is a labelled example of that class).

    Returns:
        ``[B, N, classes] bool``.
    """
    ignored = targets.ignore & targets.valid
    low, high = targets.boxes[..., None, :2], targets.boxes[..., None, 2:]
    within = ((centres > low) & (centres < high)).all(-1) & ignored[..., None]
    judged = (~within.any(1) | positive)[..., None] & targets.scored[:, None]
    return judged | (wanted > 0)


def pairwise_iou(left: Tensor, right: Tensor) -> Tensor:
    """Return overlaps ``[B, M, N]`` of boxes ``[B, M, 4]`` and ``[B, N, 4]``."""
    low = torch.maximum(left[:, :, None, :2], right[:, None, :, :2])
    high = torch.minimum(left[:, :, None, 2:], right[:, None, :, 2:])
    shared = (high - low).clamp(min=0).prod(-1)
    areas_left = (left[..., 2:] - left[..., :2]).clamp(min=0).prod(-1)
    areas_right = (right[..., 2:] - right[..., :2]).clamp(min=0).prod(-1)
    return shared / (areas_left[:, :, None] + areas_right[:, None] - shared + 1e-9)


def complete_iou(boxes: Tensor, objects: Tensor) -> Tensor:
    """Complete IoU of boxes ``[P, 4]`` and ``[P, 4]`` (Zheng et al., eq. 7-10), ``[P]``."""
    low = torch.maximum(boxes[:, :2], objects[:, :2])
    high = torch.minimum(boxes[:, 2:], objects[:, 2:])
    shared = (high - low).clamp(min=0).prod(1)
    size, object_size = boxes[:, 2:] - boxes[:, :2], objects[:, 2:] - objects[:, :2]
    union = size.prod(1) + object_size.prod(1) - shared + 1e-9
    overlap = shared / union
    hull = torch.maximum(boxes[:, 2:], objects[:, 2:]) - torch.minimum(boxes[:, :2], objects[:, :2])
    apart = (boxes[:, :2] + boxes[:, 2:] - objects[:, :2] - objects[:, 2:]) / 2
    distance = apart.square().sum(1) / (hull.square().sum(1) + 1e-9)
    angle = torch.atan2(object_size[:, 0], object_size[:, 1]) - torch.atan2(size[:, 0], size[:, 1])
    aspect = 4 / math.pi**2 * angle.square()
    with torch.no_grad():
        weight = aspect / (1 - overlap + aspect + 1e-9)
    return overlap - distance - weight * aspect


def distribution_focal(distances: Tensor, sides: Tensor) -> Tensor:
    """DFL of logits ``[P, 4, reg_max]`` against distances ``[P, 4]`` in strides, ``[P]``."""
    lower = sides.floor().long()
    share = (lower + 1 - sides)[..., None]
    log_probability = distances.log_softmax(2)
    left = log_probability.gather(2, lower[..., None])
    right = log_probability.gather(2, lower[..., None] + 1)
    return -(left * share + right * (1 - share)).mean((1, 2))


def _sides(boxes: Tensor, centres: Tensor) -> Tensor:
    return torch.cat((centres - boxes[..., :2], boxes[..., 2:] - centres), -1)


def _near(boxes: Tensor, centres: Tensor, strides: Tensor) -> Tensor:
    """Mark cells ``[B, M, N]`` whose centre lies in a box that is at least one cell large."""
    middle = (boxes[..., :2] + boxes[..., 2:])[:, :, None] / 2
    half = (boxes[..., 2:] - boxes[..., :2])[:, :, None] / 2
    reach = torch.maximum(half, strides[:, None] / 2)
    return ((centres - middle).abs() < reach).all(-1)


def _nearest(boxes: Tensor, centres: Tensor, inside: Tensor, claimed: Tensor) -> Tensor:
    """Give every object without a cell the allowed cell whose centre is nearest to its own."""
    middle = (boxes[..., :2] + boxes[..., 2:])[:, :, None] / 2
    apart = torch.where(inside, (centres - middle).square().sum(-1), torch.inf)
    closest = torch.zeros_like(inside).scatter(2, apart.argmin(2, keepdim=True), value=True)
    return closest & inside & ~claimed.any(2, keepdim=True)
