"""Recordings come in, and facts, pictures or other recordings go out: info, convert, simulate."""

import json
from pathlib import Path
from typing import Annotated, Literal

import typer

from vidar_det.cli.options import (
    FlipOption,
    FpsOption,
    HeightOption,
    JsonOption,
    LayoutOption,
    OverwriteOption,
    PlanesOption,
    RateOption,
    SourcePath,
    StartOption,
    StrideOption,
    WidthOption,
    WindowOption,
    names_in,
)
from vidar_det.spikes.sidecar import DEFAULT_RATE_HZ, Layout, RecordingOptions

commands = typer.Typer()


@commands.command(epilog="Example: vidar-det info clip.dat --width 400 --height 250 --json")
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


@commands.command(epilog="Example: vidar-det convert clip.dat clip.mp4 --start 1000 --planes 4000")
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


@commands.command(epilog="Example: vidar-det simulate street -o street.dat --planes 2000 --seed 7")
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
        splits=names_in(split),
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


def _size(width: int | None, height: int | None) -> tuple[int, int] | None:
    if width is None and height is None:
        return None
    if width is None or height is None:
        raise typer.BadParameter("--width and --height go together")
    return width, height
