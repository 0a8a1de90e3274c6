"""Weights and a budget come in; smaller weights, and the plan they follow, go out."""

import dataclasses
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from vidar_det.commands.compute import prepare_compute
from vidar_det.commands.prune_examples import Examples
from vidar_det.commands.prune_recipe import Lessons
from vidar_det.detector.checkpoint import load_network, save_checkpoint
from vidar_det.detector.network import SpikingDetector
from vidar_det.detector.normalisation import recalibrate
from vidar_det.detector.spec import DetectorSpec
from vidar_det.detector.weights_file import WEIGHTS_FILE, find_weights
from vidar_det.errors import CheckpointError, ConfigError, OutputError
from vidar_det.outputs import atomic_path, prepare_output_folder, write_json
from vidar_det.pruning.costs import CostModel, count_macs, count_params, measure_synops
from vidar_det.pruning.detectors import check_cut, cut_detector, detector_groups, initial_gammas
from vidar_det.pruning.group_threshold import (
    GroupThreshold,
    ReachCost,
    cost_weights,
    quicken_spines,
)
from vidar_det.pruning.groups import short_name
from vidar_det.pruning.importance import over_kappa, spine_sizes
from vidar_det.pruning.plan import PlanRules, PruningPlan, Target, make_plan
from vidar_det.pruning.plan_report import draw_plan, plan_markdown
from vidar_det.pruning.rounds import plan_in_rounds
from vidar_det.training.distributed import Processes
from vidar_det.training.loop import Progress, RunSpec, train
from vidar_det.training.recipe import RecipeSpec
from vidar_det.training.sources import DataRoom, open_data
from vidar_det.training.student import Student

PLAN_FILE, PAGE_FILE, PICTURE_FILE = "plan.json", "plan.md", "plan.png"
SETTINGS_FILE = "prune.json"
THRESHOLD_FOLDER, TUNING_FOLDER = "threshold", "tuning"
SYNOPS_WINDOWS = 32
FELT_WINDOWS = 256
"""Examples that show which groups the loss feels, where nothing is trained."""
SPINE_RATE = 5.0
"""Learning rate of gamma and beta, relative to that of kernels, while the threshold rises."""
DUE = 0.8
"""Share of the first stage's steps in which the budget is due."""

Report = Callable[[int, int, str], None]
"""Told the step, the steps of the stage, and what to show beside them."""


@dataclass(frozen=True)
class PruneSettings:
    """What is pruned away, and how.

    Attributes:
        target: the budget.
        lessons: what the network learns from on the way.
        rules: floors and rounding.
        rho: how much dearer groups are judged more harshly; 0 = not.
        strength: lambda, how fast the threshold may rise, relative to how fast spines can grow.
        layers: patterns of the layers that may shrink, as in a shell; empty = all.
        frozen: patterns of the layers that stay as they are: neither cut nor trained, which makes
            training quicker, above all where they come first.
        distillation: weight of the teacher's word while the cut network is tuned.
        teacher: name or path of the weights whose word that is; empty = the dense ones.
        data_root: folder that the recipe's own folders are relative to.
        resume: go on where the run in the output folder stopped.
        overwrite: replace a run in the output folder.
        workers: processes that simulate windows; 0 simulates in this one.
        threads: threads that compute; None leaves it to torch.
        device: torch device.
    """

    target: Target
    lessons: Lessons
    rules: PlanRules = field(default_factory=PlanRules)
    rho: float = 0.5
    strength: float = 0.3
    layers: tuple[str, ...] = ()
    frozen: tuple[str, ...] = ()
    distillation: float = 1.0
    teacher: str = ""
    data_root: Path = Path()
    resume: bool = False
    overwrite: bool = False
    workers: int = 1
    threads: int | None = None
    device: str = "cpu"

    def record(self) -> dict[str, Any]:
        """Everything that decides the result, in plain types."""
        kept = dataclasses.asdict(self)
        for name in ("data_root", "resume", "overwrite", "workers", "threads", "device"):
            del kept[name]
        plain: dict[str, Any] = json.loads(json.dumps(kept, default=str))
        return plain


@dataclass(frozen=True)
class PruneSummary:
    """What was cut.

    Attributes:
        plan: which groups stayed.
        path: the finished checkpoint.
        warnings: what to know about it.
    """

    plan: PruningPlan
    path: Path
    warnings: tuple[str, ...]


