"""A budget of training comes in; networks that were made smaller in one way or another go out."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.accuracy import Study
from vidar_det.detector.checkpoint import load_network
from vidar_det.detector.network import SpikingDetector, build_detector, count_params
from vidar_det.detector.spec import DetectorSpec
from vidar_det.detector.weights_file import WEIGHTS_FILE, find_weights
from vidar_det.pruning import costs
from vidar_det.pruning.costs import Unit
from vidar_det.pruning.detectors import cut_detector, detector_groups, initial_gammas
from vidar_det.pruning.group_threshold import (
    GroupThreshold,
    ReachCost,
    cost_weights,
    quicken_spines,
)
from vidar_det.pruning.groups import ChannelGroups
from vidar_det.pruning.importance import filter_sizes, gamma_sizes
from vidar_det.pruning.plan import PlanRules, PruningPlan, Target, make_plan
from vidar_det.pruning.rounds import Losses, plan_in_rounds
from vidar_det.training.loading import load_batches
from vidar_det.training.loop import RunSpec, train
from vidar_det.training.recipe import RecipeSpec
from vidar_det.training.sources import open_data
from vidar_det.training.step import losses_on
from vidar_det.training.student import Student

DONE_FILE = "done"
THRESHOLD_SHARE = 0.6
"""Share of a pruning run's windows that pass before the cut."""
FLOOR, FLOOR_SHARE = 4, 0.5
"""Fewest channels of a layer, and the smallest share of them relative to the target's: as
`vidar-det prune` has them, for every way alike."""
SPINE_RATE, DUE, STRENGTH = 5.0, 0.8, 0.3
"""As `vidar-det prune` has them."""
FELT_WINDOWS = 256
SLIMMING = 0.5
"""How far the L1 penalty moves a gamma, which is about 1, over its stage. (Network slimming: 1e-4
to 1e-5 with SGD at 0.1 and momentum for 160 epochs, which moves it by some units.)"""


@dataclass(frozen=True)
class Budget:
    """What is counted, and which widths are allowed."""

    unit: Unit
    least: PlanRules

    def rules(self, share: float) -> PlanRules:
        """Say what must stay of every layer when a share of all stays."""
        return replace(self.least, floor_share=FLOOR_SHARE * share)

    def price(self, network: SpikingDetector, groups: ChannelGroups) -> costs.CostModel:
        """Price every group of a network."""
        if self.unit == "macs":
            return costs.count_macs(groups)
        return costs.count_params(network, groups)


PARAMS, MACS = Budget("params", PlanRules(FLOOR)), Budget("macs", PlanRules(8, round_to=8))


