"""Scores, costs and a budget come in; the groups to keep, and a table one can read, go out."""

import heapq
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidar_det.errors import ConfigError, PruningError
from vidar_det.pruning.costs import CostModel, Unit
from vidar_det.pruning.groups import ChannelGroups, Family
from vidar_det.pruning.widths import LayerWidth, layer_widths

UNITS: tuple[Unit, ...] = ("params", "macs", "synops")


@dataclass(frozen=True)
class Target:
    """How small a network shall be.

    Attributes:
        unit: what is counted.
        amount: up to 1, a fraction of today's cost; above 1, an absolute number.

    Example:
        >>> Target.parse("params=0.5")
        Target(unit='params', amount=0.5)
    """

    unit: Unit
    amount: float

    def __post_init__(self) -> None:
        if self.unit not in UNITS or not 0 < self.amount < math.inf:
            raise ConfigError(
                f"target: found {self}, wanted params=X, macs=X or synops=X "
                "with X above 0 (up to 1: a fraction)"
            )

    def __str__(self) -> str:
        return f"{self.unit}={self.amount:.12g}"

    @staticmethod
    def parse(text: str) -> "Target":
        """Read ``params=0.5``; raises ConfigError."""
        unit, _, amount = text.partition("=")
        try:
            return Target(unit.strip(), float(amount))  # type: ignore[arg-type]  # checked at birth
        except ValueError as error:
            raise ConfigError(f"target: found {text!r}, wanted such as params=0.5") from error

    def budget(self, dense: float) -> float:
        """Largest cost allowed, for a network that costs ``dense`` today."""
        return self.amount * dense if self.amount <= 1 else self.amount


