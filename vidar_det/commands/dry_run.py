"""A recipe comes in; whether training it can succeed goes out, before days are spent on it.

"The average precision is 0" has few causes: labels that do not lie on their objects, classes that
never occur, boxes too small to be seen, or a network, loss or learning rate that cannot learn. Each
of these is looked at.
"""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vidar_det.commands.compute import prepare_compute
from vidar_det.commands.console import show_note, show_warnings
from vidar_det.commands.contact_sheet import Tile, draw_windows, lay_out
from vidar_det.commands.pictures import write_picture
from vidar_det.commands.scoring import SCORED_CONF
from vidar_det.commands.staging import staged_folder
from vidar_det.commands.train import TrainSettings
from vidar_det.detections.boxes import GroundTruth, box_iou
from vidar_det.detector.network import SpikingDetector, build_detector
from vidar_det.detector.predictor import Detector, Thresholds
from vidar_det.detector.torch_runtime import TorchRuntime
from vidar_det.errors import SourceError
from vidar_det.evaluation.accuracy import evaluate
from vidar_det.evaluation.matching import ScoredImage
from vidar_det.outputs import write_json
from vidar_det.training.label_check import LabelCheck, check_labels
from vidar_det.training.loading import load_batches
from vidar_det.training.recipe import RecipeSpec, read_recipe
from vidar_det.training.rehearsal import Rehearsal, learn_by_heart
from vidar_det.training.simulation import Batch, LabelledWindow, SimulatedWindows, collate
from vidar_det.training.sources import open_data
from vidar_det.training.start import detector_spec

LABELS_FILE = "labels.png"
SUMMARY_FILE = "dry-run.json"
ENOUGH = 0.9
"""AP50 at which a batch counts as learned by heart."""
SHOWN = 12
"""Windows of each phase on the contact sheet."""
BATCH = 16


@dataclass(frozen=True)
class DryRunSpec:
    """How much is tried.

    Attributes:
        windows: windows of each phase whose labels are looked at.
        learned: windows that are learned by heart.
        steps: steps spent on that, at most.
    """

    windows: int = 192
    learned: int = 4
    steps: int = 400


