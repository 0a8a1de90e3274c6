"""Two networks' predictions for the same windows come in; how far they are apart goes out."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from vidar_det.detector.head import RawPredictions


def distillation_loss(
    predictions: RawPredictions,
    taught: RawPredictions,
    weights: tuple[float, float],
    add_up: Callable[[Tensor], Tensor] = lambda value: value,
) -> Tensor:
    """Compare what a network says with what its teacher says, cell by cell.

    Scores by Kullback-Leibler divergence of each class; distances by that of each side's
    distribution (localisation distillation; Zheng et al., CVPR 2022, eq. 4), where the teacher sees
    something. Both are divided by how much the teacher sees in the whole batch, as
    ``detection_loss`` is by what is labelled.

    Args:
        predictions: of the network that learns.
        taught: of its teacher, without gradient.
        weights: of scores and of distributions.
        add_up: sums a number over all processes that share the batch.

    Returns:
        The weighted loss, 0 where both say the same.

    Example:
        >>> raw = RawPredictions(torch.zeros(1, 21, 3), torch.zeros(1, 21, 64))
        >>> distillation_loss(raw, raw, (0.5, 1.5)).item()
        0.0
    """
    scores, wanted = predictions.scores.float(), taught.scores.float().sigmoid()
    certainty = wanted.amax(2)
    normaliser = add_up(certainty.sum()).clamp(min=1.0)
    least = F.binary_cross_entropy_with_logits(taught.scores.float(), wanted, reduction="sum")
    entropy = F.binary_cross_entropy_with_logits(scores, wanted, reduction="sum")
    own, other = (
        raw.distances.float().reshape(*scores.shape[:2], 4, -1).log_softmax(3)
        for raw in (predictions, taught)
    )
    apart = F.kl_div(own, other, reduction="none", log_target=True).sum(3).mean(2)
    score_term = (entropy - least) / normaliser
    distribution_term = (apart * certainty).sum() / normaliser
    total: Tensor = torch.stack((score_term * weights[0], distribution_term * weights[1])).sum()
    return total
