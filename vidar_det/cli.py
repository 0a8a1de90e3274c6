"""Command lines come in, calls of ``vidar_det.commands`` go out; torch loads when it is needed."""

import contextlib
import dataclasses
import functools
import json
import logging
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from typer.core import TyperGroup

from vidar_det import __version__
from vidar_det.datasets.reading import DataFormat, LabelFlip
from vidar_det.errors import VidarError
from vidar_det.spikes.sidecar import DEFAULT_RATE_HZ, Flip, Layout, RecordingOptions

if TYPE_CHECKING:
    from collections.abc import Callable

    from vidar_det.commands.predict import PredictionSummary, PredictSettings
    from vidar_det.commands.scoring import Look
    from vidar_det.commands.train import TrainSettings
    from vidar_det.detections.boxes import Detections
    from vidar_det.detections.predictions import WindowRecord
    from vidar_det.detector.execution import Execution
    from vidar_det.detector.predictor import Detector

FAILED, INTERRUPTED = 1, 130


class _Commands(TyperGroup):
    """Turns failures that the library reports on purpose into one line and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was named."""
        try:
            return super().invoke(ctx)
        except VidarError as error:
            _fail(str(error))
            raise typer.Exit(FAILED) from error
        except KeyboardInterrupt as error:
            _fail("interrupted")
            raise typer.Exit(INTERRUPTED) from error


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    epilog="Example: vidar-det predict clip.dat --width 400 --height 250 --out found",
)

SourcePath = Annotated[
    Path,
    typer.Argument(metavar="REC", help="Recording: .dat, .npz, .npy, or a folder of 1.dat, 2.dat."),
]
WidthOption = Annotated[
    int | None,
    typer.Option(min=1, help="Pixels per row.", show_default="sidecar, or guessed"),
]
HeightOption = Annotated[
    int | None,
    typer.Option(min=1, help="Rows.", show_default="sidecar, or guessed"),
]
LayoutOption = Annotated[Layout, typer.Option(help="How planes are stored.")]
FlipOption = Annotated[
    Flip,
    typer.Option(help="What makes planes upright; auto: ud for camera files, none for arrays."),
]
RateOption = Annotated[
    float | None,
    typer.Option(help="Planes per second (Hz).", show_default="sidecar, or 20000"),
]
StartOption = Annotated[int, typer.Option(min=0, help="First plane to look at.")]
PlanesOption = Annotated[
    int | None,
    typer.Option(min=1, help="How many planes to look at.", show_default="to the end"),
]
WindowOption = Annotated[
    int | None,
    typer.Option(min=1, help="Planes per window.", show_default="the net's own, 128 in videos"),
]
StrideOption = Annotated[
    int | None,
    typer.Option(
        min=1, help="Planes from one window to the next.", show_default="the window, gap-free"
    ),
]
OutOption = Annotated[
    Path,
    typer.Option("--out", "-o", metavar="DIR", help="Folder of the results, exactly."),
]
OverwriteOption = Annotated[bool, typer.Option("--overwrite", help="Replace results that exist.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]
WeightsOption = Annotated[
    str,
    typer.Option(metavar="NAME", help="Named weights, their folder, or a .safetensors file."),
]
OnDevice = Annotated[str, typer.Option(help="Torch device: cpu, cuda, ...")]
RuntimeOption = Annotated[
    Literal["auto", "torch", "openvino"],
    typer.Option("--runtime", help="What runs the net; auto: openvino on a CPU."),
]
PrecisionOption = Annotated[
    Literal["f32", "bf16", "int8"],
    typer.Option(
        "--precision", help="Of the arithmetic, in openvino; the last two find a little else."
    ),
]
ThreadsOption = Annotated[
    int | None,
    typer.Option(min=1, help="Threads that compute.", show_default="as many as cores"),
]
EngineOption = Annotated[
    Literal["inline", "ray"],
    typer.Option(help="Where detectors run: in this process, or on a Ray cluster."),
]
AddressOption = Annotated[
    str,
    typer.Option(
        help="With --engine ray: a cluster that runs, auto where this machine is part of one.",
        show_default="one on this machine, for this command",
    ),
]
FpsOption = Annotated[float, typer.Option(min=1, max=240, help="Frames per second of the video.")]


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"vidar-det {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Say the version."),
    ] = False,
) -> None:
    """From a Vidar spike-camera recording to detected objects."""


