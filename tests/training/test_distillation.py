"""A network that learns from another one."""

import math

import torch
import torch.nn.functional as F

from vidar_det.detector.head import RawPredictions
from vidar_det.training.distillation import distillation_loss

WEIGHTS = (0.5, 1.5)


def raw(seed: int) -> RawPredictions:
    generator = torch.Generator().manual_seed(seed)
    return RawPredictions(
        torch.randn(2, 21, 3, generator=generator),
        torch.randn(2, 21, 64, generator=generator),
    )


def test_equal_predictions_are_not_apart_and_others_are() -> None:
    assert abs(distillation_loss(raw(0), raw(0), WEIGHTS).item()) < 1e-6
    assert distillation_loss(raw(0), raw(1), WEIGHTS).item() > 0.1


def test_one_cell_by_hand() -> None:
    own = RawPredictions(torch.tensor([[[0.0]]]), torch.zeros(1, 1, 8))
    teacher = RawPredictions(
        torch.tensor([[[math.log(9)]]]), torch.tensor([[[math.log(3), 0.0] * 4]])
    )
    scores = 0.9 * math.log(0.9 / 0.5) + 0.1 * math.log(0.1 / 0.5)
    sides = 0.75 * math.log(0.75 / 0.5) + 0.25 * math.log(0.25 / 0.5)
    # the teacher sees 0.9 of an object, and it is divided by 1 at least
    expected = 0.5 * scores + 1.5 * sides * 0.9
    assert math.isclose(distillation_loss(own, teacher, WEIGHTS).item(), expected, rel_tol=1e-6)


def test_the_scores_gradient_is_the_difference_of_probabilities() -> None:
    own, teacher = raw(0), raw(1)
    scores = own.scores.requires_grad_()
    loss = distillation_loss(RawPredictions(scores, own.distances), teacher, (1.0, 0.0))
    loss.backward()
    normaliser = teacher.scores.sigmoid().amax(2).sum()
    expected = (F.sigmoid(scores) - F.sigmoid(teacher.scores)) / normaliser
    torch.testing.assert_close(scores.grad, expected.detach(), rtol=1e-5, atol=1e-7)


def test_where_the_teacher_sees_nothing_boxes_do_not_matter() -> None:
    teacher = RawPredictions(torch.full((2, 21, 3), -40.0), raw(1).distances)
    apart = RawPredictions(teacher.scores, raw(0).distances)
    assert abs(distillation_loss(apart, teacher, WEIGHTS).item()) < 1e-6
