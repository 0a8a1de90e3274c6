"""A recipe comes in, trained weights go out; a killed run goes on where it stopped."""

import csv
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Subset

from vidar_det.detector.checkpoint import WEIGHTS_FILE, save_checkpoint
from vidar_det.detector.encoding import encode, padded_size
from vidar_det.detector.network import SpikingDetector, build_detector
from vidar_det.detector.spec import DetectorSpec, size_spec
from vidar_det.errors import CheckpointError
from vidar_det.outputs import atomic_path
from vidar_det.training.losses import LossTerms, detection_loss
from vidar_det.training.recipe import PhaseSpec, RecipeSpec
from vidar_det.training.simulation import Batch, SimulatedWindows, collate

STATE_FILE = "state.pt"
PROGRESS_FILE = "progress.csv"
SAVE_EVERY_S = 120.0

DataFactory = Callable[[PhaseSpec, int], SimulatedWindows]
"""Phase and its number -> its windows."""


@dataclass(frozen=True)
class Progress:
    """Where a run stands after a step.

    Attributes:
        phase: number of the phase, from 0.
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


class Averaged:
    """Exponential moving average of a network's state.

    The decay rises from 0, ``min(decay, (1 + n) / (10 + n))``, so that the start is soon forgotten.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.decay = decay
        self.updates = 0
        self.state = {name: value.detach().clone() for name, value in network.state_dict().items()}

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Move towards the network's present state."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        for name, value in network.state_dict().items():
            if value.is_floating_point():
                self.state[name].lerp_(value, 1 - decay)
            else:
                self.state[name].copy_(value)


def detector_spec(recipe: RecipeSpec, steps: int | None = None) -> DetectorSpec:
    """Return the spec of the network that a recipe trains, with S steps if given."""
    encoding = recipe.model.encoding
    if steps is not None:
        encoding = replace(encoding, steps=steps)
    return size_spec(recipe.model.size, recipe.model.classes, encoding, recipe.model.neuron)


def train(
    recipe: RecipeSpec,
    data: DataFactory,
    out: Path,
    *,
    resume: bool = False,
    workers: int = 1,
    report: Callable[[Progress], None] = lambda _: None,
    device: str = "cpu",
) -> Path:
    """Run all phases of a recipe.

    The folder receives ``state.pt`` (everything needed to go on, every two minutes),
    ``progress.csv`` and, after each phase, ``model.safetensors`` with the averaged weights.

    Args:
        recipe: the settings.
        data: makes the windows of a phase.
        out: existing folder.
        resume: go on from ``out/state.pt`` if it is there.
        workers: processes that simulate windows; 0 simulates in this one.
        report: called after every step.
        device: torch device.

    Returns:
        Path of the finished checkpoint.

    Raises:
        CheckpointError: ``state.pt`` belongs to another recipe.

    Example:
        >>> train(recipe, room.windows, Path("runs/first"), resume=True)  # doctest: +SKIP
    """
    torch.manual_seed(recipe.seed)
    run = _Run(recipe, out, workers, torch.device(device), report)
    state = run.read_state() if resume else None
    run.trim_progress(state)
    weights = state["start"] if state else None
    first = int(state["phase"]) if state else 0
    for number in range(first, len(recipe.phases)):
        weights = run.run_phase(number, data(recipe.phases[number], number), weights, state)
        state = None
        run.save_weights(weights)
    return out / WEIGHTS_FILE


