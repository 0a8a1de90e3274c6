"""A recipe comes in; a folder with trained weights, their recipe and their progress goes out."""

import contextlib
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from vidar_det.commands.compute import prepare_compute
from vidar_det.commands.scoring import score_windows
from vidar_det.commands.tensorboard import AddScalars, tensorboard_scalars
from vidar_det.datasets.class_map import complete_class_map, parse_class_map
from vidar_det.datasets.labelled_data import open_labelled_data
from vidar_det.datasets.windows import labelled_windows
from vidar_det.detector.network import SpikingDetector
from vidar_det.detector.predictor import Detector
from vidar_det.detector.torch_runtime import TorchRuntime
from vidar_det.detector.weights_file import WEIGHTS_FILE
from vidar_det.errors import OutputError
from vidar_det.outputs import prepare_output_folder
from vidar_det.training.curves import CURVES_FILE
from vidar_det.training.distributed import joined_processes, own_device
from vidar_det.training.loop import Progress, RunSpec, Validate, train
from vidar_det.training.recipe import RecipeSpec, ValidationSpec, read_recipe
from vidar_det.training.run_files import PROGRESS_FILE, STATE_FILE, VALIDATION_FILE
from vidar_det.training.sources import open_data

RECIPE_FILE = "recipe.toml"
TENSORBOARD_FOLDER = "tensorboard"
RUN_FILES = (STATE_FILE, PROGRESS_FILE, VALIDATION_FILE, CURVES_FILE, WEIGHTS_FILE)

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
        tensorboard: write the curves for TensorBoard too.
    """

    data_root: Path = Path()
    resume: bool = False
    overwrite: bool = False
    workers: int = 1
    threads: int | None = None
    device: str = "cpu"
    tensorboard: bool = False


def train_recipe(
    recipe: str | Path,
    out: str | Path,
    settings: TrainSettings | None = None,
    report: Report = lambda done, total, note: None,
    warn: Callable[[Sequence[str]], None] = lambda sentences: None,
) -> Path:
    """Train a recipe into a folder.

    The folder receives ``recipe.toml``, ``model.safetensors``, ``progress.csv``, ``curves.png`` and
    ``state.pt``, and ``validation.csv`` if the recipe names a dataset to validate on; an
    interrupted run keeps them, so that ``resume`` can go on.

    Under ``torchrun`` all its processes train the one network, and the first of them writes.

    Args:
        recipe: the recipe file.
        out: the folder.
        settings: how to carry the run out.
        report: told after every step, with the phase and the parts of the loss.
        warn: told once, before the first step, what is to know about labelled recordings: boxes
            that were dropped, classes without boxes.

    Returns:
        Path of the finished checkpoint.

    Raises:
        SourceError: the recipe or its data are missing.
        ConfigError: an unknown key, a wrong value, an unknown device, or TensorBoard is wanted
            and not installed.
        LabelError: the dataset to validate on has classes that the recipe does not know.
        OutputError: ``out`` holds files, and neither ``resume`` nor ``overwrite`` is set; or it
            cannot be written.
        CheckpointError: ``resume`` found the run of another recipe.
        TrainingError: the loss is no longer finite.

    Example:
        >>> train_recipe("weights/nano/recipe.toml", "runs/nano")  # doctest: +SKIP
    """
    recipe, out, settings = Path(recipe), Path(out), settings or TrainSettings()
    spec = read_recipe(recipe)
    device = own_device(settings.device)
    prepare_compute(device, settings.threads)
    with joined_processes(device) as processes, contextlib.ExitStack() as stack:
        processes.check(spec)
        data = open_data(spec, settings.data_root)
        how = RunSpec(settings.resume, settings.workers, processes)
        if not processes.is_first:
            return train(spec, data.windows, out, how)
        warn(data.warnings)
        teller, validate = _Teller(spec, report), None
        if settings.tensorboard:
            teller.add = stack.enter_context(tensorboard_scalars(out / TENSORBOARD_FOLDER))
        if spec.validation is not None:
            score = open_validation(spec, spec.validation, settings.data_root, device)
            validate = teller.also_told(score)
        _prepare_folder(out, recipe, settings)
        try:
            return train(spec, data.windows, out, how, report=teller.tell, validate=validate)
        except OSError as error:
            reason = error.strerror or error
            raise OutputError(f"{out}: cannot be written: {reason}") from error


def open_validation(
    recipe: RecipeSpec, spec: ValidationSpec, root: Path, device: str = "cpu"
) -> Validate:
    """Open the dataset that a recipe validates on, in whatever layout, and check it.

    Args:
        recipe: names the net's classes and windows.
        spec: names the dataset.
        root: what its folder is relative to.
        device: torch device.

    Returns:
        A function that scores a network on it: ``mAP``, ``mAP50`` and each class's ``AP50``, NaN
        for a class without objects.

    Raises:
        VidarError: the dataset, a recording or a class is missing, or a labelled range is shorter
            than the longest window that the recipe's networks see.
    """
    known = recipe.model.classes
    classes = parse_class_map(spec.classes) if spec.classes else {}
    encoding = recipe.model.encoding
    longest = encoding.bin_planes * max(encoding.steps, *(phase.steps for phase in recipe.phases))
    folder, reading = root / spec.data, spec.reading(longest)
    dataset = open_labelled_data(folder, reading, complete_class_map(classes, known))
    labels = dataset.labels(spec.split)
    labelled_windows(dataset.folder, labels, longest, dataset.open)

    def score(network: SpikingDetector) -> Mapping[str, float]:
        detector = Detector(TorchRuntime(network, device), network.spec, "averaged", "", 0)
        windows = labelled_windows(dataset.folder, labels, network.spec.window, dataset.open)
        accuracy = score_windows(detector, windows)
        per_class = {f"AP50_{name}": figures.AP50 for name, figures in accuracy.per_class.items()}
        return {"mAP": accuracy.mAP, "mAP50": accuracy.mAP50, **per_class}

    return score


def _prepare_folder(folder: Path, recipe: Path, settings: TrainSettings) -> None:
    """Refuse or clear what the folder holds, and put the recipe into it."""
    prepare_output_folder(folder, settings.resume or settings.overwrite)
    try:
        if not settings.resume:
            for name in RUN_FILES:
                (folder / name).unlink(missing_ok=True)
            shutil.rmtree(folder / TENSORBOARD_FOLDER, ignore_errors=True)
        if not (settings.resume and (folder / RECIPE_FILE).exists()):
            with contextlib.suppress(shutil.SameFileError):
                shutil.copyfile(recipe, folder / RECIPE_FILE)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be written: {error.strerror or error}") from error


@dataclass
class _Teller:
    """Passes on what a run tells: to whoever watches, and to TensorBoard if it is wanted."""

    recipe: RecipeSpec
    report: Report
    add: AddScalars = lambda figures, windows: None
    windows: int = 0

    def tell(self, progress: Progress) -> None:
        """Tell of a step."""
        self.report(progress.step, progress.steps, _note(progress, self.recipe))
        if progress.phase < len(self.recipe.phases):
            self.windows = self.recipe.windows_at(progress.phase, progress.step)
            losses = {f"loss/{name}": value for name, value in progress.losses.items()}
            speed = {"learning_rate": progress.learning_rate, "speed": progress.windows_per_s}
            self.add(losses | speed, self.windows)

    def also_told(self, score: Validate) -> Validate:
        """Make a scoring tell its figures too."""

        def validate(network: SpikingDetector) -> Mapping[str, float]:
            figures = score(network)
            told = {f"validation/{name}": value for name, value in figures.items()}
            self.add(told, self.windows)
            return figures

        return validate


def _note(progress: Progress, recipe: RecipeSpec) -> str:
    speed = f"{progress.windows_per_s:.0f} windows/s"
    if progress.phase == len(recipe.phases):
        return f"measuring batch normalisation, {speed}"
    losses = ", ".join(f"{name} {value:.3f}" for name, value in progress.losses.items())
    return f"phase {progress.phase + 1} of {len(recipe.phases)}, {speed}, {losses}"
