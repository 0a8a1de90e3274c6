"""A network in training comes in; its least needed channels are 0 when it goes out."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from vidar_det.errors import ConfigError
from vidar_det.pruning.costs import CostModel
from vidar_det.pruning.group_spines import GroupSpines
from vidar_det.pruning.groups import ChannelGroups
from vidar_det.pruning.importance import over_kappa
from vidar_det.pruning.plan import PlanRules, Target, lowest_threshold
from vidar_det.pruning.resuming import describe, refuse_another, refuse_other_figures
from vidar_det.pruning.schedules import Schedule
from vidar_det.pruning.steps import rate_and_drag, was_skipped


@dataclass(frozen=True)
class ReachCost:
    """Instead of a schedule: the threshold that brings the cost down to a target.

    After each optimiser step d is the lowest threshold whose groups cost no more than is due:
    ``1 - (1 - target) * (1 - (1 - n / N)^3)`` of the dense cost, with an absolute target as its
    share; but it rises no faster than lambda allows. Trained spines are all of much the same size,
    so that a fast rise would shrink those that stay to almost nothing: lambda, the speed of the
    threshold over that of the spines, has to leave them the time to grow. Where it binds, lambda
    is constant, which is the LATS rule, and the target may be reached late or not quite.

    Attributes:
        costs: of the network.
        target: what is reached.
        steps: N, the optimiser steps in which it is due; from then on it is held.
        strength: largest lambda, ``(1 - momentum) * (rise of d) / (learning rate)``.
        rules: floors; rounding is left to the plan.
    """

    costs: CostModel
    target: Target
    steps: int
    strength: float = math.inf
    rules: PlanRules = field(default_factory=PlanRules)

    def due(self, steps: int) -> Target:
        """Target after so many steps."""
        dense = self.costs.total()
        share = min(1.0, self.target.budget(dense) / dense)
        left = max(0.0, 1 - steps / self.steps)
        return Target(self.target.unit, 1 - (1 - share) * (1 - left**3))


class GroupThreshold:
    """Soft threshold on whole groups of channels: attach it, train as always, then plan and cut.

    The spine of a group is the ``(gamma, beta)`` of all its normalised channels, each divided by
    what gamma started from. What the network computes with is the spine after the proximal step of
    the group's norm, and the gradient passes straight back to the spine, so that a group below the
    threshold goes on learning and may come back (the group analogue of STDS)::

        (gamma, beta)_g = max(0, 1 - d * kappa_g / size_g) * spine_g

    The optimiser moves the spines: they take the places of gamma and beta while it steps. At all
    other times the network's parameters are what it computes with, so checkpoints, averages and
    clipping need to know nothing of all this. Keep weight decay away from gamma and beta. A neuron
    whose gradient at a membrane of 0 is 0, as ReLU's is, teaches a group of zeros nothing: behind
    it they stay gone.

    Args:
        network: with affine batch normalisations.
        optimizer: holds their parameters, all with one learning rate.
        groups: of the network.
        schedule: one of `vidar_det.pruning.schedules`, or `ReachCost`.
        initial: what each gamma started from, by the name of its normalisation; 1 where missing.
        kappa: ``(G,) float64``: how much faster than d each group's threshold rises, as
            `cost_weights` gives it; None = 1. A group with 0 stays.
        floor: fewest groups of each family that are never set to 0: the largest, of equals the
            first.

    Attributes:
        threshold: d, as it is now.
        strength: lambda of the last step; nominal where the optimiser is not plain SGD.
        steps: optimiser steps made since it was attached.
        rates: sum of their learning rates.

    Raises:
        ConfigError: the optimiser does not hold a gamma or beta, or ``kappa`` does not fit.
    """

    def __init__(
        self,
        network: nn.Module,
        optimizer: torch.optim.Optimizer,
        groups: ChannelGroups,
        schedule: Schedule | ReachCost,
        initial: Mapping[str, float] | None = None,
        kappa: NDArray[np.float64] | None = None,
        floor: int = 1,
    ) -> None:
        self._network, self._optimizer, self._groups = network, optimizer, groups
        self._schedule, self._floor = schedule, floor
        self._kappa = np.ones(groups.count) if kappa is None else kappa
        if self._kappa.shape != (groups.count,) or not (self._kappa >= 0).all():
            raise ConfigError(
                f"kappa: found shape {self._kappa.shape} and least {self._kappa.min(initial=0):g}, "
                f"wanted {(groups.count,)} and 0 or more"
            )
        self._spines = GroupSpines(network, groups, initial or {})
        self._spines.check(optimizer)
        self.steps, self.rates, self.threshold, self.strength = 0, 0.0, 0.0, 0.0
        self._hooks = (
            optimizer.register_step_pre_hook(self._before),
            optimizer.register_step_post_hook(self._after),
        )

    @property
    def scores(self) -> NDArray[np.float64]:
        """Size of each group's spine over kappa, ``(G,) float64``: what d is compared with.

        Infinite for groups without normalisation, which stay.
        """
        return over_kappa(self._spines.sizes(), self._kappa)

    def finalise(self, other: nn.Module | None = None) -> None:
        """Let go of the network: what it computes with becomes what it learns with.

        Args:
            other: a copy of the network; it is an ordinary one and stays as it is.
        """
        for hook in self._hooks if other is None else ():
            hook.remove()

    def state_dict(self) -> dict[str, Any]:
        """All that a later run needs beside the states of the network and of the optimiser."""
        return {
            **self._identity(),
            **{name: getattr(self, name) for name in _PROGRESS},
            "kappa": self._kappa.tolist(),
            "initial": dict(self._spines.initial),
            "spines": {name: spine.clone() for name, spine in self._spines.spines.items()},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where another run stopped; load network and optimiser too.

        Raises:
            CheckpointError: the state is of other groups, another schedule, optimiser or kappa, or
                of spines that started elsewhere.
        """
        refuse_another("group threshold", state, self._identity())
        self._spines.refuse_others(state)
        if "kappa" in state:
            refuse_other_figures("group threshold, kappa", state["kappa"], self._kappa)
        for name in _PROGRESS:
            setattr(self, name, state[name])
        for name, spine in self._spines.spines.items():
            spine.copy_(state["spines"][name])

    def _identity(self) -> dict[str, Any]:
        rule = self._schedule
        asked = describe(rule)
        if isinstance(rule, ReachCost):
            asked = repr((rule.target, rule.steps, rule.strength))
        return {
            "groups": self._groups.count,
            "schedule": asked,
            "optimizer": type(self._optimizer).__name__,
            "floor": self._floor,
        }

    def _before(self, *_: object) -> None:
        self._spines.lend()

    def _after(self, *_: object) -> None:
        self._spines.take_back()
        scores = self.scores
        if not was_skipped(self._optimizer):
            self._advance(scores)
        limits = self._limits(scores)
        with np.errstate(invalid="ignore"):
            factors = np.where(np.isfinite(scores), 1 - limits / np.maximum(scores, 1e-30), 1.0)
        self._spines.shrink(np.maximum(factors, 0.0))

    def _advance(self, scores: NDArray[np.float64]) -> None:
        """Move the threshold after a step of the optimiser."""
        spines = self._spines.parameters.values()
        rate, drag = rate_and_drag(self._optimizer, spines, "gamma and beta")
        self.steps, self.rates = self.steps + 1, self.rates + rate
        threshold = self._next_threshold(scores, rate / drag)
        rise = (threshold - self.threshold) * drag
        self.threshold, self.strength = threshold, rise / rate if rate else 0.0

    def _next_threshold(self, scores: NDArray[np.float64], rate: float) -> float:
        rule = self._schedule
        if isinstance(rule, ReachCost):
            rules = PlanRules(self._floor)
            due = rule.due(self.steps)
            lowest = max(0.0, lowest_threshold(self._groups, scores, rule.costs, due, rules))
            return min(lowest, self.threshold + rule.strength * rate)
        return rule.threshold(self.steps, self.rates)

    def _limits(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """Threshold of each group: d, but for a family's best no more than lets the others go."""
        limits = np.full(len(scores), self.threshold)
        for family in self._groups.families:
            order = np.lexsort((family.groups, -scores[family.groups]))
            best, others = np.split(family.groups[order], [self._floor])
            limit = min(self.threshold, scores[others[0]]) if len(others) else 0.0
            equal = scores[best] <= limit  # with what goes: they stay at half their size
            limits[best] = np.where(equal, scores[best] / 2, limit)
        return limits


_PROGRESS = ("steps", "rates", "threshold", "strength")


def quicken_spines(network: nn.Module, optimizer: torch.optim.Optimizer, factor: float) -> None:
    """Give gamma and beta of all batch normalisations a learning rate of their own.

    Their parameters move into a group without weight decay, whose ``lr_scale`` is the factor:
    whoever sets learning rates multiplies by it.

    Args:
        network: with batch normalisations.
        optimizer: over its parameters, before its first step; changed.
        factor: on the learning rate.
    """
    norms = (part for part in network.modules() if isinstance(part, _BatchNorm) and part.affine)
    spines = [parameter for norm in norms for parameter in norm.parameters()]
    own = {id(parameter) for parameter in spines}
    first = {**optimizer.param_groups[0]}
    for group in optimizer.param_groups:
        group["params"] = [one for one in group["params"] if id(one) not in own]
    kept = {name: value for name, value in first.items() if name not in ("params", "lr")}
    changed = {"params": spines, "lr": first["lr"] * factor, "weight_decay": 0.0}
    optimizer.add_param_group({**kept, **changed, "lr_scale": factor})


def cost_weights(costs: CostModel, rho: float = 0.5) -> NDArray[np.float64]:
    """Let dear groups go sooner: ``kappa_g = (c_g / mean c) ** rho``.

    Args:
        costs: of the network; ``c_g`` is what the loss of the group alone would save.
        rho: 0 judges all groups alike.

    Returns:
        ``(G,) float64``.

    Raises:
        ConfigError: ``rho`` is negative.
    """
    if rho < 0:
        raise ConfigError(f"rho: found {rho:g}, wanted 0 or more")
    saved = costs.marginal()
    weights: NDArray[np.float64] = np.maximum(saved / saved.mean(), 1e-6) ** rho
    return weights