class _Run:
    """What stays the same over a run's phases."""

    def __init__(
        self,
        recipe: RecipeSpec,
        out: Path,
        workers: int,
        device: torch.device,
        report: Callable[[Progress], None],
    ) -> None:
        self.recipe, self.out, self.workers = recipe, out, workers
        self.device, self.report = device, report

    def run_phase(
        self,
        number: int,
        windows: SimulatedWindows,
        start: Mapping[str, Tensor] | None,
        state: Mapping[str, Any] | None,
    ) -> dict[str, Tensor]:
        """Train one phase; returns its averaged weights."""
        recipe, phase = self.recipe, self.recipe.phases[number]
        network = build_detector(detector_spec(recipe, phase.steps))
        if start is not None:
            network.load_state_dict(dict(start))
        network.to(self.device).to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]  # torch's stubs miss it
        optimiser = build_optimiser(network, recipe, phase)
        averaged = Averaged(network, recipe.ema)
        step = 0
        if state is not None:
            network.load_state_dict(state["network"])
            optimiser.load_state_dict(state["optimiser"])
            averaged.state = {k: v.to(self.device) for k, v in state["averaged"].items()}
            averaged.updates, step = state["updates"], state["step"]
        steps = phase.windows // phase.batch
        saved = clock = time.monotonic()
        for batch in self._batches(windows, phase, step):
            rate = learning_rate(phase, step, steps)
            terms = train_step(network, optimiser, batch, recipe, rate)
            averaged.update(network)
            step += 1
            now = time.monotonic()
            losses = {name: float(value.detach()) for name, value in terms._asdict().items()}
            self._tell(Progress(number, step, steps, rate, losses, phase.batch / (now - clock)))
            clock = now
            if now - saved > SAVE_EVERY_S or step == steps:
                self._save_state(number, step, start, network, optimiser, averaged)
                saved = now
        return {name: value.cpu() for name, value in averaged.state.items()}

    def _batches(self, windows: SimulatedWindows, phase: PhaseSpec, step: int) -> Iterator[Batch]:
        rest = range(step * phase.batch, phase.windows // phase.batch * phase.batch)
        loader = DataLoader(
            Subset(windows, rest),
            batch_size=phase.batch,
            num_workers=self.workers,
            collate_fn=collate,
            prefetch_factor=4 if self.workers else None,
            multiprocessing_context="spawn" if self.workers else None,
            worker_init_fn=_quieten,
        )
        yield from loader

    def _tell(self, progress: Progress) -> None:
        path = self.out / PROGRESS_FILE
        is_new = not path.exists()
        row = {
            "phase": progress.phase,
            "step": progress.step,
            "learning_rate": f"{progress.learning_rate:.3e}",
            **{name: f"{value:.4f}" for name, value in progress.losses.items()},
            "windows_per_s": f"{progress.windows_per_s:.1f}",
        }
        with path.open("a", newline="") as file:
            writer = csv.DictWriter(file, row)
            if is_new:
                writer.writeheader()
            writer.writerow(row)
        self.report(progress)

    def _save_state(
        self,
        number: int,
        step: int,
        start: Mapping[str, Tensor] | None,
        network: SpikingDetector,
        optimiser: torch.optim.Optimizer,
        averaged: Averaged,
    ) -> None:
        state = {
            "recipe": recipe_key(self.recipe),
            "phase": number,
            "step": step,
            "start": start,
            "network": network.state_dict(),
            "optimiser": optimiser.state_dict(),
            "averaged": averaged.state,
            "updates": averaged.updates,
        }
        with atomic_path(self.out / STATE_FILE, overwrite=True) as temporary:
            torch.save(state, temporary)

    def read_state(self) -> dict[str, Any] | None:
        """Read where the run stopped; None if it never started."""
        path = self.out / STATE_FILE
        if not path.exists():
            return None
        state: dict[str, Any] = torch.load(path, map_location=self.device, weights_only=True)
        if state["recipe"] != recipe_key(self.recipe):
            raise CheckpointError(f"{path}: found another recipe's run, wanted this one's")
        return state

    def trim_progress(self, state: Mapping[str, Any] | None) -> None:
        """Drop the rows of steps that the run has not kept and will take again."""
        path = self.out / PROGRESS_FILE
        if state is None:
            path.unlink(missing_ok=True)
        elif path.exists():
            kept_until = (state["phase"], state["step"])
            header, *rows = path.read_text().splitlines(keepends=True)
            places = [tuple(int(value) for value in row.split(",")[:2]) for row in rows]
            kept = [row for row, place in zip(rows, places, strict=True) if place <= kept_until]
            with atomic_path(path, overwrite=True) as partial:
                partial.write_text(header + "".join(kept))

    def save_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Write the averaged weights as a checkpoint of the finished spec."""
        network = build_detector(detector_spec(self.recipe))
        network.load_state_dict(dict(weights))
        save_checkpoint(self.out / WEIGHTS_FILE, network, version=f"seed {self.recipe.seed}")


def train_step(
    network: SpikingDetector,
    optimiser: torch.optim.Optimizer,
    batch: Batch,
    recipe: RecipeSpec,
    rate: float,
) -> LossTerms:
    """Take one step of the optimiser; changes network and optimiser."""
    device = next(network.parameters()).device
    inputs = encode(batch.counts.to(device), network.spec.encoding)
    inputs = inputs.contiguous(memory_format=torch.channels_last)
    targets = batch.targets.to(device)
    with torch.autocast(device.type, torch.bfloat16, enabled=recipe.mixed_precision):
        predictions = network(inputs)
    padded = padded_size(*batch.counts.shape[-2:])
    terms = detection_loss(predictions, targets, padded, recipe.loss)
    optimiser.zero_grad()
    torch.autograd.backward(terms.total)
    nn.utils.clip_grad_norm_(network.parameters(), recipe.clip)
    for group in optimiser.param_groups:
        group["lr"] = rate
    optimiser.step()
    return terms


def build_optimiser(
    network: nn.Module, recipe: RecipeSpec, phase: PhaseSpec
) -> torch.optim.Optimizer:
    """AdamW with decay on kernels only, never on BN or biases."""
    kernels = [value for value in network.parameters() if value.ndim > 1]
    others = [value for value in network.parameters() if value.ndim <= 1]
    groups: list[dict[str, Any]] = [
        {"params": kernels, "weight_decay": recipe.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=phase.learning_rate)


def learning_rate(phase: PhaseSpec, step: int, steps: int) -> float:
    """Linear warm-up, then a cosine down to 2 % of the peak.

    Example:
        >>> learning_rate(PhaseSpec(windows=1600, learning_rate=1.0), step=2, steps=100)
        1.0
    """
    warmup = max(1, round(phase.warmup * steps))
    if step < warmup:
        return phase.learning_rate * (step + 1) / warmup
    share = (step - warmup) / max(1, steps - warmup)
    return phase.learning_rate * (0.02 + 0.98 * (1 + math.cos(math.pi * share)) / 2)


def recipe_key(recipe: RecipeSpec) -> str:
    """One line that differs whenever a recipe differs."""
    return repr(asdict(recipe))


def _quieten(_: int) -> None:
    """Keep a worker to one thread."""
    import cv2

    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    os.environ["NUMBA_NUM_THREADS"] = "1"
