"""A network and its losses come in; a plan that the loss feels as little as can be goes out."""

from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from vidar_det.errors import PruningError
from vidar_det.pruning.costs import CostModel
from vidar_det.pruning.group_spines import GroupSpines
from vidar_det.pruning.groups import ChannelGroups
from vidar_det.pruning.importance import over_kappa
from vidar_det.pruning.plan import PlanRules, PruningPlan, Target, make_plan
from vidar_det.pruning.surgery import mask

ROUNDS = 10

Losses = Callable[[nn.Module], Iterable[Tensor]]
"""A network -> its losses on some batches, with gradient."""


def felt_losses(
    network: nn.Module, groups: ChannelGroups, losses: Iterable[Tensor]
) -> NDArray[np.float64]:
    """Measure how much the loss feels of each group.

    The derivative by a gate on the group's normalised channels, ``gamma . dL/dgamma + beta .
    dL/dbeta``, as the root mean square over batches (Molchanov et al., *Importance Estimation for
    Neural Network Pruning*, CVPR 2019, eq. 8).

    Args:
        network: with affine normalisations; its gradients are overwritten.
        groups: its groups.
        losses: of the network, on some batches.

    Returns:
        ``(G,) float64``; infinite for groups that no normalisation belongs to: they stay.

    Raises:
        PruningError: there is no loss.
    """
    spines = GroupSpines(network, groups, {})
    squares, count = np.zeros(groups.count), 0
    for loss in losses:
        network.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # untyped in torch
        squares += spines.gates() ** 2
        count += 1
    if not count:
        raise PruningError("found no loss, wanted at least one to see which groups matter")
    return np.where(np.isfinite(spines.sizes()), np.sqrt(squares / count), np.inf)


def plan_in_rounds(
    network: nn.Module,
    groups: ChannelGroups,
    losses: Losses,
    costs: CostModel,
    target: Target,
    rules: PlanRules | None = None,
    kappa: NDArray[np.float64] | None = None,
) -> PruningPlan:
    """Plan step by step, without training: after each, the loss feels more of what is left.

    A whole branch is worth little to the loss channel by channel, and everything when it is gone:
    ten rounds notice, one does not.

    Args:
        network: in evaluation mode; it stays as it is.
        groups: of the network.
        losses: on the same few batches each time.
        costs: of the network, in the target's unit.
        target: the budget.
        rules: floors and rounding.
        kappa: ``(G,) float64``: how much more readily groups go; None = 1. A group with 0 stays.

    Returns:
        The plan; its cost is at most the budget.

    Raises:
        PruningError: the budget lies below what the floors leave, or there is no loss.
        ConfigError: the target's unit is not the costs'.
    """
    kappa = np.ones(groups.count) if kappa is None else kappa
    dense = costs.total()
    share = min(1.0, target.budget(dense) / dense)
    kept = np.ones(groups.count, bool)
    for done in range(1, ROUNDS + 1):
        masked = mask(network, groups, kept)
        scores = over_kappa(felt_losses(masked, groups, losses(masked)), kappa)
        scores = np.where(kept | np.isinf(scores), scores, 0.0)
        due = Target(target.unit, 1 - (1 - share) * done / ROUNDS) if done < ROUNDS else target
        plan = make_plan(groups, scores, costs, due, rules if done == ROUNDS else _loose(rules))
        kept = plan.kept
    return plan


def _loose(rules: PlanRules | None) -> PlanRules:
    """Rounding waits for the last round."""
    return replace(rules, round_to=1) if rules else PlanRules()