@dataclass(frozen=True)
class DryRun:
    """What was found.

    Attributes:
        labels: what the windows of each phase hold.
        rehearsal: how learning a few windows by heart went.
        hints: what to look at, where that failed.
    """

    labels: Sequence[LabelCheck]
    rehearsal: Rehearsal
    hints: tuple[str, ...]

    @property
    def is_learned(self) -> bool:
        """Whether the network can learn at all."""
        return self.rehearsal.score >= ENOUGH

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is doubtful about the labels, one sentence each."""
        phases = enumerate(self.labels, start=1)
        return tuple(f"phase {n}: {told}" for n, check in phases for told in check.warnings)

    def to_json(self) -> dict[str, Any]:
        """Give everything, ready for JSON; NaN becomes None."""
        labels = [dataclasses.asdict(check) for check in self.labels]
        for table in labels:
            for name in ("heights_px", "cells"):
                table[name] = [None if value != value else value for value in table[name]]  # NaN
        return {
            "labels": labels,
            "warnings": list(self.warnings),
            "learned_by_heart": dataclasses.asdict(self.rehearsal),
            "is_learned": self.is_learned,
            "hints": list(self.hints),
        }


def dry_run(
    recipe: str | Path,
    out: str | Path,
    settings: TrainSettings | None = None,
    spec: DryRunSpec | None = None,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> DryRun:
    """Look at a recipe's labels, and learn a few of its windows by heart.

    Args:
        recipe: the recipe file.
        out: folder that receives ``labels.png``, windows of each phase with their boxes, and
            ``dry-run.json``.
        settings: where the data lie and what computes.
        spec: how much is tried.
        report: told how many windows were looked at, then how many steps were taken.

    Returns:
        What was found.

    Raises:
        SourceError: the recipe or its data are missing, or no window shows an object.
        ConfigError: an unknown key, a wrong value or an unknown device.
        LabelError: a label is of no known class.
        OutputError: ``out`` holds files, or cannot be written.
        TrainingError: the loss is not finite.

    Example:
        >>> dry_run("recipe.toml", "tried").is_learned  # doctest: +SKIP
        True
    """
    settings, spec = settings or TrainSettings(), spec or DryRunSpec()
    told = read_recipe(Path(recipe))
    prepare_compute(settings.device, settings.threads)
    data = open_data(told, settings.data_root)
    with staged_folder(out, settings.overwrite) as folder:
        labels, tiles = [], list[Tile]()
        for number, phase in enumerate(told.phases):
            windows = data.windows(phase, number)
            check, shown = _look_at_phase(told, number, windows, spec, settings, report)
            labels.append(check)
            tiles += shown
        write_picture(folder / LABELS_FILE, lay_out(tiles))
        whole = replace(windows, encoding=detector_spec(told).encoding)
        examples = _find_examples(whole, spec)
        rehearsal = learn_by_heart(
            told,
            collate(examples),
            lambda network: _precision(network, examples, settings.device),
            enough=ENOUGH,
            steps=spec.steps,
            device=settings.device,
            report=report,
        )
        hints = () if rehearsal.score >= ENOUGH else tuple(_hints(rehearsal, examples))
        found = DryRun(labels, rehearsal, hints)
        write_json(folder / SUMMARY_FILE, found.to_json())
    return found


def show_dry_run(found: DryRun) -> None:
    """Print what was found, for a person."""
    for number, check in enumerate(found.labels, start=1):
        objects = ", ".join(f"{name} {count:,}" for name, count in check.objects.items())
        show_note(
            f"phase {number}: {check.windows:,} windows, {check.empty:,} empty; {objects}, "
            f"ignored {check.ignored:,}; heights {_range(check.heights_px)} pixels and "
            f"{_range(check.cells)} cells per object (5 %, middle, 95 %)"
        )
    show_warnings(found.warnings)
    tried = found.rehearsal
    losses = f"loss {tried.first_loss:.2f} to {tried.last_loss:.2f}"
    word = "learned" if found.is_learned else "NOT learned"
    show_note(f"{word} by heart: AP50 {tried.score:.3f} after {tried.steps} steps, {losses}")
    for hint in found.hints:
        show_note(f"- {hint}")


def _look_at_phase(
    recipe: RecipeSpec,
    number: int,
    windows: SimulatedWindows,
    spec: DryRunSpec,
    settings: TrainSettings,
    report: Callable[[int, int], None],
) -> tuple[LabelCheck, list[Tile]]:
    """Check the first windows of a phase, and draw the very first."""
    count, classes = min(spec.windows, len(windows)), recipe.model.classes
    with torch.random.fork_rng():
        network = build_detector(detector_spec(recipe, recipe.phases[number].steps))
    cut = [range(count)[begin : begin + BATCH] for begin in range(0, count, BATCH)]
    tiles: list[Tile] = []

    def seen() -> Iterator[Batch]:
        done = 0
        for batch in load_batches(windows, cut, settings.workers):
            if len(tiles) < SHOWN:
                first = _first_rows(batch, SHOWN - len(tiles))
                tiles.extend(draw_windows(first, classes, f"phase {number + 1}"))
            done += len(batch.counts)
            report(done, count)
            yield batch

    check = check_labels(seen(), network.to(settings.device), classes, recipe.loss)
    return check, tiles


def _first_rows(batch: Batch, rows: int) -> Batch:
    targets = batch.targets
    columns = {
        field.name: getattr(targets, field.name)[:rows] for field in dataclasses.fields(targets)
    }
    return Batch(batch.counts[:rows], type(targets)(**columns))


def _find_examples(windows: SimulatedWindows, spec: DryRunSpec) -> list[LabelledWindow]:
    """The first windows that show something to find."""
    examples = []
    for index in range(min(spec.windows, len(windows))):
        window = windows[index]
        if (~window.labels.ignore).any():
            examples.append(window)
        if len(examples) == spec.learned:
            break
    if not examples:
        raise SourceError(f"found no object in {spec.windows} windows, wanted some to learn")
    return examples


def _precision(network: SpikingDetector, examples: Sequence[LabelledWindow], device: str) -> float:
    """AP50 on the examples, 0 where there is nothing to find."""
    detector = Detector(TorchRuntime(network, device), network.spec, "by heart", "", 0)
    images = [
        ScoredImage(
            GroundTruth(window.labels.xyxy, window.labels.class_ids, window.labels.ignore),
            detector.predict(window.counts, Thresholds(conf=SCORED_CONF)),
            tuple(np.flatnonzero(window.scored).tolist()),
        )
        for window in examples
    ]
    return float(np.nan_to_num(evaluate(images, network.spec.classes).mAP50))


def _hints(rehearsal: Rehearsal, examples: Sequence[LabelledWindow]) -> list[str]:
    """What to look at, from what can be seen."""
    hints = []
    if not rehearsal.last_loss < rehearsal.first_loss / 2:
        hints.append("the loss hardly fell: try another learning_rate, a tenth or three times it")
    boxes = [window.labels.xyxy[~window.labels.ignore] for window in examples]
    small = sum(int(((box[:, 2:] - box[:, :2]).min(1) < 8).sum()) for box in boxes)
    if small:
        hints.append(f"{small} objects are narrower than the finest cell, 8 pixels")
    covered = sum(
        int((np.triu(box_iou(box, box), 1) > Thresholds().iou).any(0).sum()) for box in boxes
    )
    if covered:
        hints.append(f"{covered} objects lie on another one: of two such boxes one is suppressed")
    dark = sum(int(window.counts.mean() < 0.5) for window in examples)
    if dark:
        hints.append(f"{dark} of {len(examples)} windows are nearly dark")
    return [*hints, f"see {LABELS_FILE}: does every box lie on its object, in its class's colour?"]


def _range(values: tuple[float, float, float]) -> str:
    return "-" if values[0] != values[0] else ", ".join(f"{value:.0f}" for value in values)
