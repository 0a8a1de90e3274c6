"""A detector and windows come in; what it costs to run goes out: weights, arithmetic, time."""

import dataclasses
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from vidar_det.detector.encoding import encode
from vidar_det.detector.inputs import padded_size
from vidar_det.detector.network import SpikingDetector, count_params
from vidar_det.detector.operations import Operations, count_operations
from vidar_det.detector.predictor import Detector
from vidar_det.detector.torch_runtime import TorchRuntime
from vidar_det.errors import ConfigError, RangeError, ShapeError

MAC_PJ = 4.6
"""Energy of a 32-bit float multiply-accumulate, picojoules: 3.7 to multiply, 0.9 to add."""
ADD_PJ = 0.9
"""Energy of a 32-bit float addition, picojoules."""
ENERGY_SOURCE = "M. Horowitz, Computing's Energy Problem, ISSCC 2014: 45 nm, 32-bit float"

LATENCY_RUNS = 100
_WARM_UP = 5


@dataclass(frozen=True)
class Latency:
    """How long one window takes from counts to boxes, and what it was measured with.

    Attributes:
        p50_ms: median.
        p95_ms: 95 of 100 runs were faster.
        p99_ms: 99 of 100 runs were faster.
        runs: predictions timed, after a warm-up; batch 1.
        threads: CPU threads that computed.
        runtime: name and version.
        precision: of weights and arithmetic.
        device: what it ran on.
    """

    p50_ms: float
    p95_ms: float
    p99_ms: float
    runs: int
    threads: int
    runtime: str
    precision: str
    device: str


@dataclass(frozen=True)
class Energy:
    """Estimated energy of the arithmetic of one window, millijoules.

    Only convolutions count. Neurons' own updates, biases and all traffic with the memory, which
    costs more than the arithmetic on most hardware, are left out.

    Attributes:
        spiking_mj: a MAC where a convolution sees no spikes, an addition per SynOp elsewhere.
        dense_mj: the same network computed densely, all steps: a MAC for each weight.
        dense_step_mj: the same for one step, which is what a network without steps would do.
    """

    spiking_mj: float
    dense_mj: float
    dense_step_mj: float


@dataclass(frozen=True)
class Cost:
    """What a detector costs to run.

    Attributes:
        params: learnable numbers.
        conv_params: those of convolutions.
        weight_bytes: everything that is stored of them, BN statistics included, as float16.
        steps: S.
        size: height and width of the network's padded input, pixels.
        windows: how many windows the arithmetic was counted on.
        operations: the arithmetic of one window, layer by layer.
        latency: time.
    """

    params: int
    conv_params: int
    weight_bytes: int
    steps: int
    size: tuple[int, int]
    windows: int
    operations: Operations
    latency: Latency

    @property
    def macs_per_step(self) -> int:
        """Dense multiply-accumulates when every convolution runs once."""
        return sum(layer.macs_per_step for layer in self.operations.convolutions)

    @property
    def macs_per_window(self) -> int:
        """Dense multiply-accumulates of a window: every convolution S times, read-outs once."""
        return sum(layer.macs for layer in self.operations.convolutions)

    @property
    def analogue_macs_per_window(self) -> int:
        """Those of the convolutions that see no spikes."""
        return sum(layer.macs for layer in self.operations.convolutions if not layer.is_spiking)

    @property
    def synops_per_window(self) -> float:
        """Additions that spikes cause, mean over windows."""
        return sum(layer.synops for layer in self.operations.convolutions)

    @property
    def firing_rate(self) -> float:
        """Mean spikes per neuron and step, over all neurons."""
        return self._mean([layer.firing_rate for layer in self.operations.neurons])

    @property
    def silent(self) -> float:
        """Share of all neurons without any spike in a window."""
        return self._mean([layer.silent for layer in self.operations.neurons])

    @property
    def energy(self) -> Energy:
        """The estimate; see ``Energy`` for what it leaves out."""
        spiking_pj = self.analogue_macs_per_window * MAC_PJ + self.synops_per_window * ADD_PJ
        return Energy(
            spiking_mj=spiking_pj * 1e-9,
            dense_mj=self.macs_per_window * MAC_PJ * 1e-9,
            dense_step_mj=self.macs_per_step * MAC_PJ * 1e-9,
        )

    def to_mapping(self) -> dict[str, Any]:
        """Give plain dictionaries, lists and numbers, ready for ``write_json``."""
        figures = dataclasses.asdict(self)
        operations = figures.pop("operations")
        sums = (
            *("macs_per_step", "macs_per_window", "analogue_macs_per_window"),
            *("synops_per_window", "firing_rate", "silent"),
        )
        constants = {"mac_pj": MAC_PJ, "add_pj": ADD_PJ, "source": ENERGY_SOURCE}
        return {
            **figures,
            "size": list(self.size),
            **{name: getattr(self, name) for name in sums},
            "energy": dataclasses.asdict(self.energy) | constants,
            "convolutions": list(operations["convolutions"]),
            "neurons": list(operations["neurons"]),
        }

    def _mean(self, figures: Sequence[float]) -> float:
        """Average a figure of the layers over all their neurons."""
        neurons = [layer.neurons for layer in self.operations.neurons]
        return float(np.average(figures, weights=neurons)) if neurons else 0.0


