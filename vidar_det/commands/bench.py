"""Weights come in; how fast this machine is, beside its own ceilings, goes out."""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from vidar_det.detector.checkpoint import load_network
from vidar_det.detector.network import SpikingDetector, build_detector
from vidar_det.detector.spec import DEFAULT_WEIGHTS, size_spec
from vidar_det.detector.weights_file import WEIGHTS_FILE, find_weights
from vidar_det.errors import ConfigError
from vidar_det.evaluation.counting_speed import measure_counting
from vidar_det.evaluation.machine import describe_machine
from vidar_det.evaluation.network_speed import measure_inference, measure_side_by_side
from vidar_det.evaluation.speed import SpeedFigure, SpeedSpec, executions
from vidar_det.evaluation.stream_speed import measure_stream
from vidar_det.outputs import atomic_path, prepare_output_folder, write_json

BENCH_FILE, PICTURE_FILE = "bench.json", "bench.png"
DRAWN_UNITS = ("ms", "x real time")

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

    weights: tuple[str, ...] = (DEFAULT_WEIGHTS,)
    steps: tuple[int, ...] = ()
    spec: SpeedSpec = field(default_factory=SpeedSpec)
    out: Path | None = None
    overwrite: bool = False


def bench(
    settings: BenchSettings, report: Report = lambda done, total, name: None
) -> list[SpeedFigure]:
    """Measure decoding, inference, the whole stream, and networks beside the first.

    Args:
        settings: what is measured.
        report: told before each part.

    Returns:
        The figures.

    Raises:
        CheckpointError: there are no such weights.
        ConfigError: a network that is no spiking one, or twice the same; or no runtime is left.
        OutputError: ``out`` holds files already, or cannot be written.

    Example:
        >>> bench(BenchSettings(("nano",), out=Path("bench")))  # doctest: +SKIP
    """
    networks, spec = open_networks(settings.weights, settings.steps), settings.spec
    executions(spec)  # refuses what is no runtime, before minutes are spent
    if settings.out is not None:
        prepare_output_folder(settings.out, settings.overwrite)
    total = 1 + 2 * len(networks) + (len(networks) > 1)
    report(0, total, "decode")
    figures = measure_counting(spec)
    for done, (name, network) in enumerate(networks.items()):
        report(1 + 2 * done, total, f"inference, {name}")
        figures += measure_inference(name, network, spec)
        report(2 + 2 * done, total, f"stream, {name}")
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
    """Load or draw networks, each with each number of steps; by name.

    Raises:
        CheckpointError: there are no such weights.
        ConfigError: a network that is no spiking one, or twice the same.
    """
    networks = {}
    for given, name in zip(weights, short_names(weights), strict=True):
        if given.startswith("size:"):
            network = build_detector(size_spec(given.removeprefix("size:"))).eval()
        else:
            network = load_network(find_weights(given))
        if network.spec.neuron.kind != "ilif":
            raise ConfigError(f"{given}: found a relu network, wanted a spiking one")
        for count in steps or (network.spec.encoding.steps,):
            encoding = replace(network.spec.encoding, steps=count)
            twin = build_detector(replace(network.spec, encoding=encoding)).eval()
            twin.load_state_dict(network.state_dict())
            networks[f"{name} S={count}"] = twin
    return networks


def short_names(weights: Sequence[str]) -> list[str]:
    """Name weights as short as they stay distinct.

    Raises:
        ConfigError: twice the same.

    Example:
        >>> short_names(["nano", "runs/one/model.safetensors", "a/net", "b/net"])
        ['nano', 'one', 'a/net', 'b/net']
    """
    short = []
    for given in weights:
        path = Path(given.removeprefix("size:"))
        short.append(path.parent.name if path.name == WEIGHTS_FILE else path.name)
    names = [
        name if short.count(name) == 1 else given
        for name, given in zip(short, weights, strict=True)
    ]
    for given in weights:
        if names.count(given) > 1:
            raise ConfigError(f"weights: found {given} twice, wanted each once")
    return names


def to_document(figures: Sequence[SpeedFigure], settings: BenchSettings) -> dict[str, Any]:
    """Say figures and what they were measured with in plain types."""
    spec = settings.spec
    return {
        "machine": describe_machine() | {"threads": spec.used},
        "weights": list(settings.weights),
        "seconds": spec.seconds,
        "picture": {"width": spec.width, "height": spec.height},
        "figures": [dataclasses.asdict(figure) for figure in figures],
    }


def draw_figures(figures: Sequence[SpeedFigure], path: Path) -> None:
    """Draw milliseconds and real-time factors."""
    drawn = [figure for figure in figures if figure.unit in DRAWN_UNITS]
    groups = list(dict.fromkeys(figure.group for figure in drawn))
    picture = Figure(figsize=(9, 1.6 * len(groups) + 0.6), layout="constrained")
    panels = picture.subplots(len(groups), 1, squeeze=False)[:, 0]
    for axes, group in zip(panels, groups, strict=True):
        own = [one for one in drawn if one.group == group]
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