def prune_weights(
    weights: str,
    out: str | Path,
    settings: PruneSettings,
    report: Report = lambda done, total, note: None,
) -> PruneSummary:
    """Cut channels out of a detector until it meets a budget.

    What the loss feels least is cut away, planned in rounds (`plan_in_rounds`), and the rest is
    tuned, with the dense network as its teacher, or a better one. A budget that is met already cuts
    nothing: what was cut before is tuned on. With a ``threshold_share``, the plan comes from
    training: spines of groups stand against a threshold that rises until the budget is met
    (`GroupThreshold`). Without data the groups of the smallest spines are cut. The folder receives
    ``model.safetensors``, the plan as ``plan.json``, ``plan.md`` and ``plan.png``, ``prune.json``
    with the settings, and a folder for each stage of training.

    Args:
        weights: name or path of the dense network; it is only read.
        out: the folder.
        settings: how.
        report: told after every step.

    Returns:
        The plan and where the result lies.

    Raises:
        PruningError: the target lies below what the floors leave, or above today's cost.
        ConfigError: unknown layers, classes or a teacher that do not fit, wrong values.
        CheckpointError: there are no such weights, or ``resume`` found another run.
        OutputError: ``out`` holds files, and neither ``resume`` nor ``overwrite`` is set; or it
            holds the dense weights.

    Example:
        >>> prune_weights("nano", "half", PruneSettings(...))  # doctest: +SKIP
    """
    out = Path(out)
    source = find_weights(weights)
    path = out / WEIGHTS_FILE
    written = (path, out / THRESHOLD_FOLDER, out / TUNING_FOLDER)
    if any(source.resolve().is_relative_to(one.resolve()) for one in written):
        raise OutputError(f"{out}: holds the weights to prune; name another folder")
    prepare_compute(settings.device, settings.threads)
    run = _Run(load_network(source), out, settings, report)
    prepare_output_folder(out, settings.resume or settings.overwrite)
    if settings.overwrite and not settings.resume:
        _clear(out)
    _record(out, source, settings)
    plan, learned = run.plan()
    narrow = cut_detector(learned, run.groups, plan.kept)
    check_cut(learned, run.groups, plan.kept, narrow)
    save_checkpoint(path, run.tune(narrow), version=f"{_name(source)}, {settings.target}")
    return PruneSummary(plan, path, run.warnings)