@dataclass(frozen=True)
class Ways:
    """One seed's runs: each method trains into a folder of its own and returns its network.

    Attributes:
        study: the recipe and what judges.
        seed: decides the data.
        windows: seen by each way, those of the dense network that it begins with included.
        out: folder of the runs.
        start: finished weights that every way begins with; ``windows`` are then seen beside them.
    """

    study: Study
    seed: int
    windows: int
    out: Path
    start: str = ""

    @property
    def rest(self) -> int:
        """Windows that follow the dense network."""
        return self.windows if self.start else self.windows // 2

    def recipe(self, windows: int, seed: int) -> RecipeSpec:
        recipe = self.study.recipe(self.study.rows[0], seed)
        return replace(recipe, phases=(replace(recipe.phases[0], windows=windows),))

    def learn(
        self, name: str, windows: int, student: Student | None, offset: int
    ) -> SpikingDetector:
        folder = self.out / name
        if (folder / DONE_FILE).exists() and (student is None or student.attach is None):
            return load_network(folder / WEIGHTS_FILE)
        folder.mkdir(parents=True, exist_ok=True)
        recipe = self.recipe(windows, self.seed + offset)
        how = RunSpec(resume=True, student=student)
        path = train(recipe, open_data(recipe, Path()).windows, folder, how)
        (folder / DONE_FILE).touch()
        return load_network(path)

    def dense(self) -> SpikingDetector:
        """The network that every way of pruning begins with: finished, or half of the windows."""
        if self.start:
            return load_network(find_weights(self.start))
        return self.learn(f"half-{self.seed}", self.windows // 2, None, 0)

    def whole(self, _: float) -> SpikingDetector:
        """The dense network, the rest of the windows more."""
        return self.learn(f"dense-{self.seed}", self.rest, Student(self.dense()), 1_000)

    def uniform(self, share: float) -> SpikingDetector:
        """A narrower network from scratch, for all windows."""
        torch.manual_seed(self.seed)
        spec = uniformly_narrower(self.dense().spec, share)
        student = Student(build_detector(spec))
        return self.learn(f"uniform-{share:g}-{self.seed}", self.windows, student, 0)

    def even(self, share: float) -> SpikingDetector:
        """Cut the same share of every layer, small filters first; then learn on."""
        dense = self.dense()
        groups = detector_groups(dense)
        sizes = filter_sizes(dense, groups)
        ranks = sizes.copy()
        for family in groups.families:
            order = np.argsort(np.argsort(sizes[family.groups], kind="stable"), kind="stable")
            ranks[family.groups] = (order + 1) / len(order)
        plan = plan_by(dense, groups, np.where(np.isfinite(sizes), ranks, np.inf), share)
        return self.tune(f"even-{share:g}", dense, groups, plan)

    def magnitude(self, share: float) -> SpikingDetector:
        """Cut filters of small weights at once, then learn on."""
        dense = self.dense()
        groups = detector_groups(dense)
        plan = plan_by(dense, groups, filter_sizes(dense, groups), share)
        return self.tune(f"magnitude-{share:g}", dense, groups, plan)

    def slimming(self, share: float) -> SpikingDetector:
        """Penalise gamma, cut where it is small, learn on."""
        first = round(self.rest * THRESHOLD_SHARE)
        student = Student(self.dense(), attach=self.slim)
        slim = self.learn(f"slimming-{self.seed}", first, student, 1_000)
        groups = detector_groups(slim)
        plan = plan_by(slim, groups, gamma_sizes(slim, groups), share)
        return self.tune(f"slimming-{share:g}", slim, groups, plan, first)

    def slim(
        self, network: SpikingDetector, optimizer: torch.optim.Optimizer, steps: int
    ) -> "Slimming":
        """Penalise gamma by as much as moves it by the same in any number of steps."""
        mean_rate = self.study.base["phases"][0]["learning_rate"] / 2  # of a cosine
        return Slimming(network, optimizer, SLIMMING / (mean_rate * steps))

    def rounds(self, share: float, rho: float, budget: Budget = PARAMS) -> SpikingDetector:
        """Plan in rounds, by what the loss feels of each group; cut, learn on."""
        dense = self.dense().eval()
        groups = detector_groups(dense)
        model, target = budget.price(dense, groups), Target(budget.unit, share)
        kappa = cost_weights(model, rho)
        how = (model, target, budget.rules(share), kappa)
        plan = plan_in_rounds(dense, groups, self.losses(), *how)
        name = f"rounds-{rho:g}-{budget.unit}-{share:g}"
        return self.tune(name, dense, groups, plan)

    def losses(self) -> Losses:
        """Tell how wrong a network is on some batches that nothing else is trained on."""
        recipe = self.recipe(FELT_WINDOWS, self.seed + 3_000)
        phase = recipe.phases[0]
        windows = open_data(recipe, Path()).windows(phase, 0)
        numbers = [range(at, at + phase.batch) for at in range(0, FELT_WINDOWS, phase.batch)]
        return losses_on(list(load_batches(windows, numbers, workers=0)), recipe)

    def threshold(self, share: float, rho: float, budget: Budget = PARAMS) -> SpikingDetector:
        """Train the spines of groups against a rising threshold, cut, learn on."""
        dense = self.dense()
        groups = detector_groups(dense)
        model = budget.price(dense, groups)
        attached: list[GroupThreshold] = []

        def attach(
            network: SpikingDetector, optimizer: torch.optim.Optimizer, steps: int
        ) -> GroupThreshold:
            quicken_spines(network, optimizer, SPINE_RATE)
            due, target = round(DUE * steps), Target(budget.unit, share)
            rule = ReachCost(model, target, due, STRENGTH, budget.rules(share))
            start, kappa = initial_gammas(dense, groups), cost_weights(model, rho)
            how = (rule, start, kappa, budget.least.floor)
            attached.append(GroupThreshold(network, optimizer, groups, *how))
            return attached[-1]

        first = round(self.rest * THRESHOLD_SHARE)
        name = f"threshold-{rho:g}-{budget.unit}-{share:g}"
        student = Student(dense, attach=attach)
        learned = self.learn(f"{name}-rise-{self.seed}", first, student, 1_000)
        target = Target(budget.unit, share)
        plan = make_plan(groups, attached[-1].scores, model, target, budget.rules(share))
        return self.tune(name, learned, groups, plan, first)

    def tune(
        self,
        name: str,
        network: SpikingDetector,
        groups: ChannelGroups,
        plan: PruningPlan,
        spent: int = 0,
    ) -> SpikingDetector:
        """Cut, and learn on for what is left of the windows."""
        student = Student(cut_detector(network, groups, plan.kept), teacher=self.dense())
        return self.learn(f"{name}-{self.seed}", self.rest - spent, student, 2_000)


class Slimming:
    """L1 on gamma beside the optimiser's step (Liu et al., ICCV 2017)."""

    def __init__(
        self, network: nn.Module, optimizer: torch.optim.Optimizer, strength: float
    ) -> None:
        self.strength = strength
        norms = (part for part in network.modules() if isinstance(part, nn.BatchNorm2d))
        self.gammas = [norm.weight for norm in norms]
        self.optimizer = optimizer
        self.hook = optimizer.register_step_post_hook(self.shrink)

    @torch.no_grad()
    def shrink(self, *_: object) -> None:
        step = self.strength * self.optimizer.param_groups[0]["lr"]
        for gamma in self.gammas:
            gamma.sub_(step * gamma.sign())

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        pass

    def finalise(self, other: nn.Module | None = None) -> None:
        if other is None:
            self.hook.remove()


def plan_by(
    network: SpikingDetector, groups: ChannelGroups, scores: np.ndarray, share: float
) -> PruningPlan:
    """Keep the groups of highest score that a share of the parameters allows."""
    model = PARAMS.price(network, groups)
    return make_plan(groups, scores, model, Target("params", share), PARAMS.rules(share))


def uniformly_narrower(spec: DetectorSpec, share: float) -> DetectorSpec:
    """All widths times the largest factor whose network has at most a share of the parameters."""
    budget = share * count_params(build_detector(spec))
    factors = np.linspace(0.2, 1.0, 161)
    specs = (scaled(spec, float(factor)) for factor in factors)
    return [one for one in specs if count_params(build_detector(one)) <= budget][-1]


def scaled(spec: DetectorSpec, factor: float) -> DetectorSpec:
    """Every width of a spec times a factor."""

    def times(value: Any) -> Any:
        if isinstance(value, int):
            return max(1, round(value * factor))
        if isinstance(value, tuple):
            return tuple(times(one) for one in value)
        if dataclasses.is_dataclass(value):
            fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
            return type(value)(**{name: times(one) for name, one in fields.items()})
        return value

    widths = ("stem", "stages", "pool", "top_down", "lateral", "bottom_up", "heads")
    return replace(spec, **{name: times(getattr(spec, name)) for name in widths})