@app.command(epilog="Example: vidar-det info clip.dat --width 400 --height 250 --json")
def info(
    recording: SourcePath,
    width: WidthOption = None,
    height: HeightOption = None,
    layout: LayoutOption = "auto",
    flip: FlipOption = "auto",
    rate_hz: RateOption = None,
    start: StartOption = 0,
    planes: PlanesOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what a recording is: geometry, planes, time, firing rate, stray bytes, lost planes.

    The firing rate is measured on at most 2,048 planes spread over the recording (or over the part
    that --start and --planes name).
    """
    from vidar_det.commands.info import summarize_recording
    from vidar_det.commands.tables import show_recording
    from vidar_det.spikes.selection import Selection, open_source

    source = open_source(recording, RecordingOptions(width, height, layout, flip, rate_hz))
    summary = summarize_recording(source, Selection(start, planes))
    show_recording(summary)
    if as_json:
        typer.echo(json.dumps(summary.to_json()))


@app.command(epilog="Example: vidar-det convert clip.dat clip.mp4 --start 1000 --planes 4000")
def convert(
    recording: SourcePath,
    out: Annotated[
        Path, typer.Argument(metavar="OUT", help="File to make: .dat, .npz, .mp4 or .png.")
    ],
    width: WidthOption = None,
    height: HeightOption = None,
    layout: LayoutOption = "auto",
    flip: FlipOption = "auto",
    rate_hz: RateOption = None,
    start: StartOption = 0,
    planes: PlanesOption = None,
    window: WindowOption = None,
    stride: StrideOption = None,
    to_layout: Annotated[
        Layout,
        typer.Option(help="Layout of the recording to make; auto: plain, in .npz array-thw."),
    ] = "auto",
    fps: FpsOption = 30.0,
    overwrite: OverwriteOption = False,
) -> None:
    """Make another recording, a slow-motion video or a picture of a recording.

    Videos and pictures show the light as mean spikes per readout (TFP): a video averages --window
    planes a frame (128 unless named), a picture --planes planes (256 unless named).
    """
    from vidar_det.commands.console import show_warnings
    from vidar_det.commands.convert import ConvertSettings, convert_recording
    from vidar_det.commands.progress import progress
    from vidar_det.spikes.selection import Selection, open_source, recording_warnings

    source = open_source(recording, RecordingOptions(width, height, layout, flip, rate_hz))
    selection = Selection(start, planes, window, stride)
    settings = ConvertSettings(selection, to_layout, fps, overwrite)
    with progress("convert", "planes") as report:
        convert_recording(source, out, settings, report)
    show_warnings(recording_warnings(source))
    typer.echo(out)


@app.command(epilog="Example: vidar-det simulate street -o street.dat --planes 2000 --seed 7")
def simulate(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="Video, folder of pictures, COCO annotations (.json), or a scene: street, fast, "
            "dark, crowd, pan, composed.",
        ),
    ],
    out: Annotated[
        Path,
        typer.Option("--out", "-o", metavar="OUT", help="The .dat file, or the dataset's folder."),
    ],
    planes: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Planes of each recording.",
            show_default="a video: all; one scene: 384; a dataset: 256",
        ),
    ] = None,
    window: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Planes per labelled range of a scene.",
            show_default="one scene: 128; a dataset: the recording",
        ),
    ] = None,
    width: Annotated[
        int | None,
        typer.Option(min=1, help="Pixels per row.", show_default="a video's own, or 400"),
    ] = None,
    height: Annotated[
        int | None, typer.Option(min=1, help="Rows.", show_default="a video's own, or 250")
    ] = None,
    rate_hz: Annotated[
        float, typer.Option(min=1, help="Planes per second (Hz).")
    ] = DEFAULT_RATE_HZ,
    profile: Annotated[
        str, typer.Option(help="The camera's noise: ideal, daylight or lowlight.")
    ] = "daylight",
    seed: Annotated[int, typer.Option(min=0, help="Decides everything that is drawn.")] = 0,
    speed: Annotated[
        float, typer.Option(min=1e-6, help="A video: how many times faster than life.")
    ] = 1.0,
    light: Annotated[
        float, typer.Option(min=1e-6, help="A video: spikes per readout of a white surface.")
    ] = 0.7,
    classes: Annotated[
        str,
        typer.Option(
            metavar="MAP",
            help="Annotations: classes by category.",
            show_default="person,vehicle=car+bus+truck,cycle=bicycle+motorcycle",
        ),
    ] = "",
    split: Annotated[
        str,
        typer.Option(
            metavar="NAME,...",
            help="Annotations, sprites: only these splits.",
            show_default="all; scenes: test",
        ),
    ] = "",
    fit: Annotated[
        Literal["whole", "cover"],
        typer.Option(help="Annotations: show the whole picture, or cover the sensor."),
    ] = "whole",
    every: Annotated[int, typer.Option(min=1, help="Annotations: take each n-th label.")] = 1,
    limit: Annotated[
        int | None,
        typer.Option(min=1, help="Annotations: most recordings of a split.", show_default="all"),
    ] = None,
    count: Annotated[
        int | None,
        typer.Option(
            min=1, help="Scenes: make a dataset of so many.", show_default="one recording"
        ),
    ] = None,
    sprites: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Scenes: cut-out objects.", show_default="drawn"),
    ] = None,
    backgrounds: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Scenes: plates.", show_default="drawn"),
    ] = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Show a video, labelled footage or a composed scene to a simulated spike camera.

    A video or a scene becomes a recording (.dat), a scene with exact boxes beside it (.json).
    Annotations, and scenes with --count, become a spike dataset for train and val.
    """
    from vidar_det.commands.console import show_warnings
    from vidar_det.commands.progress import progress
    from vidar_det.commands.simulate import SimulateSettings
    from vidar_det.commands.simulate import simulate as run_simulate
    from vidar_det.datasets.capture import CaptureSpec
    from vidar_det.datasets.class_map import parse_class_map
    from vidar_det.spikes.labels import DEFAULT_CLASS_MAP

    settings = SimulateSettings(
        capture=CaptureSpec(rate_hz, profile, seed),
        planes=planes,
        window=window,
        size=_size(width, height),
        classes=parse_class_map(classes) if classes else DEFAULT_CLASS_MAP,
        splits=_names(split),
        speed=speed,
        light=light,
        fit=fit,
        every=every,
        limit=limit,
        count=count,
        sprites=sprites,
        backgrounds=backgrounds,
        overwrite=overwrite,
    )
    with progress("simulate", "done") as report:
        warnings = run_simulate(source, out, settings, report)
    show_warnings(warnings)
    typer.echo(out)


@app.command(epilog="Example: vidar-det predict clip.dat --width 400 --height 250 --out found")
def predict(
    sources: Annotated[
        list[Path],
        typer.Argument(metavar="SOURCE...", help="Recordings: files, or folders of 1.dat, 2.dat."),
    ],
    out: OutOption,
    weights: WeightsOption = "nano",
    conf: Annotated[float, typer.Option(min=0, max=1, help="Lowest score kept, 0 to 1.")] = 0.25,
    iou: Annotated[
        float, typer.Option(min=0, max=1, help="Overlap above which the weaker box goes, 0 to 1.")
    ] = 0.6,
    max_det: Annotated[int, typer.Option(min=1, help="Most boxes of one window.")] = 300,
    classes: Annotated[
        str, typer.Option(metavar="NAME,...", help="Classes to keep.", show_default="all")
    ] = "",
    video: Annotated[bool, typer.Option("--video/--no-video", help="Write annotated.mp4.")] = True,
    fps: FpsOption = 30.0,
    is_followed: Annotated[
        bool,
        typer.Option("--follow", help="Read on while a camera writes; a line of JSON a window."),
    ] = False,
    timeout_s: Annotated[
        float, typer.Option("--timeout", help="Seconds without planes that end --follow.")
    ] = 10.0,
    drop_late: Annotated[
        bool,
        typer.Option("--drop-late", help="With --follow: drop, and count, windows that come late."),
    ] = False,
    width: WidthOption = None,
    height: HeightOption = None,
    layout: LayoutOption = "auto",
    flip: FlipOption = "auto",
    rate_hz: RateOption = None,
    start: StartOption = 0,
    planes: PlanesOption = None,
    window: WindowOption = None,
    stride: StrideOption = None,
    device: OnDevice = "cpu",
    threads: ThreadsOption = None,
    runtime: RuntimeOption = "auto",
    precision: PrecisionOption = "f32",
    engine: EngineOption = "inline",
    address: AddressOption = "",
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
) -> None:
    """Detect objects: predictions.json (COCO results) and annotated.mp4 (slow motion) in --out.

    Recordings of any length are read in bounded memory. Of several, each gets a folder of its own
    name in --out.
    """
    from vidar_det.commands.compute import prepare_compute
    from vidar_det.commands.follow import FollowSettings, follow_recording
    from vidar_det.commands.predict import PredictSettings, predict_sources
    from vidar_det.commands.progress import progress
    from vidar_det.commands.tables import show_predictions
    from vidar_det.detector.execution import Execution
    from vidar_det.detector.predictor import Thresholds, load_detector
    from vidar_det.spikes.selection import Selection

    settings = PredictSettings(
        selection=Selection(start, planes, window, stride),
        thresholds=Thresholds(conf, iou, max_det),
        classes=_names(classes),
        video=video,
        fps=fps,
        overwrite=overwrite,
    )
    options = RecordingOptions(width, height, layout, flip, rate_hz)
    if is_followed and (len(sources) != 1 or engine != "inline"):
        raise typer.BadParameter("--follow takes one recording, and --engine inline")
    prepare_compute(device, threads)
    execution = Execution(runtime, precision, threads or _threads_of(engine), device=device)
    load = functools.partial(load_detector, weights, execution=execution)
    if is_followed:
        args = (load(), sources[0], options, out, settings, FollowSettings(timeout_s, drop_late))
        summaries = [follow_recording(*args, _print_window)]
    elif engine == "ray":
        summaries = _predict_on_ray(load, sources, options, out, settings, address, execution)
    else:
        with progress("predict", "windows") as report:
            summaries = predict_sources(load(), sources, options, out, settings, report)
    show_predictions(summaries)
    if as_json:
        found = [dataclasses.asdict(summary) for summary in summaries]
        typer.echo(json.dumps({"out": str(out), "sources": found}))
    else:
        typer.echo(out)


@app.command(epilog="Example: vidar-det train weights/nano/recipe.toml --out runs/nano --resume")
def train(
    recipe: Annotated[
        Path, typer.Argument(metavar="RECIPE", help="TOML file that says what to train.")
    ],
    out: OutOption,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on where the run in --out stopped.")
    ] = False,
    data_root: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder that the recipe's folders are relative to.")
    ] = Path(),
    workers: Annotated[
        int, typer.Option(min=0, help="Processes that simulate windows; 0: none beside this one.")
    ] = 1,
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


