"""A network and a user's wishes come in; what runs the network goes out."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from vidar_det.detector.graphs import has_openvino
from vidar_det.detector.openvino_runtime import OpenVinoRuntime, OpenVinoSettings, Precision
from vidar_det.detector.runtime import Runtime
from vidar_det.detector.source import NetworkSource
from vidar_det.errors import ConfigError

if TYPE_CHECKING:
    from vidar_det.detector.network import SpikingDetector

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


def build_runtime(
    network: "SpikingDetector | NetworkSource", execution: Execution | None = None
) -> Runtime:
    """Make what runs a network.

    Args:
        network: in evaluation mode, or where it is stored.
        execution: where and how.

    Returns:
        The runtime.

    Raises:
        ConfigError: OpenVINO is asked for and not installed, or the device cannot be used.
        CheckpointError: a stored network cannot be read.

    Example:
        >>> from vidar_det.detector.network import build_detector
        >>> from vidar_det.detector.spec import size_spec
        >>> network = build_detector(size_spec("nano")).eval()
        >>> type(build_runtime(network, Execution("torch"))).__name__
        'TorchRuntime'
    """
    execution = execution or Execution()
    source = network if isinstance(network, NetworkSource) else NetworkSource.of(network)
    if not execution.uses_openvino:
        from vidar_det.detector.torch_runtime import TorchRuntime, check_device, set_torch_threads

        check_device(execution.device)
        set_torch_threads(execution.threads)
        return TorchRuntime(source.network, execution.device)
    settings = OpenVinoSettings(execution.precision, execution.threads, execution.streams)
    return OpenVinoRuntime(source, settings)
