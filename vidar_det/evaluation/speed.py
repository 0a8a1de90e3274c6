"""Networks and a picture's size come in; how fast everything runs, beside its ceiling, goes out.

All that is compared takes turns in one process, so that what else the machine does falls on both.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from vidar_det.detector.encoding import encode
from vidar_det.detector.execution import Execution, build_runtime
from vidar_det.detector.graphs import has_bf16, has_openvino
from vidar_det.detector.network import SpikingDetector, count_params
from vidar_det.detector.openvino_runtime import Precision
from vidar_det.detector.operations import count_macs
from vidar_det.detector.predictor import Detector
from vidar_det.detector.threads import available_cpus
from vidar_det.evaluation.peer import to_multi_step
from vidar_det.spikes.counts import count_rows
from vidar_det.spikes.stream import Sensor, SpikeStream

MATRIX = 1024
"""Side of the matrices whose product is the ceiling of arithmetic."""
PLANES = 2048
LEAST_LAPS = 5
TURN = 10
"""Windows that one network has before the next."""


@dataclass(frozen=True)
class SpeedFigure:
    """One figure, and what stands beside it.

    Attributes:
        group: which part of the way.
        name: what ran.
        value: how fast.
        unit: of the value.
        beside: what it is compared with; empty = nothing.
        ratio: the value over that; for times, how many times as fast it is.
    """

    group: str
    name: str
    value: float
    unit: str
    beside: str = ""
    ratio: float | None = None


@dataclass(frozen=True)
class SpeedSpec:
    """How long to measure, and with what.

    Attributes:
        seconds: for each figure.
        threads: that compute.
        height: of the picture, pixels.
        width: of the picture, pixels.
    """

    seconds: float = 1.0
    threads: int = 0
    height: int = 250
    width: int = 400

    @property
    def used(self) -> int:
        """Threads that compute; as many as there are where none are named."""
        return self.threads or available_cpus()


Work = Callable[[], object]


def median_laps(works: Mapping[str, Work], seconds: float) -> dict[str, float]:
    """Let works take turns, and return the median seconds of each.

    Each runs once beforehand, to compile and warm up; then all in turn until each had its time.

    Example:
        >>> sorted(median_laps({"a": lambda: None, "b": lambda: None}, seconds=0.01))
        ['a', 'b']
    """
    laps: dict[str, list[float]] = {name: [] for name in works}
    for work in works.values():
        work()
    start = time.perf_counter()
    while (
        time.perf_counter() - start < seconds * len(works)
        or min(map(len, laps.values())) < LEAST_LAPS
    ):
        for name, work in works.items():
            begin = time.perf_counter()
            work()
            laps[name].append(time.perf_counter() - begin)
    return {name: float(np.median(each)) for name, each in laps.items()}


def measure_counting(spec: SpeedSpec) -> list[SpeedFigure]:
    """Packed planes to counts against copying their bytes; one thread."""
    row_bytes = -(-spec.width // 8)
    packed = np.random.default_rng(0).integers(
        0, 256, (PLANES, spec.height * row_bytes), dtype=np.uint8
    )
    copy = np.empty_like(packed)
    works: dict[str, Work] = {"memcpy": lambda: np.copyto(copy, packed)}
    for planes in (32, 64, 256):
        size = (PLANES // planes, spec.height, row_bytes, spec.width)
        works[f"counts, {planes} planes"] = partial(count_rows, packed, *size, flip_ud=True)
    laps = median_laps(works, spec.seconds)
    copying = laps.pop("memcpy")
    figures = [SpeedFigure("decode", "memcpy", packed.nbytes / copying / 1e9, "GB/s")]
    return figures + [
        SpeedFigure("decode", name, PLANES / lap, "planes/s", "memcpy", copying / lap)
        for name, lap in laps.items()
    ]


def measure_arithmetic(spec: SpeedSpec) -> dict[str, SpeedFigure]:
    """Matrix products, the ceiling of what a network can compute: by precision."""
    figures = {}
    torch.set_num_threads(spec.used)
    for name, dtype in (("f32", torch.float32), ("bf16", torch.bfloat16)):
        one, other = (torch.rand(MATRIX, MATRIX, dtype=dtype) for _ in range(2))
        with torch.inference_mode():
            lap = median_laps({name: partial(torch.mm, one, other)}, spec.seconds)[name]
        speed = 2 * MATRIX**3 / lap / 1e9
        figures[name] = SpeedFigure("arithmetic", f"matrix product {name}", speed, "GFLOP/s")
    return figures


def measure_inference(
    name: str, network: SpikingDetector, ceiling: SpeedFigure, spec: SpeedSpec
) -> list[SpeedFigure]:
    """One window from counts to logits, in every runtime, and in eager SpikingJelly.

    Args:
        name: of the network.
        network: in evaluation mode.
        ceiling: of float32 arithmetic.
        spec: how long.

    Returns:
        Milliseconds for each, as many times as fast as eager SpikingJelly with the same weights;
        then arithmetic done per second in float32, as a share of the ceiling.
    """
    torch.set_num_threads(spec.used)
    encoding = network.spec.encoding
    counts = _random_counts(network, spec)
    peer = to_multi_step(network).eval()

    def run_peer() -> object:
        with torch.inference_mode():
            return peer(encode(counts, encoding))

    works: dict[str, Work] = {"SpikingJelly": run_peer}
    for label, execution in executions(spec.used, streams=1).items():
        runtime = build_runtime(network, execution)
        works[label] = partial(runtime.run, counts, encoding.planes_per_count)
    laps = median_laps(works, spec.seconds)
    slowest = laps["SpikingJelly"]
    figures = [
        SpeedFigure(f"inference, {name}", label, lap * 1e3, "ms", "SpikingJelly", slowest / lap)
        for label, lap in laps.items()
    ]
    operations = 2 * encoding.steps * count_macs(network, spec.height, spec.width)
    for label in ("torch f32", "openvino f32"):
        if label in laps:
            speed = operations / laps[label] / 1e9
            share = speed / ceiling.value
            figures.append(
                SpeedFigure(f"inference, {name}", label, speed, "GFLOP/s", ceiling.name, share)
            )
    return figures


def measure_side_by_side(
    networks: Mapping[str, SpikingDetector], spec: SpeedSpec
) -> list[SpeedFigure]:
    """One window from counts to logits, all networks by turns, in every runtime.

    A turn is several windows: the first of them finds its network's weights out of the cache.

    Args:
        networks: in evaluation mode, by name; the others are compared with the first.
        spec: how long.

    Returns:
        Milliseconds for each, and how many times as fast as the first.
    """
    torch.set_num_threads(spec.used)
    first = next(iter(networks))
    figures = []
    for label, execution in executions(spec.used, streams=1).items():
        works: dict[str, Work] = {}
        for name, network in networks.items():
            runtime, counts = build_runtime(network, execution), _random_counts(network, spec)
            planes = network.spec.encoding.planes_per_count
            works[name] = partial(_repeat, partial(runtime.run, counts, planes))
        laps = median_laps(works, spec.seconds)
        figures += [
            SpeedFigure(
                f"networks, {label}", name, lap / TURN * 1e3, "ms", first, laps[first] / lap
            )
            for name, lap in laps.items()
        ]
    return figures


def _repeat(work: Work) -> None:
    for _ in range(TURN):
        work()


def measure_stream(
    name: str, network: SpikingDetector, spec: SpeedSpec, rate_hz: float = 20_000.0
) -> list[SpeedFigure]:
    """A recording in memory, window by window without gaps, decoding and NMS included.

    Returns:
        Real-time factors: seconds of the sensor over seconds of the clock.
    """
    sensor = Sensor(spec.width, spec.height, rate_hz)
    generator = np.random.default_rng(0)
    planes = (generator.random((2048, spec.height, spec.width), np.float32) < 0.3).astype(np.uint8)
    recording = SpikeStream.from_planes(planes, sensor)
    figures = []
    for label, execution in executions(spec.used).items():
        detector = Detector(
            build_runtime(network, execution), network.spec, name, "", count_params(network)
        )

        def stream(detector: Detector = detector) -> int:
            return sum(len(found) for _, found in detector.stream(recording))

        lap = median_laps({label: stream}, spec.seconds)[label]
        windows = len(planes) // network.spec.window
        factor = windows * network.spec.window / rate_hz / lap
        figures.append(
            SpeedFigure(f"stream, {name}", label, factor, "x real time", "sensor", factor)
        )
    return figures


def executions(threads: int, streams: int = 0) -> dict[str, Execution]:
    """Every way of running a network that this machine has, by name."""
    found = {"torch f32": Execution("torch")}
    if has_openvino():
        precisions: tuple[Precision, ...] = ("f32", "bf16", "int8")
        for precision in precisions if has_bf16() else ("f32", "int8"):
            found[f"openvino {precision}"] = Execution("openvino", precision, threads, streams)
    return found


def _random_counts(network: SpikingDetector, spec: SpeedSpec) -> np.ndarray:
    encoding = network.spec.encoding
    shape: Sequence[int] = (encoding.bins, spec.height, spec.width)
    drawn = np.random.default_rng(0).binomial(encoding.planes_per_count, 0.3, shape)
    return drawn.astype(np.uint16)