@app.command(epilog="Example: vidar-det val --data traffic --weights nano --split test --json")
def val(
    data: Annotated[
        Path,
        typer.Option(metavar="DATASET", help="Spike dataset, PKU-Vidar-DVS, or MOT15 scenes."),
    ],
    weights: WeightsOption = "nano",
    split: Annotated[str, typer.Option(help="Which split to score on.")] = "test",
    classes: Annotated[
        str,
        typer.Option(
            metavar="MAP",
            help="The net's classes by the dataset's: \"vehicle=car+bus,person\"; "
            "none=NAME leaves boxes out.",
            show_default="by name",
        ),
    ] = "",
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="DIR",
            help="Folder for metrics.json, predictions.json and the report.",
            show_default="none",
        ),
    ] = None,
    compare: Annotated[
        str,
        typer.Option(
            metavar="OTHER",
            help="Other weights, or predictions.json of an earlier run on this split.",
            show_default="none",
        ),
    ] = "",
    with_report: Annotated[
        bool,
        typer.Option("--report/--no-report", help="In --out: report.md, report.html, the cost."),
    ] = True,
    data_format: Annotated[
        DataFormat,
        typer.Option("--format", help="The dataset's layout; auto recognises it."),
    ] = "auto",
    width: WidthOption = None,
    height: HeightOption = None,
    layout: LayoutOption = "auto",
    flip: FlipOption = "auto",
    rate_hz: RateOption = None,
    label_flip: Annotated[
        LabelFlip,
        typer.Option(help="What turns foreign labels onto the picture; auto: pku lr, mot none."),
    ] = "auto",
    device: OnDevice = "cpu",
    threads: ThreadsOption = None,
    runtime: RuntimeOption = "auto",
    precision: PrecisionOption = "f32",
    engine: EngineOption = "inline",
    address: AddressOption = "",
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
) -> None:
    """Score weights on a labelled dataset: average precision (COCO) with intervals, by class.

    In --out also by speed, light, size and origin, with curves, confusions, the worst misses and
    false alarms, and what the weights cost to run.
    """
    from vidar_det.commands.compute import prepare_compute
    from vidar_det.commands.console import show_warnings
    from vidar_det.commands.progress import progress
    from vidar_det.commands.tables import show_assessment
    from vidar_det.commands.val import METRICS_FILE, ValSettings, validate
    from vidar_det.datasets.class_map import parse_class_map
    from vidar_det.datasets.reading import ReadingSpec
    from vidar_det.detector.execution import Execution
    from vidar_det.detector.predictor import load_detector

    mapping = parse_class_map(classes) if classes else None
    options = RecordingOptions(width, height, layout, flip, rate_hz)
    reading = ReadingSpec(data_format, options, label_flip)
    prepare_compute(device, threads)
    execution = Execution(runtime, precision, threads or _threads_of(engine), device=device)
    detector = load_detector(weights, execution=execution)
    is_file = compare.endswith(".json")
    rival = Path(compare) if is_file else compare and load_detector(compare, execution=execution)
    settings = ValSettings(split, mapping, out, overwrite, reading, rival or None, with_report)
    with _looking(engine, execution, address) as look, progress("val", "windows") as report:
        summary = validate(detector, data, settings, report, look)
    show_assessment(summary.assessment)
    show_warnings(summary.warnings)
    if as_json:
        typer.echo(json.dumps(summary.to_json()))
    elif out is not None:
        typer.echo(out / METRICS_FILE)


