"""The cost of a detector comes in, the sections of a report that tell it go out."""

import io

from matplotlib.figure import Figure

from vidar_det.evaluation.cost import ADD_PJ, ENERGY_SOURCE, MAC_PJ, Cost, Latency
from vidar_det.evaluation.report import Picture, Section, Table

_Row = tuple[str, str, str]


def cost_sections(cost: Cost) -> list[Section]:
    """Tell a cost.

    Args:
        cost: what ``measure_cost`` returned.

    Returns:
        A summary, firing by layer (if the network spikes) and arithmetic by layer.

    Example:
        >>> from vidar_det.detector.predictor import load_detector
        >>> from vidar_det.evaluation.cost import measure_cost
        >>> import numpy as np
        >>> window = np.full((4, 64, 64), 8, np.uint16)
        >>> cost = measure_cost(load_detector("nano"), [window], runs=1)
        >>> [section.heading for section in cost_sections(cost)]
        ['Cost', 'Firing by layer', 'Arithmetic by layer']
    """
    is_spiking = bool(cost.operations.neurons)
    return [_summary(cost), *([_firing(cost)] if is_spiking else []), _arithmetic(cost)]


def _summary(cost: Cost) -> Section:
    text = f"""
        Energy is an estimate of the convolutions' arithmetic alone, with the constants of
        {ENERGY_SOURCE}. Traffic with the memory, which costs more on most hardware, and the
        neurons' own updates are left out. No chip was measured.
    """
    rows, pictures = [*_weight_rows(cost), *_dense_rows(cost)], []
    if cost.operations.neurons:
        text = f"""
            Counted on {_several(cost.windows, "window")}. A synaptic operation (SynOp) is one
            addition of a weight that a spike causes; an integer count of c is c spikes, and a
            spike near the border reaches fewer places. The head's mean over steps is linear:
            there, each spike of each step counts. The first convolution sees light, not spikes,
            and multiplies.

            {text}
        """
        rows += _spiking_rows(cost)
        pictures = [_firing_picture(cost)]
    rows += _latency_rows(cost.latency)
    return Section("Cost", text, Table(("", "value", "note"), rows), pictures)


def _weight_rows(cost: Cost) -> list[_Row]:
    height, width = cost.size
    return [
        ("parameters", f"{cost.params:,}", f"{cost.conv_params:,} of them in convolutions"),
        ("weights", f"{cost.weight_bytes / 1e6:.2f} MB", "float16, BN statistics included"),
        ("steps", f"{cost.steps}", f"network input {width}x{height} pixels, padding included"),
    ]


def _dense_rows(cost: Cost) -> list[_Row]:
    per_mac = f"estimate, {MAC_PJ} pJ a MAC"
    return [
        ("MACs per step", _large(cost.macs_per_step), "dense, every convolution once"),
        ("energy of it", _energy(cost.energy.dense_step_mj), f"{per_mac}: a net without steps"),
        ("MACs per window", _large(cost.macs_per_window), "dense, all steps"),
        ("energy of it", _energy(cost.energy.dense_mj), per_mac),
    ]


def _spiking_rows(cost: Cost) -> list[_Row]:
    density = cost.synops_per_window / (cost.macs_per_window - cost.analogue_macs_per_window)
    return [
        (
            "SynOps per window",
            _large(cost.synops_per_window),
            f"{density:.2f} for each dense MAC of the convolutions that see spikes",
        ),
        (
            "MACs beside them",
            _large(cost.analogue_macs_per_window),
            "per window, in the convolution that sees light",
        ),
        (
            "energy of both",
            _energy(cost.energy.spiking_mj),
            f"estimate, {ADD_PJ} pJ a SynOp and {MAC_PJ} pJ a MAC",
        ),
        ("firing rate", f"{cost.firing_rate:.3f}", "mean spikes per neuron and step"),
        ("silent neurons", f"{cost.silent:.1%}", "without any spike in a window, mean"),
    ]


def _latency_rows(latency: Latency) -> list[_Row]:
    threads = _several(latency.threads, "thread")
    setting = f"{latency.runtime}, {latency.precision}, {latency.device}, {threads}"
    return [
        ("latency, p50", f"{latency.p50_ms:.1f} ms", "counts to boxes, one window at a time"),
        ("latency, p95", f"{latency.p95_ms:.1f} ms", f"{latency.runs} runs after a warm-up"),
        ("latency, p99", f"{latency.p99_ms:.1f} ms", setting),
    ]


def _firing(cost: Cost) -> Section:
    text = "Mean spikes per neuron and step, and the share of neurons without a spike in a window."
    rows = [
        (layer.name, layer.neurons, layer.firing_rate, f"{layer.silent:.1%}")
        for layer in cost.operations.neurons
    ]
    table = Table(("layer", "neurons", "firing rate", "silent"), rows)
    return Section("Firing by layer", text, table)


def _arithmetic(cost: Cost) -> Section:
    text = "Per window. Where no spikes come in there are no SynOps: MACs are what it costs."
    rows = [
        (
            layer.name,
            layer.params,
            layer.macs,
            round(layer.synops) if layer.is_spiking else None,
            layer.spikes_in,
        )
        for layer in cost.operations.convolutions
    ]
    columns = ("convolution", "parameters", "MACs", "SynOps", "spikes per input and step")
    return Section("Arithmetic by layer", text, Table(columns, rows))


def _firing_picture(cost: Cost) -> Picture:
    """Draw one bar a layer, in the order in which they run."""
    layers = cost.operations.neurons
    figure = Figure(figsize=(6.4, 0.9 + 0.17 * len(layers)), layout="constrained")
    axes = figure.subplots()
    axes.barh(
        [layer.name for layer in layers],
        [layer.firing_rate for layer in layers],
        color="#0072b2",
        height=0.7,
    )
    axes.axvline(cost.firing_rate, color="#d55e00", linewidth=1)
    axes.invert_yaxis()
    axes.margins(y=0.01)
    axes.tick_params(axis="y", labelsize=7, length=0)
    axes.tick_params(axis="x", labelsize=8)
    axes.set_xlabel("spikes per neuron and step", fontsize=8)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.grid(axis="x", linewidth=0.4, alpha=0.6)
    axes.set_axisbelow(True)
    png = io.BytesIO()
    figure.savefig(png, format="png", dpi=150)
    caption = (
        f"Firing rate of each layer, input at the top. The line is the mean over all neurons, "
        f"{cost.firing_rate:.3f}."
    )
    return Picture(png.getvalue(), caption)


def _energy(energy_mj: float) -> str:
    return f"{energy_mj:.3f} mJ"


def _large(count: float) -> str:
    return f"{count / 1e6:,.1f} M"


def _several(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
