"""Counts of one window come in, raw predictions as arrays go out: where the network runs."""

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from vidar_det.detector.source import NetworkSource


class CellArrays(NamedTuple):
    """Raw predictions of one window.

    Attributes:
        scores: ``(N, classes) float32`` logits.
        distances: ``(N, 4 * reg_max) float32`` logits.
        padded: height and width of the network's input, pixels.
    """

    scores: NDArray[np.float32]
    distances: NDArray[np.float32]
    padded: tuple[int, int]


@dataclass(frozen=True)
class RuntimeRecord:
    """What a network runs in, in words.

    Attributes:
        name: and version.
        precision: of weights and arithmetic.
        device: what it runs on.
        threads: CPU threads that compute.
    """

    name: str
    precision: str
    device: str
    threads: int


class Runtime(Protocol):
    """Runs one network.

    Attributes:
        source: the network it runs.
        side_by_side: how many threads should call it at once to keep the machine busy.
    """

    source: NetworkSource
    side_by_side: int

    @property
    def warnings(self) -> tuple[str, ...]:
        """Where it does not run as it was asked to, in words; it may know after its first run."""
        ...

    def describe(self) -> RuntimeRecord:
        """Say what the network runs in."""
        ...

    def run(self, counts: NDArray[np.integer[Any]], planes_per_count: int) -> CellArrays:
        """Predict one window from its ``(S * parts, H, W)`` counts."""
        ...