@app.command(epilog="Example: vidar-det prune nano --target params=0.5 --data traffic --out half")
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
    data_root: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder that the recipe's folders are relative to.")
    ] = Path(),
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
    round_to: Annotated[
        int, typer.Option(min=1, help="Channels in multiples of this; 8 fills vector units.")
    ] = 1,
    floor: Annotated[int, typer.Option(min=1, help="Fewest channels of a layer.")] = 4,
    rho: Annotated[
        float, typer.Option(min=0, help="How much more readily dear channels go; 0: not.")
    ] = 0.5,
    strength: Annotated[
        float, typer.Option(min=0, help="Lambda: how fast the threshold may rise.")
    ] = 0.3,
    distillation: Annotated[
        float, typer.Option(min=0, help="Weight of the dense net's word in the end.")
    ] = 1.0,
    seed: Annotated[int, typer.Option(min=0, help="Decides the data.")] = 0,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on where the run in --out stopped.")
    ] = False,
    workers: Annotated[
        int, typer.Option(min=0, help="Processes that simulate windows; 0: none beside this one.")
    ] = 1,
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
    from vidar_det.pruning.plan import PlanRules, Target

    lessons = Lessons(recipe, data, 0 if one_shot else windows, 0.6, learning_rate, scale, seed)
    settings = PruneSettings(
        Target.parse(target),
        lessons,
        PlanRules(floor, round_to),
        rho,
        strength,
        _names(layers),
        distillation,
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


@app.command(epilog="Example: vidar-det export nano --format onnx --out nano.onnx")
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
    if summary.difference is not None:
        show_note(f"ONNX Runtime: scores within {summary.difference:.2g} of PyTorch's")
    typer.echo(summary.path)


@app.command(epilog="Example: vidar-det bench --weights nano,small --out speed")
def bench(
    weights: Annotated[
        str,
        typer.Option(metavar="NAME,...", help="Names or paths; size:small is drawn at random."),
    ] = "nano",
    steps: Annotated[
        str, typer.Option(metavar="S,...", help="Numbers of steps.", show_default="the nets' own")
    ] = "",
    seconds: Annotated[float, typer.Option(help="Time for each figure.")] = 1.0,
    width: Annotated[int, typer.Option(min=32, help="Pixels per row.")] = 400,
    height: Annotated[int, typer.Option(min=32, help="Rows.")] = 250,
    threads: ThreadsOption = None,
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
        counts = tuple(int(one) for one in _names(steps))
    except ValueError as error:
        raise typer.BadParameter("--steps takes whole numbers: 1,2,4") from error
    spec = SpeedSpec(seconds, threads or 0, height, width)
    settings = BenchSettings(_names(weights), counts, spec, out, overwrite)
    with progress("bench", "parts") as report:
        figures = measure(settings, report)
    show_figures(figures)
    if as_json:
        typer.echo(json.dumps(to_document(figures, settings)))
    elif out is not None:
        typer.echo(out)


@app.command(epilog="Example: vidar-det demo --out found")
def demo(
    out: OutOption = Path("vidar-demo"),
    weights: WeightsOption = "nano",
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
) -> None:
    """Detect objects in the recording that comes along, and score them against its exact boxes."""
    from vidar_det.commands.console import show_note
    from vidar_det.commands.demo import run_demo
    from vidar_det.commands.progress import progress
    from vidar_det.commands.tables import show_accuracy, show_predictions

    with progress("demo", "windows") as report:
        summary = run_demo(out, weights, overwrite, report=report)
    show_predictions([summary.prediction])
    show_accuracy(summary.accuracy)
    show_note("watch it in a browser: vidar-det view")
    if as_json:
        typer.echo(json.dumps({"out": str(out)} | summary.accuracy.to_json()))
    else:
        typer.echo(out)


@app.command(
    epilog="Example: vidar-det serve --port 8000. Every other setting is an environment variable, "
    "or a key of the TOML file that VIDAR_SETTINGS names: --settings lists them."
)
def serve(
    host: Annotated[
        str | None, typer.Option(help="Address to listen on.", show_default="127.0.0.1")
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="Port; 0 takes any.", show_default="8000"),
    ] = None,
    engine: Annotated[
        Literal["inline", "ray"] | None,
        typer.Option(
            help="Where detectors run: in threads, or on a Ray cluster.", show_default="inline"
        ),
    ] = None,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Listen beyond loopback although there are no keys.")
    ] = False,
    new_key: Annotated[
        str,
        typer.Option(metavar="NAME", help="Make a key, print it and its line, and leave."),
    ] = "",
    settings: Annotated[
        bool, typer.Option("--settings", help="Print every setting and its value, and leave.")
    ] = False,
) -> None:
    """Serve detection over HTTP: POST a clip, get boxes; the API is shown at /docs."""
    from service.serve import describe_settings, make_key
    from service.serve import serve as run_service
    from service.settings import read_settings

    given = {"host": host, "port": port, "engine": engine, "insecure": insecure or None}
    if new_key:
        typer.echo(make_key(new_key))
    elif settings:
        typer.echo(describe_settings(read_settings(given)))
    else:
        run_service(read_settings(given))


