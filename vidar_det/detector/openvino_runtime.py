"""A network comes in; OpenVINO runs it on a CPU: the quickest way there."""

import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import platformdirs
from numpy.typing import NDArray

from vidar_det.detector import graphs
from vidar_det.detector.inputs import pad_counts, rate_table
from vidar_det.detector.runtime import CellArrays, RuntimeRecord
from vidar_det.detector.source import NetworkSource
from vidar_det.detector.spec import check_quantisable
from vidar_det.detector.threads import available_cpus
from vidar_det.errors import ConfigError

Precision = Literal["f32", "bf16", "int8"]


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


class OpenVinoRuntime:
    """Runs a network in OpenVINO on the CPU; any number of threads may call it at once.

    Args:
        source: the network; it is read only where its graph was not kept.
        settings: how.

    Attributes:
        precision: the precision it really runs in.
        threads: all threads together.
        side_by_side: windows that it runs at once.

    Raises:
        ConfigError: OpenVINO is not installed, or 8 bits do not fit the network.
        CheckpointError: the network has to be read, and cannot be.

    Example:
        >>> from vidar_det.detector.network import build_detector
        >>> from vidar_det.detector.spec import size_spec
        >>> source = NetworkSource.of(build_detector(size_spec("nano")))
        >>> runtime = OpenVinoRuntime(source)  # doctest: +SKIP
        >>> counts = np.zeros((4, 250, 400), np.uint16)
        >>> runtime.run(counts, planes_per_count=32).scores.shape  # doctest: +SKIP
        (2184, 3)
    """

    def __init__(self, source: NetworkSource, settings: OpenVinoSettings | None = None) -> None:
        if not graphs.has_openvino():
            raise ConfigError("runtime 'openvino': not installed; pip install openvino")
        self.source, self.settings = source, settings or OpenVinoSettings()
        self.threads = self.settings.threads or available_cpus()
        self.side_by_side = self.settings.streams or self.threads
        fits = self.settings.precision != "bf16" or graphs.has_bf16()
        self.precision: Precision = self.settings.precision if fits else "f32"
        if self.precision == "int8":
            check_quantisable(source.spec)
        self._cache = graphs.GraphCache(self.settings.folder)
        if not self._cache.has(self._graph_name):
            _ = source.network  # what is wrong with it is told here and not on the way
        self._compiled: dict[tuple[int, ...], Any] = {}
        self._tables: dict[int, NDArray[np.float32]] = {}
        self._lock = threading.Lock()
        self._idle: dict[tuple[int, ...], list[Any]] = {}  # requests that wait, by size of picture

    @property
    def warnings(self) -> tuple[str, ...]:
        """See ``Runtime``."""
        asked = self.settings.precision
        other = f"precision {asked!r}: this CPU has none, {self.precision!r} was computed instead"
        return (*((other,) if self.precision != asked else ()), *self._cache.warnings)

    def describe(self) -> RuntimeRecord:
        """See ``Runtime``."""
        core = graphs.openvino_core()
        return RuntimeRecord(
            name=f"OpenVINO {core.get_versions('CPU')['CPU'].build_number.split('-')[0]}",
            precision={"f32": "float32", "bf16": "bfloat16"}.get(self.precision, self.precision),
            device=f"CPU, {core.get_property('CPU', 'FULL_DEVICE_NAME')}",
            threads=self.threads,
        )

    def run(self, counts: NDArray[np.integer[Any]], planes_per_count: int) -> CellArrays:
        """See ``Runtime``."""
        padded = pad_counts(counts)
        if planes_per_count not in self._tables:
            encoding = self.source.spec.encoding
            self._tables[planes_per_count] = rate_table(encoding, planes_per_count)
        idle = self._idle.setdefault(padded.shape, [])
        try:
            request = idle.pop()
        except IndexError:  # asked for, not looked up: another thread may take the last one
            request = self._request(padded.shape)
        request.infer([padded, self._tables[planes_per_count]])
        scores, distances = (request.get_output_tensor(index).data.copy() for index in (0, 1))
        idle.append(request)
        return CellArrays(scores, distances, padded.shape[1:])

    def _request(self, shape: tuple[int, ...]) -> Any:
        """Make one more request: threads come and go, what they asked with is kept."""
        with self._lock:
            if shape not in self._compiled:
                self._compiled[shape] = self._compile(shape)
        return self._compiled[shape].create_infer_request()

    def _compile(self, shape: tuple[int, ...]) -> Any:
        model = self._cache.open(self._graph_name, self._translate)
        model.reshape({0: list(shape), 1: [-1]})
        options = {
            "INFERENCE_PRECISION_HINT": "bf16" if self.precision == "bf16" else "f32",
            "NUM_STREAMS": self.side_by_side,
            "INFERENCE_NUM_THREADS": self.threads,
            **self._cache.options(),
        }
        return graphs.openvino_core().compile_model(model, "CPU", options)

    @property
    def _graph_name(self) -> str:
        return self.source.digest[:16] + ("-int8" if self.precision == "int8" else "")

    def _translate(self) -> Any:
        from vidar_det.detector.translation import translate  # which needs torch

        return translate(self.source.network, self.precision == "int8")
