"""Does the network look at more windows a second when they come in batches?

    python -m benchmarks.batches [--rounds 5]

OpenVINO on two threads: one window at a time in two streams, as the detector runs it, beside
batches of windows, by turns.
"""

import argparse
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import openvino
import torch
from torch import Tensor, nn

from vidar_det.detector.checkpoint import load_network
from vidar_det.detector.folding import fold
from vidar_det.detector.weights_file import find_weights

SIZE, WINDOWS, THREADS = (256, 416), 32, 2
WAYS = ((1, 2), (1, 1), (2, 1), (4, 1), (8, 1), (4, 2))  # windows in a batch, streams


class Plain(nn.Module):
    """Tensors in, tensors out."""

    def __init__(self) -> None:
        super().__init__()
        self.network = fold(load_network(find_weights("nano"))).eval()

    def forward(self, rates: Tensor) -> tuple[Tensor, Tensor]:
        raw = self.network(rates)
        return raw.scores, raw.distances


def compile_way(module: Plain, batch: int, streams: int) -> tuple[list[Any], np.ndarray[Any, Any]]:
    """Compile for batches of one size; give requests and an input."""
    encoding = module.network.spec.encoding
    shape = (encoding.steps * batch, encoding.parts, *SIZE)
    example = torch.rand(shape, generator=torch.Generator().manual_seed(0)) * 0.3
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(module, example, check_trace=False)
        model = openvino.convert_model(traced, example_input=example)
    model.reshape(list(shape))
    options = {
        "INFERENCE_PRECISION_HINT": "f32",
        "NUM_STREAMS": streams,
        "INFERENCE_NUM_THREADS": THREADS,
    }
    compiled = openvino.Core().compile_model(model, "CPU", options)
    return [compiled.create_infer_request() for _ in range(streams)], example.numpy()


def windows_per_s(requests: list[Any], rates: np.ndarray[Any, Any], batch: int) -> float:
    """Look at some windows, a thread for each stream."""
    turns = WINDOWS // batch // len(requests)
    begin = time.perf_counter()
    with ThreadPoolExecutor(len(requests)) as pool:
        list(pool.map(lambda one: [one.infer([rates]) for _ in range(turns)], requests))
    return WINDOWS / (time.perf_counter() - begin)


def main() -> None:
    """Measure all ways by turns."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    module = Plain()
    ready = {way: compile_way(module, *way) for way in WAYS}
    for (batch, _), way in ready.items():
        windows_per_s(*way, batch)
    rates = {way: [] for way in WAYS}
    for _ in range(options.rounds):
        for way, compiled in ready.items():
            rates[way].append(windows_per_s(*compiled, way[0]))
    for (batch, streams), found in rates.items():
        print(
            f"batch {batch}, {streams} streams: median {np.median(found):.0f}, "
            f"best {max(found):.0f} windows/s"
        )


if __name__ == "__main__":
    main()
