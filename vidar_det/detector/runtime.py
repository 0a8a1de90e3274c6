"""Counts of one window come in, raw predictions as arrays go out: where the network runs."""

from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from vidar_det.detector.encoding import encode, padded_size
from vidar_det.detector.network import SpikingDetector


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


class Runtime(Protocol):
    """Runs one network."""

    def run(self, counts: NDArray[np.integer[Any]], planes_per_count: int) -> CellArrays:
        """Predict one window from its ``(S * parts, H, W)`` counts."""
        ...


class TorchRuntime:
    """Runs the network as it is, in PyTorch.

    Args:
        network: in evaluation mode.
        device: ``cpu``, ``cuda`` or another torch device.

    Example:
        >>> from vidar_det.detector.network import build_detector
        >>> from vidar_det.detector.spec import size_spec
        >>> runtime = TorchRuntime(build_detector(size_spec("nano")).eval())
        >>> runtime.run(np.zeros((4, 250, 400), np.uint16), planes_per_count=32).scores.shape
        (2184, 3)
    """

    def __init__(self, network: SpikingDetector, device: str = "cpu") -> None:
        self.device = torch.device(device)
        self.network = network.to(self.device)

    @torch.inference_mode()
    def run(self, counts: NDArray[np.integer[Any]], planes_per_count: int) -> CellArrays:
        """See ``Runtime``."""
        inputs = encode(counts, self.network.spec.encoding, planes_per_count)
        scores, distances = self.network(inputs.to(self.device))
        return CellArrays(
            scores[0].cpu().numpy(), distances[0].cpu().numpy(), padded_size(*counts.shape[-2:])
        )
