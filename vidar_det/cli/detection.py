"""Recordings and weights come in, detections or their score go out: predict, val."""

import contextlib
import dataclasses
import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vidar_det.datasets.reading import DataFormat, LabelFlip
from vidar_det.detector.spec import DEFAULT_WEIGHTS
from vidar_det.spikes.sidecar import RecordingOptions

if TYPE_CHECKING:
    from vidar_det.commands.predict import PredictionSummary, PredictSettings
    from vidar_det.commands.scoring import Look
    from vidar_det.detector.execution import Execution
    from vidar_det.detector.predictor import Detector

from vidar_det.cli.following import check_following, follow_until_it_ends
from vidar_det.cli.options import (
    AddressOption,
    EngineOption,
    FlipOption,
    FpsOption,
    HeightOption,
    JsonOption,
    LayoutOption,
    OnDevice,
    OutOption,
    OverwriteOption,
    PlanesOption,
    PrecisionOption,
    RateOption,
    RuntimeOption,
    StartOption,
    StrideOption,
    ThreadsOption,
    WeightsOption,
    WidthOption,
    WindowOption,
    names_in,
)

commands = typer.Typer()


@commands.command(epilog="Example: vidar-det predict clip.dat --width 400 --height 250 --out found")
def predict(
    context: typer.Context,
    sources: Annotated[
        list[Path],
        typer.Argument(metavar="SOURCE...", help="Recordings: files, or folders of 1.dat, 2.dat."),
    ],
    out: OutOption,
    weights: WeightsOption = DEFAULT_WEIGHTS,
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
    from vidar_det.commands.follow import FollowSettings
    from vidar_det.commands.predict import PredictSettings, predict_sources
    from vidar_det.commands.progress import progress
    from vidar_det.detector.execution import Execution
    from vidar_det.detector.predictor import Thresholds, load_detector
    from vidar_det.spikes.selection import Selection

    settings = PredictSettings(
        selection=Selection(start, planes, window, stride),
        thresholds=Thresholds(conf, iou, max_det),
        classes=names_in(classes),
        video=video,
        fps=fps,
        overwrite=overwrite,
    )
    options = RecordingOptions(width, height, layout, flip, rate_hz)
    if is_followed and (len(sources) != 1 or engine != "inline"):
        raise typer.BadParameter("--follow takes one recording, and --engine inline")
    check_following(context, is_followed, timeout_s)
    execution = Execution(runtime, precision, threads or _threads_of(engine), device=device)
    load = functools.partial(load_detector, weights, execution=execution)
    code = 0
    if is_followed:
        keeping_up = FollowSettings(timeout_s, drop_late)
        summary, code = follow_until_it_ends(
            load, execution, sources[0], options, out, settings, keeping_up
        )
        summaries = [summary]
    elif engine == "ray":
        summaries = _predict_on_ray(load, sources, options, out, settings, address, execution)
    else:
        with progress("predict", "windows") as report:
            summaries = predict_sources(load(), sources, options, out, settings, report)
    _show(summaries, out, as_json)
    if code:
        raise typer.Exit(code)


@commands.command(epilog="Example: vidar-det val --data traffic --weights nano --split test --json")
def val(
    data: Annotated[
        Path,
        typer.Option(metavar="DATASET", help="Spike dataset, PKU-Vidar-DVS, or MOT15 scenes."),
    ],
    weights: WeightsOption = DEFAULT_WEIGHTS,
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
    prepare_compute(device, threads)  # what weights cost is measured in torch
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


def _show(summaries: "list[PredictionSummary]", out: Path, as_json: bool) -> None:
    from vidar_det.commands.tables import show_predictions

    show_predictions(summaries)
    if as_json:
        found = [dataclasses.asdict(summary) for summary in summaries]
        typer.echo(json.dumps({"out": str(out), "sources": found}))
    else:
        typer.echo(out)


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
