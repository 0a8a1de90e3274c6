"""Networks come in; how fast each runtime takes one window from counts to logits goes out."""

import time
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from vidar_det.detector.encoding import encode
from vidar_det.detector.execution import build_runtime
from vidar_det.detector.network import SpikingDetector
from vidar_det.detector.operations import count_operations
from vidar_det.detector.torch_runtime import set_torch_threads
from vidar_det.evaluation.peer_process import peer_work, spinning_peer
from vidar_det.evaluation.speed import SpeedFigure, SpeedSpec, Work, executions, median_laps

MATRIX = 1024
"""Side of the matrices whose product is the ceiling of arithmetic."""
PRODUCTS = {"f32": torch.float32, "bf16": torch.bfloat16}
PEERS = ("SpikingJelly", "SpikingJelly, channels last", "SpikingJelly, spinning")
REST_S = 0.02
"""After the process whose threads spin: they go on for so long, and would slow what is next."""
TURN = 10
"""Windows that one network has before the next."""


def measure_inference(name: str, network: SpikingDetector, spec: SpeedSpec) -> list[SpeedFigure]:
    """One window in every runtime and in eager SpikingJelly; matrix products take turns with them.

    Args:
        name: of the network.
        network: in evaluation mode.
        spec: how long, and with what.

    Returns:
        Milliseconds for each, as many times as fast as the fastest eager SpikingJelly with the same
        weights; then the products' arithmetic per second and that of each runtime, as a share of
        the product in its own precision. int8 stands beside none.
    """
    set_torch_threads(spec.used)
    counts = _random_counts(network, spec)
    works = _products()
    works[PEERS[0]] = peer_work(network, counts, is_channels_last=False)
    works[PEERS[1]] = peer_work(network, counts, is_channels_last=True)
    for label, execution in executions(spec, streams=1).items():
        runtime = build_runtime(network, execution)
        planes = network.spec.encoding.planes_per_count
        works[label] = partial(runtime.run, counts, planes)
    with spinning_peer(network, counts, spec.used) as spin:
        works |= {PEERS[2]: spin, "rest": partial(time.sleep, REST_S)}
        laps = median_laps(works, spec.seconds)
    speeds = {precision: 2 * MATRIX**3 / laps.pop(_product(precision)) for precision in PRODUCTS}
    del laps["rest"]
    best = min(PEERS, key=lambda peer: laps[peer])
    group = f"inference, {name}"
    return [
        *(
            SpeedFigure(group, n, lap * 1e3, "ms", best, laps[best] / lap)
            for n, lap in laps.items()
        ),
        *_arithmetic(group, laps, speeds, _macs(network, counts)),
    ]


def _arithmetic(
    group: str, laps: Mapping[str, float], products: Mapping[str, float], macs: int
) -> list[SpeedFigure]:
    """Arithmetic done per second, beside the product in the same precision."""
    unit = "GFLOP/s"
    figures = [SpeedFigure(group, _product(p), s / 1e9, unit) for p, s in products.items()]
    for label, lap in laps.items():
        precision = label.split(" ")[-1]
        if precision in products:
            speed = 2 * macs / lap
            share = speed / products[precision]
            figures.append(SpeedFigure(group, label, speed / 1e9, unit, _product(precision), share))
    return figures


def measure_side_by_side(
    networks: Mapping[str, SpikingDetector], spec: SpeedSpec
) -> list[SpeedFigure]:
    """One window from counts to logits, all networks by turns, in every runtime.

    A turn is several windows: the first of them finds its network's weights out of the cache.

    Args:
        networks: in evaluation mode, by name; the others are compared with the first.
        spec: how long, and with what.

    Returns:
        Milliseconds for each, and how many times as fast as the first.
    """
    first = next(iter(networks))
    figures = []
    for label, execution in executions(spec, streams=1).items():
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


def _product(precision: str) -> str:
    return f"matrix product {precision}"


def _products() -> dict[str, Work]:
    """Matrix products, the ceiling of what a network can compute."""
    works: dict[str, Work] = {}
    for precision, dtype in PRODUCTS.items():
        one, other = (torch.rand(MATRIX, MATRIX, dtype=dtype) for _ in range(2))
        works[_product(precision)] = partial(torch.mm, one, other)
    return works


def _macs(network: SpikingDetector, counts: NDArray[np.integer[Any]]) -> int:
    """Dense multiply-accumulates of a window: every convolution S times, read-outs once."""
    counted = count_operations(network, [encode(counts, network.spec.encoding)])
    return sum(layer.macs for layer in counted.convolutions)


def _random_counts(network: SpikingDetector, spec: SpeedSpec) -> NDArray[np.integer[Any]]:
    encoding = network.spec.encoding
    shape = (encoding.bins, spec.height, spec.width)
    drawn = np.random.default_rng(0).binomial(encoding.planes_per_count, 0.3, shape)
    return drawn.astype(np.uint16)
