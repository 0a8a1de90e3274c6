"""Command lines come in, calls of ``vidar_det.commands`` go out; torch loads when it is needed."""

import logging
import os
import signal
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from vidar_det import __version__
from vidar_det.cli import detection, networks, pages, recordings
from vidar_det.cli.options import FAILED, INTERRUPTED
from vidar_det.errors import VidarError


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
for part in (recordings, detection, networks, pages):
    app.add_typer(part.commands)


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


def main() -> None:
    """Run the command line: what ``vidar-det`` starts."""
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)  # not every system hangs up
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _terminate)
    # Torch's threads wait for each other by spinning, which starves them beside other work: on two
    # busy cores a window took 1,700 to 4,600 ms, and 34 ms with threads that sleep.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # SpikingJelly asks torch for Triton, which is not there without a GPU: nothing to worry about.
    logging.getLogger("torch._library.triton").setLevel(logging.ERROR)
    app(prog_name="vidar-det")


def _terminate(number: int, _: object) -> None:
    """Leave by an exception, so that half-written results are removed on the way out."""
    raise SystemExit(128 + number)


def _fail(message: str) -> None:
    from vidar_det.commands.console import show_error

    show_error(message)