@app.command(epilog="Example: vidar-det view clip.dat")
def view(
    recording: Annotated[
        Path | None,
        typer.Argument(
            metavar="[REC]",
            help="Recording or folder, shown where it lies, even while a camera writes it.",
            show_default="the list of clips",
        ),
    ] = None,
    width: WidthOption = None,
    height: HeightOption = None,
    layout: LayoutOption = "auto",
    flip: FlipOption = "auto",
    rate_hz: RateOption = None,
    weights: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Net to look with; give it again for another.",
            show_default="those that come along",
        ),
    ] = None,
    host: Annotated[
        str | None, typer.Option(help="Address to listen on.", show_default="127.0.0.1")
    ] = None,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port.", show_default="any free one")
    ] = 0,
    no_browser: Annotated[
        bool, typer.Option("--no-browser", help="Print the page's address, and open nothing.")
    ] = False,
) -> None:
    """Watch a recording in slow motion, with what is found in it, in a browser."""
    from vidar_det.commands.view import open_browser, view_recording

    def announce(url: str) -> None:
        typer.echo(url)
        if not no_browser:
            open_browser(url)

    options = RecordingOptions(width, height, layout, flip, rate_hz)
    view_recording(
        recording, options, host=host, port=port, weights=weights or (), announce=announce
    )


