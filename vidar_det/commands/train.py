"""A recipe comes in; a folder with trained weights, their recipe and their progress goes out."""

import contextlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from vidar_det.commands.compute import prepare_compute
from vidar_det.detector.checkpoint import WEIGHTS_FILE
from vidar_det.errors import OutputError
from vidar_det.outputs import prepare_output_folder
from vidar_det.training.loop import PROGRESS_FILE, STATE_FILE, Progress, train
from vidar_det.training.recipe import RecipeSpec, read_recipe
from vidar_det.training.sources import open_data

RECIPE_FILE = "recipe.toml"

Report = Callable[[int, int, str], None]
"""Told the step, the steps of the phase, and what to show beside them."""


@dataclass(frozen=True)
class TrainSettings:
    """How a run is carried out; what it trains stands in the recipe.

    Attributes:
        data_root: folder that the recipe's own folders are relative to.
        resume: go on from where the run in the output folder stopped.
        overwrite: replace a run in the output folder.
        workers: processes that simulate windows; 0 simulates in this one.
        threads: threads that compute; None leaves it to torch.
        device: torch device.
    """

    data_root: Path = Path()
    resume: bool = False
    overwrite: bool = False
    workers: int = 1
    threads: int | None = None
    device: str = "cpu"


def train_recipe(
    recipe: str | Path,
    out: str | Path,
    settings: TrainSettings | None = None,
    report: Report = lambda done, total, note: None,
) -> Path:
    """Train a recipe into a folder.

    The folder receives ``recipe.toml``, ``model.safetensors``, ``progress.csv`` and ``state.pt``;
    an interrupted run keeps them, so that ``resume`` can go on.

    Args:
        recipe: the recipe file.
        out: the folder.
        settings: how to carry the run out.
        report: told after every step, with the phase and the parts of the loss.

    Returns:
        Path of the finished checkpoint.

    Raises:
        SourceError: the recipe or its data are missing.
        ConfigError: an unknown key, a wrong value or an unknown device.
        OutputError: ``out`` holds files, and neither ``resume`` nor ``overwrite`` is set.
        CheckpointError: ``resume`` found the run of another recipe.

    Example:
        >>> train_recipe("weights/nano/recipe.toml", "runs/nano")  # doctest: +SKIP
    """
    recipe, settings = Path(recipe), settings or TrainSettings()
    spec = read_recipe(recipe)
    prepare_compute(settings.device, settings.threads)
    data = open_data(spec, settings.data_root)
    folder = prepare_output_folder(out, settings.resume or settings.overwrite)
    try:
        if not settings.resume:
            for name in (STATE_FILE, PROGRESS_FILE, WEIGHTS_FILE):
                (folder / name).unlink(missing_ok=True)
        if not (settings.resume and (folder / RECIPE_FILE).exists()):
            with contextlib.suppress(shutil.SameFileError):
                shutil.copyfile(recipe, folder / RECIPE_FILE)
        return train(
            spec,
            data.windows,
            folder,
            resume=settings.resume,
            workers=settings.workers,
            report=lambda progress: report(progress.step, progress.steps, _note(progress, spec)),
            device=settings.device,
        )
    except OSError as error:
        raise OutputError(f"{folder}: cannot be written: {error.strerror or error}") from error


def _note(progress: Progress, recipe: RecipeSpec) -> str:
    losses = ", ".join(f"{name} {value:.3f}" for name, value in progress.losses.items())
    phase = f"phase {progress.phase + 1} of {len(recipe.phases)}"
    return f"{phase}, {progress.windows_per_s:.0f} windows/s, {losses}"
