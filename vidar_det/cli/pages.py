"""What people look at: demo, serve, view, check."""

import dataclasses
import json
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from typer.core import TyperCommand

from vidar_det.cli.options import (
    FAILED,
    FlipOption,
    HeightOption,
    JsonOption,
    LayoutOption,
    OutOption,
    OverwriteOption,
    PrecisionOption,
    RateOption,
    RuntimeOption,
    ThreadsOption,
    WeightsOption,
    WidthOption,
)
from vidar_det.detector.spec import DEFAULT_WEIGHTS
from vidar_det.spikes.sidecar import RecordingOptions

commands = typer.Typer()

ServedRuntimeOption = Annotated[
    Literal["auto", "torch", "openvino"] | None,
    typer.Option("--runtime", help="What runs the nets.", show_default="auto: openvino on a CPU"),
]
ServedPrecisionOption = Annotated[
    Literal["f32", "bf16", "int8"] | None,
    typer.Option("--precision", help="Of the arithmetic, in openvino.", show_default="f32"),
]


@commands.command(epilog="Example: vidar-det demo --out found")
def demo(
    out: OutOption = Path("vidar-demo"),
    weights: WeightsOption = DEFAULT_WEIGHTS,
    threads: ThreadsOption = None,
    runtime: RuntimeOption = "auto",
    precision: PrecisionOption = "f32",
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
) -> None:
    """Detect objects in the recording that comes along, and score them against its exact boxes."""
    from vidar_det.commands.console import show_note
    from vidar_det.commands.demo import run_demo
    from vidar_det.commands.progress import progress
    from vidar_det.commands.tables import show_accuracy, show_predictions
    from vidar_det.detector.execution import Execution

    execution = Execution(runtime, precision, threads or 0)
    with progress("demo", "windows") as report:
        summary = run_demo(out, weights, overwrite, report=report, execution=execution)
    show_predictions([summary.prediction])
    show_accuracy(summary.accuracy)
    show_note("watch it in a browser: vidar-det view")
    if as_json:
        typer.echo(json.dumps({"out": str(out)} | summary.accuracy.to_json()))
    else:
        typer.echo(out)


class _ServeCommand(TyperCommand):
    """Shows all settings with its help; only then are they loaded."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        from service.serve import explain_settings

        super().format_help(ctx, formatter)
        typer.echo(explain_settings())


@commands.command(
    cls=_ServeCommand,
    epilog="Example: vidar-det serve --port 8000. Every setting is an environment variable, or a "
    "key of the TOML file that VIDAR_SETTINGS names; here with its default:",
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
    threads: ThreadsOption = None,
    runtime: ServedRuntimeOption = None,
    precision: ServedPrecisionOption = None,
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

    given = {
        "host": host,
        "port": port,
        "engine": engine,
        "threads": threads,
        "runtime": runtime,
        "precision": precision,
        "insecure": insecure or None,
    }
    if new_key:
        typer.echo(make_key(new_key))
    elif settings:
        typer.echo(describe_settings(read_settings(given)))
    else:
        run_service(read_settings(given))


@commands.command(epilog="Example: vidar-det view clip.dat")
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
    threads: ThreadsOption = None,
    runtime: ServedRuntimeOption = None,
    precision: ServedPrecisionOption = None,
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
    given = {
        "host": host,
        "port": port,
        "threads": threads,
        "runtime": runtime,
        "precision": precision,
    }
    view_recording(recording, options, given=given, weights=weights or (), announce=announce)


@commands.command(epilog="Example: vidar-det check")
def check(
    weights: WeightsOption = DEFAULT_WEIGHTS,
    threads: ThreadsOption = None,
    runtime: RuntimeOption = "auto",
    precision: PrecisionOption = "f32",
    as_json: JsonOption = False,
) -> None:
    """Try every part of this installation on made-up data; exit code 1 if one fails."""
    from vidar_det.commands.check import run_checks
    from vidar_det.commands.progress import progress
    from vidar_det.commands.tables import show_checks

    with progress("check", "parts") as report:
        results = run_checks(weights, report, runtime, precision, threads)
    show_checks(results)
    if as_json:
        typer.echo(json.dumps({"checks": [dataclasses.asdict(result) for result in results]}))
    if not all(result.passed for result in results):
        raise typer.Exit(FAILED)
