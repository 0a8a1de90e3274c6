"""Weights come in; how fast this machine is, beside its own ceilings, goes out."""

import dataclasses
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from vidar_det import __version__
from vidar_det.detector.checkpoint import find_weights, load_network
from vidar_det.detector.network import SpikingDetector, build_detector
from vidar_det.detector.spec import size_spec
from vidar_det.errors import ConfigError
from vidar_det.evaluation.speed import (
    SpeedFigure,
    SpeedSpec,
    measure_arithmetic,
    measure_counting,
    measure_inference,
    measure_side_by_side,
    measure_stream,
)
from vidar_det.outputs import atomic_path, prepare_output_folder, write_json

BENCH_FILE, PICTURE_FILE = "bench.json", "bench.png"

Report = Callable[[int, int, str], None]
"""Told how many parts are done, of how many, and which one is next."""


@dataclass(frozen=True)
class BenchSettings:
    """What is measured.

    Attributes:
        weights: names or paths; or sizes such as ``size:small``, drawn at random: speed does not
            depend on what a network has learned.
        steps: numbers of steps that networks are run with; empty = their own.
        spec: how long, and with what.
        out: folder of ``bench.json`` and ``bench.png``; None writes nothing.
        overwrite: replace results that exist.
    """

    weights: tuple[str, ...] = ("nano",)
    steps: tuple[int, ...] = ()
    spec: SpeedSpec = field(default_factory=SpeedSpec)
    out: Path | None = None
    overwrite: bool = False


def bench(
    settings: BenchSettings, report: Report = lambda done, total, name: None
) -> list[SpeedFigure]:
    """Measure decoding, arithmetic, inference, the whole stream, and networks beside the first.

    Args:
        settings: what is measured.
        report: told before each part.

    Returns:
        The figures.

    Raises:
        CheckpointError: there are no such weights.
        OutputError: ``out`` holds files already, or cannot be written.

    Example:
        >>> bench(BenchSettings(("nano",), out=Path("bench")))  # doctest: +SKIP
    """
    if settings.out is not None:
        prepare_output_folder(settings.out, settings.overwrite)
    networks = open_networks(settings.weights, settings.steps)
    total, spec = 2 + 2 * len(networks) + (len(networks) > 1), settings.spec
    report(0, total, "decode")
    figures = measure_counting(spec)
    report(1, total, "arithmetic")
    ceilings = measure_arithmetic(spec)
    figures += ceilings.values()
    for done, (name, network) in enumerate(networks.items()):
        report(2 + 2 * done, total, f"inference, {name}")
        figures += measure_inference(name, network, ceilings["f32"], spec)
        report(3 + 2 * done, total, f"stream, {name}")
        figures += measure_stream(name, network, spec)
    if len(networks) > 1:
        report(total - 1, total, "networks")
        figures += measure_side_by_side(networks, spec)
    report(total, total, "")
    if settings.out is not None:
        document = to_document(figures, settings)
        write_json(settings.out / BENCH_FILE, document, overwrite=True)
        draw_figures(figures, settings.out / PICTURE_FILE)
    return figures


def open_networks(weights: Sequence[str], steps: Sequence[int]) -> dict[str, SpikingDetector]:
    """Load or draw networks, each with each number of steps; by name."""
    networks = {}
    for name in weights:
        if name.startswith("size:"):
            network = build_detector(size_spec(name.removeprefix("size:"))).eval()
        else:
            network = load_network(find_weights(name))
        if network.spec.neuron.kind != "ilif":
            raise ConfigError(f"{name}: found a relu network, wanted a spiking one")
        for count in steps or (network.spec.encoding.steps,):
            encoding = replace(network.spec.encoding, steps=count)
            twin = build_detector(replace(network.spec, encoding=encoding)).eval()
            twin.load_state_dict(network.state_dict())
            networks[f"{Path(name).name.removeprefix('size:')} S={count}"] = twin
    return networks


def to_document(figures: Sequence[SpeedFigure], settings: BenchSettings) -> dict[str, Any]:
    """Say figures and what they were measured with in plain types."""
    spec = settings.spec
    return {
        "version": __version__,
        "machine": {
            "processor": _processor(),
            "threads": spec.used,
            "python": platform.python_version(),
        },
        "picture": {"width": spec.width, "height": spec.height},
        "figures": [dataclasses.asdict(figure) for figure in figures],
    }


def draw_figures(figures: Sequence[SpeedFigure], path: Path) -> None:
    """Draw milliseconds and real-time factors."""
    groups = [name for name in dict.fromkeys(f.group for f in figures) if "," in name]
    picture = Figure(figsize=(9, 1.6 * len(groups) + 0.6), layout="constrained")
    panels = picture.subplots(len(groups), 1, squeeze=False)[:, 0]
    for axes, group in zip(panels, groups, strict=True):
        own = [one for one in figures if one.group == group and one.unit != "GFLOP/s"]
        bars = axes.barh([one.name for one in own], [one.value for one in own], color="#1f6f8b")
        axes.bar_label(bars, [f"{one.value:.3g}" for one in own], padding=3, fontsize=8)
        axes.invert_yaxis()
        axes.set_title(f"{group}, {own[0].unit}", loc="left", fontsize=9)
        axes.tick_params(labelsize=8)
        axes.spines[["top", "right"]].set_visible(False)
        if own[0].unit == "x real time":
            axes.axvline(1.0, color="#c1666b", linewidth=1)
    with atomic_path(path, overwrite=True) as partial:
        picture.savefig(partial, dpi=110, format="png")


def _processor() -> str:
    """Name the processor; Linux knows more than Python does."""
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor()
