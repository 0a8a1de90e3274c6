"""A network and a window come in; eager SpikingJelly runs it in a process of its own, at its best.

``vidar-det`` has torch's threads sleep while they wait for each other, which suits a machine with
other work. Alone, threads that spin may be quicker: a peer must not be held back by our choice.
"""

import contextlib
import multiprocessing
import os
from collections.abc import Iterator
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from vidar_det.detector.encoding import encode
from vidar_det.detector.network import SpikingDetector
from vidar_det.evaluation.peer import to_multi_step
from vidar_det.evaluation.speed import Work

WAITING = "OMP_WAIT_POLICY"


def peer_work(
    network: SpikingDetector, counts: NDArray[np.integer[Any]], is_channels_last: bool
) -> Work:
    """Build the peer; what comes back runs it once, from counts to logits.

    Example:
        >>> from vidar_det.detector.network import build_detector
        >>> from vidar_det.detector.spec import size_spec
        >>> network = build_detector(size_spec("nano")).eval()
        >>> peer_work(network, np.zeros((4, 64, 64), np.uint16), True)().scores.shape
        torch.Size([1, 84, 3])
    """
    peer = to_multi_step(network, is_channels_last).eval()

    def run() -> object:
        with torch.inference_mode():
            return peer(encode(counts, network.spec.encoding))

    return run


@contextlib.contextmanager
def spinning_peer(
    network: SpikingDetector, counts: NDArray[np.integer[Any]], threads: int
) -> Iterator[Work]:
    """Hold the peer in a process whose threads spin; what is lent runs it once, and waits."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(network, counts, threads, theirs), daemon=True)
    kept = os.environ.pop(WAITING, None)  # read once, when the process loads torch
    try:
        process.start()
    finally:
        if kept is not None:
            os.environ[WAITING] = kept
    theirs.close()

    def run() -> None:
        ours.send(True)
        ours.recv()

    try:
        yield run
    finally:
        with contextlib.suppress(BrokenPipeError):
            ours.send(False)
        process.join()


def _serve(
    network: SpikingDetector, counts: NDArray[np.integer[Any]], threads: int, told: Connection
) -> None:
    torch.set_num_threads(threads)
    work = peer_work(network, counts, is_channels_last=True)
    while told.recv():
        work()
        told.send(None)
