"""A recipe comes in, trained weights go out; a killed run goes on where it stopped."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vidar_det.detector.checkpoint import load_network, save_checkpoint
from vidar_det.detector.encoding import encode
from vidar_det.detector.network import SpikingDetector, build_detector
from vidar_det.detector.normalisation import recalibrate
from vidar_det.detector.weights_file import WEIGHTS_FILE
from vidar_det.training.curves import draw_curves
from vidar_det.training.distributed import ALONE, Processes
from vidar_det.training.learner import Learner, student_spec
from vidar_det.training.loading import load_batches
from vidar_det.training.recipe import PhaseSpec, RecipeSpec
from vidar_det.training.recipe_record import record_recipe
from vidar_det.training.run_files import PROGRESS_FILE, VALIDATION_FILE, RunFiles
from vidar_det.training.simulation import SimulatedWindows
from vidar_det.training.start import start_tensors
from vidar_det.training.student import Student

SAVE_EVERY_S = 120.0

DataFactory = Callable[[PhaseSpec, int], SimulatedWindows]
"""Phase and its number -> its windows."""
Validate = Callable[[SpikingDetector], Mapping[str, float]]
"""A network in evaluation mode -> its figures by name."""


@dataclass(frozen=True)
class RunSpec:
    """How a run is carried out; what it trains stands in the recipe.

    Attributes:
        resume: go on from the folder's ``state.pt`` if it is there.
        workers: processes that simulate windows; 0 simulates in this one.
        processes: those that train the network together.
        student: what learns; None = what the recipe says.
    """

    resume: bool = False
    workers: int = 1
    processes: Processes = ALONE
    student: Student | None = None


@dataclass(frozen=True)
class Progress:
    """Where a run stands after a step.

    Attributes:
        phase: number of the phase, from 0; one beyond the last while batch normalisation is
            measured anew.
        step: steps done in this phase.
        steps: steps of this phase.
        learning_rate: of the step.
        losses: parts of the loss by name.
        windows_per_s: speed since the last report.
    """

    phase: int
    step: int
    steps: int
    learning_rate: float
    losses: Mapping[str, float]
    windows_per_s: float


def train(
    recipe: RecipeSpec,
    data: DataFactory,
    out: Path,
    how: RunSpec | None = None,
    *,
    report: Callable[[Progress], None] = lambda _: None,
    validate: Validate | None = None,
) -> Path:
    """Run all phases of a recipe.

    The folder receives ``state.pt`` (everything needed to go on, every two minutes),
    ``progress.csv``, ``curves.png`` and, after each phase, ``model.safetensors`` with the averaged
    weights; at the end their batch normalisation is measured anew.

    Args:
        recipe: the settings.
        data: makes the windows of a phase.
        out: existing folder.
        how: how the run is carried out.
        report: called after every step, in process 0.
        validate: scores the averaged weights into ``validation.csv``, in process 0, as often as
            the recipe says, after each phase and at the end; None leaves it out.

    Returns:
        Path of the finished checkpoint.

    Raises:
        CheckpointError: ``state.pt`` belongs to another recipe.
        ConfigError: the processes cannot share the recipe's batches.
        TrainingError: the loss, its gradient or a weight is no longer finite; the files hold the
            run as it was when its state was last saved.
        OutputError: the disk is full; every file that was there before is whole.

    Example:
        >>> train(recipe, room.windows, Path("runs/first"))  # doctest: +SKIP
    """
    how = how or RunSpec()
    how.processes.check(recipe)
    torch.manual_seed(recipe.seed)
    run = _Run(recipe, RunFiles(out), how, report, validate)
    state = run.begin()
    weights: Mapping[str, Tensor] | None = state["start"] if state else run.first_weights
    for number in range(state["phase"] if state else 0, len(recipe.phases)):
        windows = data(recipe.phases[number], number)
        learner = Learner(recipe, number, weights, how.processes, how.student)
        weights = run.run_phase(learner, windows, state)
        state = None
        run.finish_phase(number, weights, windows)
    return out / WEIGHTS_FILE


class _Run:
    """What stays the same over a run's phases."""

    def __init__(
        self,
        recipe: RecipeSpec,
        files: RunFiles,
        how: RunSpec,
        report: Callable[[Progress], None],
        validate: Validate | None,
    ) -> None:
        self.recipe, self.files, self.how = recipe, files, how
        self.report, self.validate, self.processes = report, validate, how.processes
        self.saved_s = time.monotonic()

    @property
    def first_weights(self) -> dict[str, Tensor] | None:
        """Weights that a new run begins with; None draws fresh ones."""
        student = self.how.student
        return start_tensors(self.recipe) if student is None else student.network.state_dict()

    def begin(self) -> dict[str, Any] | None:
        """Read where the run goes on; None where it begins."""
        state = None
        if self.processes.is_first:
            state = self.files.read_state(self.recipe) if self.how.resume else None
            self.files.trim(state)
        return self.processes.from_first(state)

    def run_phase(
        self, learner: Learner, windows: SimulatedWindows, state: Mapping[str, Any] | None
    ) -> dict[str, Tensor]:
        """Train one phase, or the rest of it; returns its averaged weights."""
        if state is not None:
            learner.restore(state)
        rest = [
            self.processes.share_of(learner.windows_of(step))
            for step in range(learner.step, learner.steps)
        ]
        clock = time.monotonic()
        for batch in load_batches(windows, rest, self.how.workers, self._pins):
            rate = learner.rate
            terms = learner.learn(batch)
            now = time.monotonic()
            if self.processes.is_first:
                losses = {name: float(value) for name, value in terms._asdict().items()}
                speed = learner.phase.batch / (now - clock)
                place = (learner.number, learner.step, learner.steps)
                self._keep(learner, Progress(*place, rate, losses, speed))
            clock = now
        return learner.finish()

    def finish_phase(
        self, number: int, weights: Mapping[str, Tensor], windows: SimulatedWindows
    ) -> None:
        """Write a phase's weights; after the last one, measure batch normalisation and score."""
        if not self.processes.is_first:
            return
        network = build_detector(student_spec(self.recipe, self.how.student)).eval()
        network.load_state_dict(dict(weights))
        network.to(self.processes.device)
        is_last = number + 1 == len(self.recipe.phases)
        if is_last and self.recipe.recalibrate_windows:
            frozen = self.how.student.frozen if self.how.student is not None else ()
            recalibrate(network, self._inputs_beyond(windows, network), frozen)
        path = self.files.folder / WEIGHTS_FILE
        save_checkpoint(path, network, version=f"seed {self.recipe.seed}")
        if is_last:
            self._score(load_network(path), number + 1, 0)  # as they are stored: in float16
            draw_curves(self.files.folder, self.recipe)

    @property
    def _pins(self) -> bool:
        return self.processes.device.type == "cuda"

    def _keep(self, learner: Learner, progress: Progress) -> None:
        """Tell of a step, and score and save the run where it is time."""
        row = {
            "phase": progress.phase,
            "step": progress.step,
            "learning_rate": f"{progress.learning_rate:.3e}",
            **{name: f"{value:.4f}" for name, value in progress.losses.items()},
            "windows_per_s": f"{progress.windows_per_s:.1f}",
        }
        self.files.add_row(PROGRESS_FILE, row)
        self.report(progress)
        is_last = learner.step == learner.steps
        if is_last or self._is_scored(learner):
            self._score(learner.averaged_network(), learner.number, learner.step)
        if is_last or time.monotonic() - self.saved_s > SAVE_EVERY_S:
            self.files.save_state({"recipe": record_recipe(self.recipe), **learner.to_state()})
            draw_curves(self.files.folder, self.recipe)
            self.saved_s = time.monotonic()

    def _is_scored(self, learner: Learner) -> bool:
        """Whether the step passed a multiple of the windows that lie between two scorings."""
        if self.validate is None or self.recipe.validation is None:
            return False
        every, batch = self.recipe.validation.every_windows, learner.phase.batch
        seen = self.recipe.windows_at(learner.number, learner.step)
        return seen // every > (seen - batch) // every

    def _score(self, network: SpikingDetector, number: int, step: int) -> None:
        if self.validate is not None:
            figures = {name: f"{value:.5f}" for name, value in self.validate(network).items()}
            seen = self.recipe.windows_at(number, step)
            row = {"phase": number, "step": step, "windows": seen, **figures}
            self.files.add_row(VALIDATION_FILE, row)

    def _inputs_beyond(
        self, windows: SimulatedWindows, network: SpikingDetector
    ) -> Iterator[Tensor]:
        """Encode windows of the last phase's kind that no step has seen."""
        phase, count = self.recipe.phases[-1], self.recipe.recalibrate_windows
        beyond = replace(windows, encoding=network.spec.encoding, length=phase.windows + count)
        numbers = range(phase.windows, beyond.length)
        cut = [numbers[at : at + phase.batch] for at in range(0, count, phase.batch)]
        clock = time.monotonic()
        batches = load_batches(beyond, cut, self.how.workers, self._pins)
        for done, batch in enumerate(batches, start=1):
            yield encode(batch.counts.to(self.processes.device), network.spec.encoding)
            now = time.monotonic()
            speed = phase.batch / (now - clock)
            self.report(Progress(len(self.recipe.phases), done, len(cut), 0.0, {}, speed))
            clock = now
