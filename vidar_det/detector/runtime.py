"""Counts of one window come in, raw predictions as arrays go out: where the network runs."""

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from vidar_det.detector.encoding import encode, padded_size
from vidar_det.detector.network import SpikingDetector
from vidar_det.detector.threads import available_cpus


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
        network: what it runs, as it was trained.
        side_by_side: how many threads should call it at once to keep the machine busy.
    """

    network: SpikingDetector
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
        self.side_by_side = 1  # torch's own threads share the work of one window
        self.device = torch.device(device)
        self.network = network.to(self.device)
        self.warnings: tuple[str, ...] = ()

    def describe(self) -> RuntimeRecord:
        """See ``Runtime``."""
        is_cpu = self.device.type == "cpu"
        capability = torch.backends.cpu.get_cpu_capability()
        return RuntimeRecord(
            name=f"PyTorch {torch.__version__}",
            precision=str(next(self.network.parameters()).dtype).removeprefix("torch."),
            device=f"CPU, {capability}" if is_cpu else torch.cuda.get_device_name(self.device),
            threads=torch.get_num_threads(),
        )

    @torch.inference_mode()
    def run(self, counts: NDArray[np.integer[Any]], planes_per_count: int) -> CellArrays:
        """See ``Runtime``."""
        inputs = encode(counts, self.network.spec.encoding, planes_per_count)
        scores, distances = self.network(inputs.to(self.device))
        return CellArrays(
            scores[0].cpu().numpy(), distances[0].cpu().numpy(), padded_size(*counts.shape[-2:])
        )


def set_torch_threads(threads: int = 0) -> None:
    """Set how many threads PyTorch computes with, in the whole process.

    Args:
        threads: 0 = as many as it has, or as this process may keep busy where that is fewer.

    Example:
        >>> set_torch_threads()
        >>> torch.get_num_threads() <= available_cpus()
        True
    """
    torch.set_num_threads(threads or min(torch.get_num_threads(), available_cpus()))
