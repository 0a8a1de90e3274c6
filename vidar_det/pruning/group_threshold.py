"""A network in training comes in; its least needed channels are 0 when it goes out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vidar_det.errors import CheckpointError, ConfigError
from vidar_det.pruning.costs import CostModel
from vidar_det.pruning.groups import ChannelGroups
from vidar_det.pruning.importance import group_sizes, spine_layers
from vidar_det.pruning.plan import PlanRules, Target, lowest_threshold
from vidar_det.pruning.schedules import Schedule


@dataclass(frozen=True)
class ReachCost:
    """Instead of a schedule: the threshold that brings the cost down to a target.

    After each optimiser step d is the lowest threshold whose groups cost no more than is due:
    ``1 - (1 - target) * (1 - (1 - n / N)^3)`` of the dense cost, with an absolute target as its
    share. It says nothing of lambda: that is what the data make of it.

    Attributes:
        costs: of the network.
        target: what is reached.
        steps: N, the optimiser steps in which it is reached; from then on it is held.
        rules: floors; rounding is left to the plan.
    """

    costs: CostModel
    target: Target
    steps: int
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
        floor: fewest groups of each family that are never set to 0.

    Attributes:
        threshold: d, as it is now.
        strength: lambda of the last step; nominal where the optimiser is not plain SGD.
        steps: optimiser steps made since it was attached.
        rates: sum of their learning rates.

    Raises:
        ConfigError: the optimiser does not hold a gamma or beta.
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
        self._norms = _Norms(network, groups, initial or {})
        self._norms.check(optimizer)
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
        with np.errstate(divide="ignore"):
            return self._norms.sizes() / self._kappa

    def finalise(self) -> None:
        """Let go of the network: what it computes with becomes what it learns with."""
        for hook in self._hooks:
            hook.remove()

    def state_dict(self) -> dict[str, Any]:
        """All that a later run needs beside the states of the network and of the optimiser."""
        return {
            **self._identity(),
            **{name: getattr(self, name) for name in _PROGRESS},
            "spines": {name: spine.clone() for name, spine in self._norms.spines.items()},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where another run stopped; load network and optimiser too.

        Raises:
            CheckpointError: the state is of other groups, another schedule or another optimiser.
        """
        for name, wanted in self._identity().items():
            if (found := state.get(name)) != wanted:
                raise CheckpointError(
                    f"state of group threshold, {name}: found {found}, wanted {wanted}"
                )
        for name in _PROGRESS:
            setattr(self, name, state[name])
        for name, spine in self._norms.spines.items():
            spine.copy_(state["spines"][name])

    def _identity(self) -> dict[str, Any]:
        rule = self._schedule
        asked = (rule.target, rule.steps) if isinstance(rule, ReachCost) else rule
        return {
            "groups": self._groups.count,
            "schedule": repr(asked),
            "optimizer": type(self._optimizer).__name__,
            "floor": self._floor,
        }

    def _before(self, *_: object) -> None:
        self._norms.lend()

    def _after(self, *_: object) -> None:
        self._norms.take_back()
        rate, momentum = self._norms.rate_and_momentum(self._optimizer)
        self.steps, self.rates = self.steps + 1, self.rates + rate
        scores = self.scores
        threshold = self._next_threshold(scores)
        rise = (threshold - self.threshold) * (1 - momentum)
        self.threshold, self.strength = threshold, rise / rate if rate else 0.0
        limits = self._limits(scores)
        with np.errstate(invalid="ignore"):
            factors = np.where(np.isfinite(scores), 1 - limits / np.maximum(scores, 1e-30), 1.0)
        self._norms.shrink(np.maximum(factors, 0.0))

    def _next_threshold(self, scores: NDArray[np.float64]) -> float:
        rule = self._schedule
        if isinstance(rule, ReachCost):
            rules = PlanRules(self._floor)
            due = rule.due(self.steps)
            return max(0.0, lowest_threshold(self._groups, scores, rule.costs, due, rules))
        return rule.threshold(self.steps, self.rates)

    def _limits(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """Threshold of each group: d, but no more than it takes to leave a family its floor."""
        limits = np.full(len(scores), self.threshold)
        for family in self._groups.families:
            own = scores[family.groups]
            largest_to_go = -np.sort(-own)[self._floor] if len(own) > self._floor else 0.0
            limits[family.groups] = min(self.threshold, largest_to_go)
        return limits


_PROGRESS = ("steps", "rates", "threshold", "strength")


class _Norms:
    """Gamma and beta of all normalisations, their spines, and the groups of their channels."""

    def __init__(
        self, network: nn.Module, groups: ChannelGroups, initial: Mapping[str, float]
    ) -> None:
        self.count = groups.count
        self.parameters: dict[str, nn.Parameter] = {}
        self.spines: dict[str, Tensor] = {}
        self.outs: dict[str, NDArray[np.int64]] = {}
        self.initial: dict[str, float] = {}
        for layer, outs in spine_layers(network, groups).items():
            for part in ("weight", "bias"):
                name = f"{layer}.{part}"
                self.parameters[name] = network.get_parameter(name)
                self.spines[name] = self.parameters[name].detach().clone()
                self.outs[name], self.initial[name] = outs, initial.get(layer, 1.0)
        if not self.spines:
            raise ConfigError("group threshold: found no affine normalisation, wanted at least one")

    def check(self, optimizer: torch.optim.Optimizer) -> None:
        held = {id(p) for group in optimizer.param_groups for p in group["params"]}
        for name, parameter in self.parameters.items():
            if id(parameter) not in held:
                raise ConfigError(f"group threshold: the optimiser does not hold {name!r}")

    @torch.no_grad()
    def lend(self) -> None:
        for name, parameter in self.parameters.items():
            parameter.copy_(self.spines[name])

    @torch.no_grad()
    def take_back(self) -> None:
        for name, parameter in self.parameters.items():
            self.spines[name].copy_(parameter)

    @torch.no_grad()
    def shrink(self, factors: NDArray[np.float64]) -> None:
        """Write ``factor * spine`` into the network."""
        whole = np.append(factors, 1.0)  # the last one answers for STAYS, which is -1
        for name, parameter in self.parameters.items():
            factor = torch.from_numpy(whole[self.outs[name]]).to(parameter)
            parameter.copy_(self.spines[name] * factor)

    def sizes(self) -> NDArray[np.float64]:
        """Size of each group's spine; see `vidar_det.pruning.importance.spine_sizes`."""
        return group_sizes(
            self.count,
            ((self.outs[name], spine / self.initial[name]) for name, spine in self.spines.items()),
        )

    def rate_and_momentum(self, optimizer: torch.optim.Optimizer) -> tuple[float, float]:
        """Learning rate and momentum of the step just made."""
        spines = {id(parameter) for parameter in self.parameters.values()}
        used = {
            (float(group["lr"]), float(group.get("momentum", 0.0)))
            for group in optimizer.param_groups
            if any(id(parameter) in spines for parameter in group["params"])
        }
        if len(used) != 1:
            raise ConfigError(
                f"learning rate and momentum of gamma and beta: found {sorted(used)}, wanted one "
                "pair"
            )
        return used.pop()


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
