import math

import pytest
import torch
from torch import Tensor

from vidar_det.detector.decoding import cell_grid
from vidar_det.detector.head import RawPredictions
from vidar_det.errors import ShapeError
from vidar_det.training.losses import (
    LossSpec,
    Targets,
    assign,
    complete_iou,
    counted_cells,
    detection_loss,
    distribution_focal,
    pairwise_iou,
)

PADDED = (64, 96)


def targets(*boxes: tuple[float, float, float, float], ignore: bool = False) -> Targets:
    count = len(boxes)
    return Targets(
        boxes=torch.tensor(boxes, dtype=torch.float32).reshape(1, count, 4),
        class_ids=torch.zeros(1, count, dtype=torch.int64),
        valid=torch.ones(1, count, dtype=torch.bool),
        ignore=torch.full((1, count), ignore),
        scored=torch.ones(1, 3, dtype=torch.bool),
    )


def grid() -> tuple[Tensor, Tensor]:
    centres, strides = cell_grid(*PADDED)
    return torch.from_numpy(centres.copy()), torch.from_numpy(strides.copy())


def guess(scale: float = 0.0) -> RawPredictions:
    torch.manual_seed(0)
    cells = len(grid()[0])
    return RawPredictions(
        (torch.randn(1, cells, 3) * scale - 4).requires_grad_(),
        (torch.randn(1, cells, 64) * scale).requires_grad_(),
    )


def test_overlaps_are_those_of_hand() -> None:
    left = torch.tensor([[[0.0, 0, 10, 10]]])
    right = torch.tensor([[[0.0, 0, 10, 10], [5, 0, 15, 10], [20, 20, 30, 30]]])
    assert pairwise_iou(left, right)[0, 0].tolist() == pytest.approx([1, 1 / 3, 0], abs=1e-6)


def test_complete_iou_falls_with_distance_and_with_another_shape() -> None:
    box = torch.tensor([[0.0, 0, 10, 10]])
    same = complete_iou(box, box)
    near = complete_iou(box, torch.tensor([[12.0, 0, 22, 10]]))
    far = complete_iou(box, torch.tensor([[40.0, 0, 50, 10]]))
    wide = complete_iou(box, torch.tensor([[-5.0, 2.5, 15, 7.5]]))
    assert float(same) == pytest.approx(1, abs=1e-5)
    assert float(same) > float(wide) > float(near) > float(far)
    # overlap 50 / 150, centres equal: only the aspect term is taken off
    aspect = 4 / math.pi**2 * (math.atan(4) - math.atan(1)) ** 2
    assert float(wide) == pytest.approx(1 / 3 - aspect**2 / (2 / 3 + aspect), abs=1e-5)


def test_the_distribution_is_rewarded_on_both_neighbours() -> None:
    logits = torch.full((1, 4, 16), -30.0)
    logits[..., 3:5] = 0.0
    halves = distribution_focal(logits, torch.full((1, 4), 3.5))
    assert float(halves) == pytest.approx(math.log(2), abs=1e-4)


def test_cells_are_assigned_inside_the_object_and_to_one_object_only() -> None:
    labels = targets((8, 8, 56, 56), (40, 8, 90, 56))
    centres, strides = grid()
    boxes = torch.cat((centres - 20, centres + 20), 1)[None]
    scores = torch.full((1, len(centres), 3), 0.1)
    assigned = assign(scores, boxes, centres, strides, labels, LossSpec())
    positive = assigned.positive[0]
    assert 2 <= int(positive.sum()) <= 20
    for cell in positive.nonzero()[:, 0].tolist():
        left, top, right, bottom = labels.boxes[0, int(assigned.objects[0, cell])].tolist()
        x, y = centres[cell].tolist()
        assert left < x < right
        assert top < y < bottom
    assert set(assigned.objects[0][positive].tolist()) == {0, 1}
    assert float(assigned.quality.max()) <= 1


def test_an_object_smaller_than_a_cell_still_gets_one() -> None:
    labels = targets((33, 33, 35, 35))
    centres, strides = grid()
    scores = torch.full((1, len(centres), 3), 0.1)
    boxes = torch.zeros(1, len(centres), 4)
    assert assign(scores, boxes, centres, strides, labels, LossSpec()).positive.sum() >= 1


def test_an_ignored_object_gets_no_cell_and_gives_no_negatives() -> None:
    labels = targets((8, 8, 56, 56), ignore=True)
    centres, strides = grid()
    scores = torch.full((1, len(centres), 3), 0.1)
    boxes = torch.cat((centres - 20, centres + 20), 1)[None]
    assert not assign(scores, boxes, centres, strides, labels, LossSpec()).positive.any()
    nothing = torch.zeros(1, len(centres), dtype=torch.bool)
    counted = counted_cells(labels, centres, nothing, torch.zeros_like(scores))
    inside = ((centres > 8) & (centres < 56)).all(1)
    assert not counted[0, inside].any()
    assert counted[0, ~inside].all()


def test_a_class_that_is_not_completely_labelled_gives_no_negatives() -> None:
    labels = targets((8, 8, 56, 56))
    partly = Targets(
        labels.boxes,
        labels.class_ids,
        labels.valid,
        labels.ignore,
        torch.tensor([[True, False, True]]),
    )
    raw = guess()
    detection_loss(raw, partly, PADDED, LossSpec(box=0, distribution=0)).total.backward()
    assert raw.scores.grad is not None
    assert not raw.scores.grad[..., 1].any()
    assert raw.scores.grad[..., 0].any()
    assert raw.scores.grad[..., 2].any()


def test_a_picture_without_objects_pushes_all_scores_down() -> None:
    empty = Targets(
        torch.zeros(1, 1, 4),
        torch.zeros(1, 1, dtype=torch.int64),
        torch.zeros(1, 1, dtype=torch.bool),
        torch.zeros(1, 1, dtype=torch.bool),
        torch.ones(1, 3, dtype=torch.bool),
    )
    raw = guess(1.0)
    terms = detection_loss(raw, empty, PADDED, LossSpec())
    terms.total.backward()
    assert int(terms.positives) == 0
    assert float(terms.box.detach()) == float(terms.distribution.detach()) == 0
    assert raw.scores.grad is not None
    assert (raw.scores.grad > 0).all()


def test_free_predictions_descend_to_the_labels() -> None:
    labels = targets((10, 12, 50, 52), (60, 20, 90, 60))
    raw = guess(0.1)
    optimiser = torch.optim.Adam(raw, lr=0.2)
    first = last = 0.0
    for step in range(150):
        terms = detection_loss(raw, labels, PADDED, LossSpec())
        optimiser.zero_grad()
        terms.total.backward()
        optimiser.step()
        last = float(terms.total.detach())
        first = last if step == 0 else first
    assert last < 0.15 * first
    assert float(raw.scores.detach().sigmoid().max()) > 0.9


def test_labels_that_do_not_fit_each_other_are_refused() -> None:
    good = targets((0, 0, 1, 1))
    with pytest.raises(ShapeError, match="targets"):
        Targets(good.boxes, good.class_ids[:, :0], good.valid, good.ignore, good.scored)
    with pytest.raises(ShapeError, match="scored"):
        Targets(good.boxes, good.class_ids, good.valid, good.ignore, good.scored[0])
