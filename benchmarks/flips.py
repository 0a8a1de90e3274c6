"""Two runtimes of one network and windows come in; the spikes that differ go out, layer by layer.

A membrane on the edge of one spike more is flipped by another order of sums, and all layers behind
see the flip: a difference of boxes begins with one. OpenVINO's spikes are those of a graph that
gives every neuron's output too; it stands for the runtime's own as far as its logits are the same.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vidar_det.detector.deployment import DeployedNetwork
from vidar_det.detector.encoding import encode
from vidar_det.detector.graphs import openvino_core
from vidar_det.detector.inputs import pad_counts, rate_table
from vidar_det.detector.network import SpikingDetector
from vidar_det.detector.neurons import ILIF
from vidar_det.detector.openvino_runtime import OpenVinoRuntime, Precision
from vidar_det.detector.translation import convert

ROUNDING = 1e-2  # of a logit
Counts = NDArray[np.uint16]
Spikes = dict[str, NDArray[np.uint8]]
Watch = Callable[[Counts], tuple[NDArray[np.float32], Spikes]]
"""Counts of one window to the logits of the scores and every neuron's spikes."""


@dataclass
class Flips:
    """Spike counts that differ, by layer in the order in which they run.

    Attributes:
        values: spike counts compared in each layer: windows, steps, channels and pixels.
        differing: those that differ.
        windows: windows that were looked at.
        unflipped: numbers of those without any difference.
        same_logits: how many of them the watched graph gives the runtime's own logits for.
    """

    values: dict[str, int] = field(default_factory=dict)
    differing: dict[str, int] = field(default_factory=dict)
    windows: int = 0
    unflipped: list[int] = field(default_factory=list)
    same_logits: int = 0

    def add(self, wanted: Spikes, found: Spikes, is_same_logits: bool) -> None:
        """Compare one window's spikes."""
        differing = {name: int((wanted[name] != found[name]).sum()) for name in wanted}
        for name, count in differing.items():
            self.values[name] = self.values.get(name, 0) + wanted[name].size
            self.differing[name] = self.differing.get(name, 0) + count
        if not any(differing.values()):
            self.unflipped.append(self.windows)
        self.windows += 1
        self.same_logits += is_same_logits


def count_flips(
    network: SpikingDetector, runtime: OpenVinoRuntime, windows: Sequence[Counts]
) -> Flips:
    """Compare every neuron's spikes in OpenVINO with those in PyTorch."""
    ours, theirs = watch_torch(network), watch_openvino(runtime)
    flips = Flips()
    for counts in windows:
        (_, wanted), (scores, found) = ours(counts), theirs(counts)
        own = runtime.run(counts, network.spec.encoding.planes_per_count).scores
        flips.add(wanted, found, bool(np.abs(own - scores).max() < ROUNDING))
    return flips


class Watched(nn.Module):
    """A network that gives every neuron's spikes after its logits."""

    def __init__(self, deployed: DeployedNetwork) -> None:
        super().__init__()
        self.deployed = deployed
        self.fired = watch_neurons(deployed.network)

    def forward(self, counts: Tensor, rates: Tensor) -> tuple[Tensor, ...]:
        self.fired.clear()
        logits = self.deployed(counts, rates)
        return (*logits, *self.fired.values())


def watch_neurons(network: SpikingDetector) -> dict[str, Tensor]:
    """Hang a hook on every neuron: what each fired last, in the order in which they ran."""
    fired: dict[str, Tensor] = {}

    def note(name: str) -> Callable[[nn.Module, Any, Tensor], None]:
        return lambda _, __, out: fired.update({name: out})

    for name, part in network.named_modules():
        if isinstance(part, ILIF):
            part.register_forward_hook(note(name))
    return fired


def watch_torch(network: SpikingDetector) -> Watch:
    fired = watch_neurons(network)

    def look(counts: Counts) -> tuple[NDArray[np.float32], Spikes]:
        fired.clear()
        with torch.inference_mode():
            raw = network(encode(counts, network.spec.encoding))
        spikes = {name: each.numpy().astype(np.uint8) for name, each in fired.items()}
        return raw.scores[0].numpy(), spikes

    return look


def watch_openvino(runtime: OpenVinoRuntime) -> Watch:
    precision: Precision = runtime.precision
    encoding = runtime.source.spec.encoding
    watched = Watched(DeployedNetwork(runtime.source.network, has_bytes=precision == "int8"))
    model = convert(watched, encoding)
    names = list(watched.fired)
    options = {
        "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32",
        "INFERENCE_NUM_THREADS": runtime.threads,
    }
    compiled = openvino_core().compile_model(model, "CPU", options)
    rates = rate_table(encoding, encoding.planes_per_count)

    def look(counts: Counts) -> tuple[NDArray[np.float32], Spikes]:
        scores, _, *fired = compiled([pad_counts(counts), rates]).to_tuple()
        spikes = (np.rint(each).astype(np.uint8) for each in fired)
        return scores, dict(zip(names, spikes, strict=True))

    return look
