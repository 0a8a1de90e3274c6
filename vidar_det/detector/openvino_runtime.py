"""A network comes in; OpenVINO runs it on a CPU: the quickest way there.

The graph is translated once and kept, with what OpenVINO compiled, in a cache folder; later starts
take it from there.
"""

import hashlib
import os
import threading
import warnings
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import platformdirs
import torch
from numpy.typing import NDArray

from vidar_det.detector.deployment import DeployedNetwork, pad_counts, rate_table
from vidar_det.detector.network import SpikingDetector
from vidar_det.detector.runtime import CellArrays, RuntimeRecord
from vidar_det.detector.threads import available_cpus
from vidar_det.errors import ConfigError, OutputError

try:
    import openvino  # type: ignore[import-untyped]  # it ships no types
except ImportError:  # the message below says what to do
    openvino = None
else:
    # The first look at any tensor's data fills a table inside a C++ lock, and runs Python in there:
    # two threads that look first together wait for each other for ever. An import has one thread.
    FIRST_LOOK = openvino.Tensor(np.zeros(1, np.float32)).data

Precision = Literal["f32", "bf16", "int8"]
GRAPH_VERSION = 1
"""Goes up when the graph of the same network changes: what is cached is then made anew."""


@dataclass(frozen=True)
class OpenVinoSettings:
    """How OpenVINO runs.

    Attributes:
        precision: of the arithmetic; bf16 falls back to f32 where the CPU has none. int8 rounds
            the weights, and computes the rest in f32.
        threads: all threads together; 0 = as many as this process may keep busy.
        streams: windows that run side by side, each on its share of the threads; 0 = one a thread,
            which gets most windows done. 1 answers a single window soonest.
        cache: folder of translated and compiled graphs; None = the user's cache folder, or what
            ``VIDAR_CACHE_DIR`` names.
    """

    precision: Precision = "f32"
    threads: int = 0
    streams: int = 0
    cache: Path | None = None

    @property
    def folder(self) -> Path:
        """The cache folder."""
        named = self.cache or os.environ.get("VIDAR_CACHE_DIR")
        return Path(named) if named else platformdirs.user_cache_path("vidar-det")


def has_openvino() -> bool:
    """Whether OpenVINO can be used here."""
    return openvino is not None


def has_bf16() -> bool:
    """Whether this CPU computes in bfloat16."""
    return has_openvino() and "BF16" in _core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