@app.command(epilog="Example: vidar-det check")
def check(weights: WeightsOption = "nano", as_json: JsonOption = False) -> None:
    """Try every part of this installation on made-up data; exit code 1 if one fails."""
    from vidar_det.commands.check import run_checks
    from vidar_det.commands.progress import progress
    from vidar_det.commands.tables import show_checks

    with progress("check", "parts") as report:
        results = run_checks(weights, report)
    show_checks(results)
    if as_json:
        typer.echo(json.dumps({"checks": [dataclasses.asdict(result) for result in results]}))
    if not all(result.passed for result in results):
        raise typer.Exit(FAILED)


def main() -> None:
    """Run the command line: what ``vidar-det`` starts."""
    signal.signal(signal.SIGTERM, _terminate)
    # Torch's threads wait for each other by spinning, which starves them beside other work: on two
    # busy cores a window took 1,700 to 4,600 ms, and 34 ms with threads that sleep.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # SpikingJelly asks torch for Triton, which is not there without a GPU: nothing to worry about.
    logging.getLogger("torch._library.triton").setLevel(logging.ERROR)
    app(prog_name="vidar-det")


def _terminate(number: int, _: object) -> None:
    """Leave by an exception, so that half-written results are removed on the way out."""
    raise SystemExit(128 + number)