@dataclass(frozen=True)
class PlanRules:
    """What a plan must heed beside its budget.

    Attributes:
        floor: fewest groups kept of each family.
        round_to: families keep a multiple of this many groups where they have enough: 8 fills
            vector units.
        floor_share: smallest share of each family that is kept. A branch that matters for few
            objects, large ones say, is felt little by a mean loss, and would be gutted.

    Raises:
        ConfigError: a number is below 1, or the share no share.
    """

    floor: int = 1
    round_to: int = 1
    floor_share: float = 0.0

    def __post_init__(self) -> None:
        if self.floor < 1 or self.round_to < 1 or not 0 <= self.floor_share <= 1:
            raise ConfigError(f"plan: found {self}, wanted numbers of 1 or more, a share in 0..1")

    def widen(self, wanted: int, size: int) -> int:
        """Groups kept of a family of ``size``, where ``wanted`` lie above the threshold."""
        least = max(self.floor, math.ceil(self.floor_share * size - 1e-9))
        whole = -(-max(wanted, least) // self.round_to) * self.round_to
        return min(size, whole)


@dataclass(frozen=True)
class PruningPlan:
    """Which groups stay.

    Attributes:
        kept: ``(G,) bool``.
        threshold: groups whose score lies above it stay anyhow.
        target: what was asked.
        dense: cost before.
        cost: cost after.
        groups: of the network.
    """

    kept: NDArray[np.bool_]
    threshold: float
    target: Target
    dense: float
    cost: float
    groups: ChannelGroups

    @property
    def families(self) -> tuple[Family, ...]:
        """Of the groups."""
        return self.groups.families

    @property
    def layers(self) -> tuple[LayerWidth, ...]:
        """Width of every layer before and after."""
        return layer_widths(self.groups, self.kept)

    def to_mapping(self) -> dict[str, object]:
        """Say it in plain types, for JSON."""
        return {
            "target": {"unit": self.target.unit, "amount": self.target.amount},
            "cost": {"before": self.dense, "after": self.cost, "share": self.cost / self.dense},
            "threshold": self.threshold,
            "families": [
                {"layers": list(one.layers), "before": len(one.groups), "after": self.width(one)}
                for one in self.families
            ],
            "layers": [
                {"name": one.name, "before": one.before, "after": one.after, "ties": list(one.ties)}
                for one in self.layers
            ],
            "kept": np.flatnonzero(self.kept).tolist(),
        }

    @staticmethod
    def from_mapping(
        mapping: Mapping[str, Any], groups: ChannelGroups, costs: CostModel
    ) -> "PruningPlan":
        """Read what `to_mapping` said about the same network.

        Raises:
            ConfigError: the plan is another network's, or something is missing.
        """
        try:
            target, threshold = Target(**mapping["target"]), float(mapping["threshold"])
            kept = np.zeros(groups.count, bool)
            kept[mapping["kept"]] = True
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise ConfigError(f"plan: {type(error).__name__}: {error}") from error
        plan = PruningPlan(kept, threshold, target, costs.total(), costs.total(kept), groups)
        if plan.to_mapping()["families"] != mapping["families"]:
            raise ConfigError("plan: found another network's families of groups")
        return plan

    def width(self, family: Family) -> int:
        """Count the groups that stay of a family."""
        return int(self.kept[family.groups].sum())


def lowest_threshold(
    groups: ChannelGroups,
    scores: NDArray[np.float64],
    costs: CostModel,
    target: Target,
    rules: PlanRules,
) -> float:
    """Find the lowest threshold whose kept groups cost at most the target; see `make_plan`."""
    planner = _Planner(groups.families, scores, costs, rules)
    return planner.bisect(target.budget(costs.total()), target)[0]


def make_plan(
    groups: ChannelGroups,
    scores: NDArray[np.float64],
    costs: CostModel,
    target: Target,
    rules: PlanRules | None = None,
) -> PruningPlan:
    """Keep the groups of highest score that a budget allows.

    The kept set shrinks as the threshold rises, and so does the cost: bisection finds the lowest
    threshold that fits. What the budget leaves over is spent on the best groups that still fit.
    Equal scores are settled by number: the same input gives the same plan.

    Args:
        groups: of the network.
        scores: ``(G,) float64``, higher = more important; infinite = stays.
        costs: of the network, in the target's unit.
        target: the budget.
        rules: floors and rounding.

    Returns:
        The plan; its cost is at most the budget.

    Raises:
        PruningError: the budget lies below what the floors leave, and the least is named; or above
            what the network costs today.
        ConfigError: the target's unit is not the costs'.
    """
    if costs.unit != target.unit:
        raise ConfigError(f"target: found costs in {costs.unit}, wanted {target.unit}")
    budget, dense = target.budget(costs.total()), costs.total()
    if budget > dense:
        raise PruningError(f"target {target}: the network has only {dense:,.0f} {target.unit}")
    planner = _Planner(groups.families, scores, costs, rules or PlanRules())
    threshold, widths = planner.bisect(budget, target)
    kept = planner.kept(planner.refill(widths, budget))
    return PruningPlan(kept, threshold, target, dense, costs.total(kept), groups)


class _Planner:
    """Families with their groups, best first."""

    def __init__(
        self,
        families: tuple[Family, ...],
        scores: NDArray[np.float64],
        costs: CostModel,
        rules: PlanRules,
    ) -> None:
        self.scores, self.costs, self.rules = scores, costs, rules
        self.ranked = [
            family.groups[np.lexsort((family.groups, -scores[family.groups]))]
            for family in families
        ]

    def widths(self, threshold: float) -> list[int]:
        above = [int((self.scores[ranked] > threshold).sum()) for ranked in self.ranked]
        return [
            self.rules.widen(wanted, len(ranked))
            for wanted, ranked in zip(above, self.ranked, strict=True)
        ]

    def kept(self, widths: list[int]) -> NDArray[np.bool_]:
        kept = np.zeros(len(self.scores), bool)
        for width, ranked in zip(widths, self.ranked, strict=True):
            kept[ranked[:width]] = True
        return kept

    def cost(self, widths: list[int]) -> float:
        return self.costs.total(self.kept(widths))

    def bisect(self, budget: float, target: Target) -> tuple[float, list[int]]:
        """Find the lowest threshold whose kept groups fit."""
        steps = np.unique(self.scores[np.isfinite(self.scores)])
        keeps_all = np.nextafter(steps[:1], -np.inf)
        thresholds = np.concatenate((keeps_all, steps)).tolist() or [0.0]
        if (least := self.cost(self.widths(thresholds[-1]))) > budget:
            dense, fixed = self.costs.total(), int(np.isinf(self.scores).sum())
            floor = replace(self.rules, floor_share=0.0).widen(0, 10**9)
            share = f" or {self.rules.floor_share:.0%} of them" if self.rules.floor_share else ""
            raise PruningError(
                f"target {target}: at least {least:,.0f} {target.unit} are "
                f"left ({least / dense:.3f} of today's {dense:,.0f}), since each layer keeps "
                f"{floor} channels{share}"
                + (f" and {fixed:,} of {len(self.scores):,} groups may not go" if fixed else "")
            )
        low, high = 0, len(thresholds) - 1  # the first that fits lies in low..high
        while low < high:
            middle = (low + high) // 2
            if self.cost(self.widths(thresholds[middle])) <= budget:
                high = middle
            else:
                low = middle + 1
        return thresholds[high], self.widths(thresholds[high])

    def refill(self, widths: list[int], budget: float) -> list[int]:
        """Widen families, best next group first, as long as the budget allows."""
        widths = list(widths)
        waiting = [
            (-self.scores[ranked[width]], number)
            for number, (width, ranked) in enumerate(zip(widths, self.ranked, strict=True))
            if width < len(ranked)
        ]
        heapq.heapify(waiting)
        while waiting:
            _, number = heapq.heappop(waiting)
            ranked, before = self.ranked[number], widths[number]
            widths[number] = self.rules.widen(before + 1, len(ranked))
            if self.cost(widths) > budget:
                widths[number] = before
            elif widths[number] < len(ranked):
                heapq.heappush(waiting, (-self.scores[ranked[widths[number]]], number))
        return widths
