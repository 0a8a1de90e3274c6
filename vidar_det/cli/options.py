"""What commands share: options by name, and what becomes of a text."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from vidar_det.spikes.sidecar import Flip, Layout

FAILED, INTERRUPTED = 1, 130
"""Exit codes; wrong use is 2, as everywhere."""

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
ResumeOption = Annotated[
    bool, typer.Option("--resume", help="Go on where the run in --out stopped.")
]
DataRootOption = Annotated[
    Path, typer.Option(metavar="DIR", help="Folder that the recipe's folders are relative to.")
]
WorkersOption = Annotated[
    int, typer.Option(min=0, help="Processes that simulate windows; 0: none beside this one.")
]
FpsOption = Annotated[float, typer.Option(min=1, max=240, help="Frames per second of the video.")]


def names_in(text: str) -> tuple[str, ...]:
    """Split names at commas."""
    return tuple(name.strip() for name in text.split(",") if name.strip())