class OpenVinoRuntime:
    """Runs a network in OpenVINO on the CPU; any number of threads may call it at once.

    Args:
        network: the network; it stays as it is.
        settings: how.

    Attributes:
        precision: the precision it really runs in.
        threads: all threads together.
        side_by_side: windows that it runs at once.

    Raises:
        ConfigError: OpenVINO is not installed.

    Example:
        >>> from vidar_det.detector.network import build_detector
        >>> from vidar_det.detector.spec import size_spec
        >>> runtime = OpenVinoRuntime(build_detector(size_spec("nano")))  # doctest: +SKIP
        >>> counts = np.zeros((4, 250, 400), np.uint16)
        >>> runtime.run(counts, planes_per_count=32).scores.shape  # doctest: +SKIP
        (2184, 3)
    """

    def __init__(self, network: SpikingDetector, settings: OpenVinoSettings | None = None) -> None:
        if openvino is None:
            raise ConfigError("runtime 'openvino': not installed; pip install openvino")
        self.network, self.settings = network, settings or OpenVinoSettings()
        self.threads = self.settings.threads or available_cpus()
        self.side_by_side = self.settings.streams or self.threads
        fits = self.settings.precision != "bf16" or has_bf16()
        self.precision: Precision = self.settings.precision if fits else "f32"
        self._digest = network_digest(network)
        self._compiled: dict[tuple[int, ...], Any] = {}
        self._tables: dict[int, NDArray[np.float32]] = {}
        self._lock = threading.Lock()
        self._local = threading.local()

    def describe(self) -> RuntimeRecord:
        """See ``Runtime``."""
        core = _core()
        return RuntimeRecord(
            name=f"OpenVINO {openvino.__version__.split('-')[0]}",
            precision={"f32": "float32", "bf16": "bfloat16"}.get(self.precision, self.precision),
            device=f"CPU, {core.get_property('CPU', 'FULL_DEVICE_NAME')}",
            threads=self.threads,
        )

    def run(self, counts: NDArray[np.integer[Any]], planes_per_count: int) -> CellArrays:
        """See ``Runtime``."""
        padded = pad_counts(counts)
        if planes_per_count not in self._tables:
            encoding = self.network.spec.encoding
            self._tables[planes_per_count] = rate_table(encoding, planes_per_count)
        request = self._request(padded.shape)
        request.infer([padded, self._tables[planes_per_count]])
        scores, distances = (request.get_output_tensor(index).data.copy() for index in (0, 1))
        return CellArrays(scores, distances, padded.shape[1:])

    def _request(self, shape: tuple[int, ...]) -> Any:
        """Each thread has a request of its own for each size of picture."""
        requests: dict[tuple[int, ...], Any] = self._local.__dict__.setdefault("requests", {})
        if shape not in requests:
            with self._lock:
                if shape not in self._compiled:
                    self._compiled[shape] = self._compile(shape)
            requests[shape] = self._compiled[shape].create_infer_request()
        return requests[shape]

    def _compile(self, shape: tuple[int, ...]) -> Any:
        model = _core().read_model(self._translated())
        model.reshape({0: list(shape), 1: [-1]})
        options = {
            "INFERENCE_PRECISION_HINT": "bf16" if self.precision == "bf16" else "f32",
            "NUM_STREAMS": self.side_by_side,
            "INFERENCE_NUM_THREADS": self.threads,
            "CACHE_DIR": str(self.settings.folder / "compiled"),
        }
        return _core().compile_model(model, "CPU", options)

    def _translated(self) -> Path:
        """Return the graph's file; translate it where the cache has none."""
        version = openvino.__version__.split("-")[0]
        has_bytes = self.precision == "int8"
        kind = "-int8" if has_bytes else ""
        name = f"{self._digest[:16]}{kind}-v{GRAPH_VERSION}-{version}"
        path = self.settings.folder / "graphs" / f"{name}.xml"
        if not path.exists():
            model = translate(self.network, has_bytes)
            partial = path.with_name(f"{name}.{os.getpid()}.xml")
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                openvino.save_model(model, partial, compress_to_fp16=False)
                partial.with_suffix(".bin").replace(path.with_suffix(".bin"))
                partial.replace(path)  # last: who finds it finds both
            except OSError as error:
                raise OutputError(
                    f"{path}: cannot be written: {error.strerror or error}"
                ) from error
        return path


def translate(network: SpikingDetector, has_bytes: bool = False) -> Any:
    """Translate a network into an ``openvino.Model``, for pictures of any size.

    Args:
        network: the network; it stays as it is.
        has_bytes: round its weights to 8 bits.
    """
    encoding = network.spec.encoding
    example = (
        torch.zeros(encoding.bins, 64, 64, dtype=torch.int32),
        torch.from_numpy(rate_table(encoding, encoding.planes_per_count)),
    )
    with warnings.catch_warnings():
        # the neuron checks the number of its rows, which is fixed here; and tracing is deprecated
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(DeployedNetwork(network, has_bytes), example, check_trace=False)  # type: ignore[no-untyped-call]  # untyped in torch
        return openvino.convert_model(traced, example_input=example)


def network_digest(network: SpikingDetector) -> str:
    """Name a network by its spec and weights, sha256."""
    digest = hashlib.sha256(repr(network.spec).encode())
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(tensor.cpu().numpy()).tobytes())
    return digest.hexdigest()


@lru_cache(maxsize=1)
def _core() -> Any:
    return openvino.Core()