def measure_cost(
    detector: Detector | SpikingDetector,
    windows: Sequence[NDArray[np.integer[Any]]],
    runs: int = LATENCY_RUNS,
) -> Cost:
    """Measure what a detector costs on given windows.

    Args:
        detector: the detector, or a network in evaluation mode.
        windows: ``(S * parts, H, W)`` counts each, all of one size.
        runs: predictions to time, taking the windows in turn.

    Returns:
        The cost. All of it but the latency follows from the network and the windows alone; how
        operations are counted is said at ``count_operations``.

    Raises:
        RangeError: no windows, or fewer than one run.
        ShapeError: windows of several sizes, or with another number of bins.
        ConfigError: the network is in training mode.

    Example:
        >>> from vidar_det.detector.predictor import load_detector
        >>> window = np.full((4, 64, 64), 8, np.uint16)
        >>> cost = measure_cost(load_detector("nano"), [window], runs=1)
        >>> cost.params, cost.size, cost.energy.spiking_mj < cost.energy.dense_mj
        (472889, (64, 64), True)
    """
    sizes = sorted({window.shape for window in windows})
    if not windows or runs < 1:
        raise RangeError(f"cost: found {len(windows)} windows and {runs} runs, wanted at least one")
    if len(sizes) > 1:
        raise ShapeError(f"cost: found windows of {sizes}, wanted one size")
    if isinstance(detector, SpikingDetector):
        detector = _as_detector(detector)
    network, encoding = detector.runtime.source.network, detector.spec.encoding
    if network.training:
        raise ConfigError("cost: found a network in training mode, wanted evaluation mode")
    device = next(network.parameters()).device
    inputs = (encode(window, encoding).to(device) for window in windows)
    tensors = [tensor for tensor in network.state_dict().values() if tensor.is_floating_point()]
    convolutions = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d)]
    return Cost(
        params=count_params(network),
        conv_params=sum(count_params(layer) for layer in convolutions),
        weight_bytes=sum(tensor.numel() for tensor in tensors) * torch.float16.itemsize,
        steps=encoding.steps,
        size=padded_size(*windows[0].shape[1:]),
        windows=len(windows),
        operations=count_operations(network, inputs),
        latency=_time(detector, windows, runs),
    )


def _as_detector(network: SpikingDetector) -> Detector:
    runtime = TorchRuntime(network, str(next(network.parameters()).device))
    return Detector(runtime, network.spec, "network", "unnamed", count_params(network))


def _time(detector: Detector, windows: Sequence[NDArray[np.integer[Any]]], runs: int) -> Latency:
    laps_ms = []
    for run in range(_WARM_UP + runs):
        begin = time.perf_counter()
        detector.predict(windows[run % len(windows)])
        laps_ms.append(1e3 * (time.perf_counter() - begin))
    p50, p95, p99 = np.percentile(laps_ms[_WARM_UP:], (50, 95, 99)).tolist()
    ran = detector.runtime.describe()
    return Latency(p50, p95, p99, runs, ran.threads, ran.name, ran.precision, ran.device)
