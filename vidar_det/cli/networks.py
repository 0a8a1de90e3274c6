"""Recipes and weights come in, networks and what they cost go out: train, prune, export, bench."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from vidar_det.commands.train import TrainSettings

from vidar_det.cli.options import (
    FAILED,
    DataRootOption,
    JsonOption,
    OnDevice,
    OutOption,
    OverwriteOption,
    ResumeOption,
    ThreadsOption,
    WorkersOption,
    names_in,
)
from vidar_det.detector.spec import DEFAULT_WEIGHTS

commands = typer.Typer()


@commands.command(
    epilog="Example: vidar-det train weights/nano/recipe.toml --out runs/nano --resume"
)
def train(
    recipe: Annotated[
        Path, typer.Argument(metavar="RECIPE", help="TOML file that says what to train.")
    ],
    out: OutOption,
    resume: ResumeOption = False,
    data_root: DataRootOption = Path(),
    workers: WorkersOption = 1,
    device: OnDevice = "cpu",
    threads: ThreadsOption = None,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Write the curves for TensorBoard too.")
    ] = False,
    is_tried: Annotated[
        bool,
        typer.Option("--dry-run", help="Check the labels and learn a few windows by heart, only."),
    ] = False,
    overwrite: OverwriteOption = False,
) -> None:
    """Train a detector into --out: model.safetensors, its recipe, curves and state.pt.

    Several processes train one network under torchrun --nproc-per-node N -m vidar_det train ...
    With --dry-run --out receives labels.png and dry-run.json; exit code 1 if nothing is learned.
    """
    from vidar_det.commands.console import show_warnings
    from vidar_det.commands.progress import progress
    from vidar_det.commands.train import TrainSettings, train_recipe
    from vidar_det.training.distributed import own_rank

    settings = TrainSettings(data_root, resume, overwrite, workers, threads, device, tensorboard)
    if is_tried:
        _try_recipe(recipe, out, settings)
        return
    with progress("train", "steps", is_shown=own_rank() == 0) as report:
        path = train_recipe(recipe, out, settings, report, show_warnings)
    if own_rank() == 0:
        typer.echo(path)


def _try_recipe(recipe: Path, out: Path, settings: "TrainSettings") -> None:
    from vidar_det.commands.dry_run import dry_run, show_dry_run
    from vidar_det.commands.progress import progress

    with progress("try", "windows, then steps") as report:
        found = dry_run(recipe, out, settings, report=report)
    show_dry_run(found)
    typer.echo(out)
    if not found.is_learned:
        raise typer.Exit(FAILED)


@commands.command(
    epilog="Example: vidar-det prune nano --target params=0.5 --data traffic --out half"
)
def prune(
    weights: Annotated[str, typer.Argument(metavar="WEIGHTS", help="Name or path of weights.")],
    target: Annotated[
        str,
        typer.Option(
            metavar="UNIT=X",
            help="Budget: params, macs or synops; up to 1 a fraction, above it a number.",
        ),
    ],
    out: OutOption,
    data: Annotated[
        Path | None, typer.Option(metavar="DATASET", help="Labelled recordings to learn from.")
    ] = None,
    recipe: Annotated[
        Path | None, typer.Option(metavar="RECIPE", help="Recipe whose data to learn from.")
    ] = None,
    data_root: DataRootOption = Path(),
    one_shot: Annotated[
        bool, typer.Option("--one-shot", help="Cut at once, without training.")
    ] = False,
    windows: Annotated[int, typer.Option(min=1, help="Windows to learn from.")] = 64_000,
    scale: Annotated[float, typer.Option(help="Size of the picture while it learns.")] = 1.0,
    learning_rate: Annotated[float, typer.Option(help="Peak of each stage.")] = 1e-3,
    layers: Annotated[
        str,
        typer.Option(
            metavar="NAMES", help='Layers that may shrink: "neck.*,head.*".', show_default="all"
        ),
    ] = "",
    frozen: Annotated[
        str,
        typer.Option(
            metavar="NAMES",
            help="Layers neither cut nor trained: learning is quicker.",
            show_default="none",
        ),
    ] = "",
    round_to: Annotated[
        int, typer.Option(min=1, help="Channels in multiples of this; 8 fills vector units.")
    ] = 1,
    floor: Annotated[int, typer.Option(min=1, help="Fewest channels of a layer.")] = 4,
    floor_share: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            help="Smallest share of a layer's channels that stays.",
            show_default="half of the target, where that is a fraction",
        ),
    ] = None,
    rho: Annotated[
        float, typer.Option(min=0, help="How much more readily dear channels go; 0: not.")
    ] = 0.5,
    threshold_share: Annotated[
        float,
        typer.Option(
            min=0,
            help="Share of the windows in which a threshold on the spines rises; 0: plan first.",
        ),
    ] = 0.0,
    strength: Annotated[
        float, typer.Option(min=0, help="Lambda: how fast that threshold may rise.")
    ] = 0.3,
    distillation: Annotated[
        float, typer.Option(min=0, help="Weight of the teacher's word in the end.")
    ] = 1.0,
    teacher: Annotated[
        str,
        typer.Option(
            metavar="WEIGHTS",
            help="Whose word that is, of the same classes and windows.",
            show_default="the dense net",
        ),
    ] = "",
    seed: Annotated[int, typer.Option(min=0, help="Decides the data.")] = 0,
    resume: ResumeOption = False,
    workers: WorkersOption = 1,
    device: OnDevice = "cpu",
    threads: ThreadsOption = None,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
) -> None:
    """Cut channels out of a detector until it meets a budget; the result is an ordinary network.

    In --out: model.safetensors, and the plan as plan.md, plan.png and plan.json.
    """
    from vidar_det.commands.console import show_warnings
    from vidar_det.commands.progress import progress
    from vidar_det.commands.prune import PruneSettings, prune_weights
    from vidar_det.commands.prune_recipe import Lessons
    from vidar_det.commands.tables import show_plan
    from vidar_det.errors import ConfigError
    from vidar_det.pruning.plan import PlanRules, Target

    length = 0 if one_shot else windows
    try:
        budget = Target.parse(target)
        share = budget.amount / 2 if budget.amount <= 1 else 0.0
        rules = PlanRules(floor, round_to, share if floor_share is None else floor_share)
        lessons = Lessons(recipe, data, length, threshold_share, learning_rate, scale, seed)
    except ConfigError as error:
        raise typer.BadParameter(str(error)) from error
    settings = PruneSettings(
        budget,
        lessons,
        rules,
        rho,
        strength,
        names_in(layers),
        names_in(frozen),
        distillation,
        teacher,
        data_root,
        resume,
        overwrite,
        workers,
        threads,
        device,
    )
    with progress("prune", "steps") as report:
        summary = prune_weights(weights, out, settings, report)
    show_plan(summary.plan)
    show_warnings(summary.warnings)
    if as_json:
        typer.echo(json.dumps({"path": str(summary.path), "plan": summary.plan.to_mapping()}))
    else:
        typer.echo(summary.path)


@commands.command(epilog="Example: vidar-det export nano --format onnx --out nano.onnx")
def export(
    weights: Annotated[str, typer.Argument(metavar="WEIGHTS", help="Name or path of weights.")],
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="FILE", help="File: .onnx, or .xml for openvino.")
    ],
    form: Annotated[
        Literal["onnx", "openvino"], typer.Option("--format", help="What is written.")
    ] = "onnx",
    width: Annotated[int, typer.Option(min=1, help="Pixels per row; for onnx.")] = 400,
    height: Annotated[int, typer.Option(min=1, help="Rows; for onnx.")] = 250,
    precision: Annotated[
        Literal["f32", "int8"], typer.Option(help="Of the weights; int8 for openvino.")
    ] = "f32",
    overwrite: OverwriteOption = False,
) -> None:
    """Write a network for other software: from counts to logits, in one graph."""
    from vidar_det.commands.console import show_note
    from vidar_det.commands.export import export_weights

    summary = export_weights(weights, form, out, (height, width), precision, overwrite)
    if summary.agreement is not None:
        found = summary.agreement
        show_note(
            f"ONNX Runtime agrees with PyTorch in {1 - found.differing:.1%} of the cells, and "
            f"finds {found.boxes_found} of its {found.boxes} boxes in the demo"
        )
    typer.echo(summary.path)


@commands.command(epilog="Example: vidar-det bench --weights nano,small --out speed")
def bench(
    weights: Annotated[
        str,
        typer.Option(metavar="NAME,...", help="Names or paths; size:small is drawn at random."),
    ] = DEFAULT_WEIGHTS,
    steps: Annotated[
        str, typer.Option(metavar="S,...", help="Numbers of steps.", show_default="the nets' own")
    ] = "",
    seconds: Annotated[float, typer.Option(help="Time for each figure.")] = 1.0,
    width: Annotated[int, typer.Option(min=32, help="Pixels per row.")] = 400,
    height: Annotated[int, typer.Option(min=32, help="Rows.")] = 250,
    threads: ThreadsOption = None,
    runtime: Annotated[
        str,
        typer.Option(metavar="NAME,...", help="torch, openvino.", show_default="all there are"),
    ] = "",
    precision: Annotated[
        str,
        typer.Option(metavar="NAME,...", help="f32, bf16, int8.", show_default="all there are"),
    ] = "",
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="DIR", help="Folder of bench.json and bench.png."),
    ] = None,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
) -> None:
    """Measure this machine: decoding, inference and the whole stream, each beside its ceiling."""
    from vidar_det.commands.bench import BenchSettings, to_document
    from vidar_det.commands.bench import bench as measure
    from vidar_det.commands.progress import progress
    from vidar_det.commands.tables import show_figures
    from vidar_det.evaluation.speed import SpeedSpec

    try:
        counts = tuple(int(one) for one in names_in(steps))
    except ValueError as error:
        raise typer.BadParameter("--steps takes whole numbers: 1,2,4") from error
    filters = names_in(runtime), names_in(precision)
    spec = SpeedSpec(seconds, threads or 0, height, width, *filters)
    settings = BenchSettings(names_in(weights), counts, spec, out, overwrite)
    with progress("bench", "parts") as report:
        figures = measure(settings, report)
    show_figures(figures)
    if as_json:
        typer.echo(json.dumps(to_document(figures, settings)))
    elif out is not None:
        typer.echo(out)
