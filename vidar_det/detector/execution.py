"""A network and a user's wishes come in; what runs the network goes out."""

from dataclasses import dataclass
from typing import Literal

from vidar_det.detector.graphs import has_openvino
from vidar_det.detector.network import SpikingDetector
from vidar_det.detector.openvino_runtime import OpenVinoRuntime, OpenVinoSettings, Precision
from vidar_det.detector.runtime import Runtime, TorchRuntime, set_torch_threads
from vidar_det.errors import ConfigError

RuntimeName = Literal["auto", "torch", "openvino"]


@dataclass(frozen=True)
class Execution:
    """Where and how a network runs.

    Attributes:
        runtime: ``torch``, ``openvino`` (CPU only, faster there), or ``auto``: OpenVINO on a CPU
            where it is installed.
        precision: ``f32``; with OpenVINO also ``bf16`` and ``int8``, which find a little else.
        threads: 0 = as many as this process may keep busy; PyTorch's hold for the whole process.
        streams: windows that OpenVINO runs side by side, each on its share of the threads; 0 = one
            a thread. 1 answers a single window soonest.
        device: torch device.

    Raises:
        ConfigError: what was asked for does not go together.
    """

    runtime: RuntimeName = "auto"
    precision: Precision = "f32"
    threads: int = 0
    streams: int = 0
    device: str = "cpu"

    def __post_init__(self) -> None:
        on_cpu = self.device == "cpu"
        if self.runtime == "openvino" and not on_cpu:
            raise ConfigError(f"runtime 'openvino': found device {self.device!r}, wanted cpu")
        if self.precision != "f32" and (self.runtime == "torch" or not on_cpu):
            raise ConfigError(
                f"precision {self.precision!r}: found runtime {self.runtime!r} on {self.device!r}, "
                "wanted openvino on cpu"
            )

    @property
    def uses_openvino(self) -> bool:
        """Whether OpenVINO runs the network."""
        chosen = self.runtime == "auto" and self.device == "cpu" and has_openvino()
        return self.runtime == "openvino" or self.precision != "f32" or chosen


def build_runtime(network: SpikingDetector, execution: Execution | None = None) -> Runtime:
    """Make what runs a network.

    Args:
        network: in evaluation mode.
        execution: where and how.

    Returns:
        The runtime.

    Raises:
        ConfigError: OpenVINO is asked for and not installed.

    Example:
        >>> from vidar_det.detector.network import build_detector
        >>> from vidar_det.detector.spec import size_spec
        >>> network = build_detector(size_spec("nano")).eval()
        >>> type(build_runtime(network, Execution("torch"))).__name__
        'TorchRuntime'
    """
    execution = execution or Execution()
    if not execution.uses_openvino:
        set_torch_threads(execution.threads)
        return TorchRuntime(network, execution.device)
    settings = OpenVinoSettings(execution.precision, execution.threads, execution.streams)
    return OpenVinoRuntime(network, settings)