def _print_window(window: "WindowRecord", found: "Detections") -> None:
    """Print one line of JSON: a window and what was found in it."""
    from vidar_det.detections.coco import results_of

    line = {**dataclasses.asdict(window), "detections": results_of(found, window.id)}
    typer.echo(json.dumps(line))


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _predict_on_ray(
    load: "Callable[[], Detector]",
    sources: list[Path],
    options: RecordingOptions,
    out: Path,
    settings: "PredictSettings",
    address: str,
    execution: "Execution",
) -> "list[PredictionSummary]":
    from vidar_det.cluster import ClusterSpec
    from vidar_det.commands.on_cluster import predict_on_cluster
    from vidar_det.commands.progress import progress

    spec = ClusterSpec(address, execution.threads)
    with progress("predict", "recordings") as report:
        return predict_on_cluster(load, sources, options, out, settings, spec, report)


def _looking(
    engine: str, execution: "Execution", address: str
) -> "contextlib.AbstractContextManager[Look]":
    from vidar_det.cluster import ClusterSpec
    from vidar_det.commands.on_cluster import looking_on_cluster
    from vidar_det.commands.scoring import look_here

    if engine == "ray":
        return looking_on_cluster(execution, ClusterSpec(address, execution.threads))
    return contextlib.nullcontext(look_here)


def _threads_of(engine: str) -> int:
    """How many threads a detector has unless told: on a cluster one, and many detectors."""
    return 1 if engine == "ray" else 0


def _size(width: int | None, height: int | None) -> tuple[int, int] | None:
    if width is None and height is None:
        return None
    if width is None or height is None:
        raise typer.BadParameter("--width and --height go together")
    return width, height


def _fail(message: str) -> None:
    from vidar_det.commands.console import show_error

    show_error(message)


if __name__ == "__main__":
    main()
