"""Counts of one window come in, raw predictions go out: in PyTorch, on any device of its."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from vidar_det.detector.encoding import encode
from vidar_det.detector.inputs import padded_size
from vidar_det.detector.network import SpikingDetector
from vidar_det.detector.runtime import CellArrays, RuntimeRecord
from vidar_det.detector.source import NetworkSource
from vidar_det.detector.threads import available_cpus
from vidar_det.errors import ConfigError


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
        self.source = NetworkSource.of(self.network)
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


def check_device(device: str) -> None:
    """Refuse a device that cannot be used.

    Raises:
        ConfigError: PyTorch does not know it, or cannot reach it.

    Example:
        >>> check_device("cpu")
    """
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(f"device {device!r}: cannot be used ({reason})") from error