class _Run:
    """One dense network on its way to a smaller one."""

    def __init__(
        self, dense: SpikingDetector, out: Path, settings: PruneSettings, report: Report
    ) -> None:
        self.dense, self.out, self.settings, self.report = dense, out, settings, report
        self.teacher = dense
        if settings.teacher:
            self.teacher = load_network(find_weights(settings.teacher))
            _check_teacher(self.teacher.spec, dense.spec)
        self.groups = detector_groups(dense)
        self.stages = settings.lessons.stages(dense.spec)
        self.room: DataRoom | None = None
        if self.stages is not None:
            self.room = open_data(self.stages[0], settings.data_root)
        self.costs = self._costs()
        may_shrink = self.groups.written_by(settings.layers)
        if settings.frozen:
            may_shrink &= ~self.groups.written_by(settings.frozen)
        self.kappa = cost_weights(self.costs, settings.rho) * may_shrink
        self.initial = initial_gammas(dense, self.groups)
        self.by_size = self._plan(spine_sizes(dense, self.groups, self.initial))  # or refuse

    @property
    def trains(self) -> bool:
        return self.settings.lessons.windows > 0

    @property
    def frozen(self) -> tuple[str, ...]:
        """Names of the layers that do not learn, each with its normalisation."""
        return tuple(short_name(name) for name in self.groups.named(self.settings.frozen))

    @property
    def warnings(self) -> tuple[str, ...]:
        if self.trains:
            return ()
        alone = ", its groups were judged by size alone, and its normalisation is not measured anew"
        how = "" if self.stages else alone
        return (f"cut in one shot: the network was not trained{how}; score it before you use it",)

    def plan(self) -> tuple[PruningPlan, SpikingDetector]:
        """Find the groups that stay, by training or at once; returns the network it is about."""
        plan, learned = self.by_size, self.dense
        if self.trains and self.settings.lessons.threshold_share:
            learned, scores = self._train_threshold()
            plan = make_plan(self.groups, scores, *self._asked)
        elif self.stages is not None and not plan.kept.all():
            plan = self._plan_before() or plan_in_rounds(
                self.dense,
                self.groups,
                self._examples(0).losses(FELT_WINDOWS),
                *self._asked,
                self.kappa,
            )
        write_json(self.out / PLAN_FILE, plan.to_mapping(), overwrite=True)
        with atomic_path(self.out / PAGE_FILE, overwrite=True) as partial:
            partial.write_text(plan_markdown(plan), encoding="utf-8")
        draw_plan(plan, self.out / PICTURE_FILE)
        return plan, learned

    @property
    def _asked(self) -> tuple[CostModel, Target, PlanRules]:
        return self.costs, self.settings.target, self.settings.rules

    def _plan(self, sizes: NDArray[np.float64]) -> PruningPlan:
        return make_plan(self.groups, over_kappa(sizes, self.kappa), *self._asked)

    def _plan_before(self) -> PruningPlan | None:
        """Read the plan that a run made before it was stopped."""
        path = self.out / PLAN_FILE
        if not self.settings.resume or not path.is_file():
            return None
        mapping = json.loads(path.read_text(encoding="utf-8"))
        plan = PruningPlan.from_mapping(mapping, self.groups, self.costs)
        if plan.target != self.settings.target:
            raise CheckpointError(
                f"{path}: found a plan for {plan.target}, wanted {self.settings.target}"
            )
        return plan

    def tune(self, narrow: SpikingDetector) -> SpikingDetector:
        """Train what is left, or at least measure its normalisation."""
        if self.stages is None:
            return narrow
        recipe = self.stages[1]
        if not self.trains:
            inputs = self._examples(1).inputs(recipe.recalibrate_windows)
            recalibrate(narrow, inputs, self.frozen)
            return narrow
        student = Student(
            narrow,
            teacher=self.teacher,
            distillation=self.settings.distillation,
            frozen=self.frozen,
        )
        return load_network(self._train(TUNING_FOLDER, recipe, student))

    def _train_threshold(self) -> tuple[SpikingDetector, NDArray[np.float64]]:
        """Train against the rising threshold; returns the network and its groups' scores."""
        assert self.stages is not None
        attached: list[GroupThreshold] = []
        target, floor = self.settings.target, self.settings.rules.floor

        def attach(
            network: SpikingDetector, optimizer: torch.optim.Optimizer, steps: int
        ) -> GroupThreshold:
            quicken_spines(network, optimizer, SPINE_RATE)
            due, rules = round(DUE * steps), dataclasses.replace(self.settings.rules, round_to=1)
            rule = ReachCost(self.costs, target, due, self.settings.strength, rules)
            how = (rule, self.initial, self.kappa, floor)
            attached.append(GroupThreshold(network, optimizer, self.groups, *how))
            return attached[-1]

        student = Student(self.dense, attach=attach, frozen=self.frozen)
        learned = load_network(self._train(THRESHOLD_FOLDER, self.stages[0], student))
        return learned, attached[-1].scores

    def _train(self, name: str, recipe: RecipeSpec, student: Student) -> Path:
        folder = self.out / name
        folder.mkdir(exist_ok=True)
        data = dataclasses.replace(self._data, recipe=recipe)
        processes = Processes(device=torch.device(self.settings.device))
        how = RunSpec(self.settings.resume, self.settings.workers, processes, student)

        def tell(progress: Progress) -> None:
            parts = ", ".join(f"{key} {value:.3f}" for key, value in progress.losses.items())
            note = f"{name}, {progress.windows_per_s:.0f} windows/s {parts}"
            self.report(progress.step, progress.steps, note)

        return train(recipe, data.windows, folder, how, report=tell)

    @property
    def _data(self) -> DataRoom:
        assert self.room is not None
        return self.room

    def _examples(self, stage: int) -> Examples:
        assert self.stages is not None
        encoding = self.dense.spec.encoding
        return Examples(self.stages[stage], self._data, encoding, self.settings.workers)

    def _costs(self) -> CostModel:
        unit = self.settings.target.unit
        if unit == "params":
            return count_params(self.dense, self.groups)
        if unit == "macs":
            return count_macs(self.groups)
        if self.stages is None:
            raise ConfigError(
                "target synops: wanted a recipe or a dataset, whose windows show how much fires"
            )
        return measure_synops(self.dense, self.groups, self._examples(0).windows(SYNOPS_WINDOWS))


def _check_teacher(teacher: DetectorSpec, learner: DetectorSpec) -> None:
    """Refuse a teacher that sees something else, or speaks of other things."""
    for name in ("classes", "encoding", "reg_max"):
        found, wanted = getattr(teacher, name), getattr(learner, name)
        if found != wanted:
            raise ConfigError(f"teacher: found {name} {found}, wanted the network's, {wanted}")


def _name(source: Path) -> str:
    """What weights are called: a file of the usual name by its folder's."""
    return source.parent.name if source.name == WEIGHTS_FILE else source.stem


def _clear(out: Path) -> None:
    """Remove what another run left, so that nothing of it is ever resumed."""
    for name in (WEIGHTS_FILE, PLAN_FILE, PAGE_FILE, PICTURE_FILE, SETTINGS_FILE):
        (out / name).unlink(missing_ok=True)
    for name in (THRESHOLD_FOLDER, TUNING_FOLDER):
        shutil.rmtree(out / name, ignore_errors=True)


def _record(out: Path, source: Path, settings: PruneSettings) -> None:
    """Write the settings down, or see that a run that goes on has the same."""
    path = out / SETTINGS_FILE
    record = {"weights": str(source), **settings.record()}
    if settings.resume and path.is_file():
        found = json.loads(path.read_text(encoding="utf-8"))
        for name, wanted in record.items():
            if found.get(name) != wanted:
                raise CheckpointError(
                    f"{path}: found another run's {name}, {found.get(name)}; wanted {wanted}"
                )
        return
    write_json(path, record, overwrite=True)
