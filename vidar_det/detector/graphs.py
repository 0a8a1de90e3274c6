"""A network comes in; its OpenVINO graph goes out, kept on disk where that can be written."""

import contextlib
import hashlib
import tempfile
import warnings
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from vidar_det.detector.deployment import DeployedNetwork, rate_table
from vidar_det.detector.network import SpikingDetector
from vidar_det.detector.spec import EncodingSpec
from vidar_det.errors import ConfigError

try:
    import openvino  # type: ignore[import-untyped]  # it ships no types
except ImportError:  # whoever needs it says what to do
    openvino = None
else:
    # The first look at any tensor's data fills a table inside a C++ lock, and runs Python in there:
    # two threads that look first together wait for each other for ever. An import has one thread.
    FIRST_LOOK = openvino.Tensor(np.zeros(1, np.float32)).data

GRAPH_VERSION = 1
"""Goes up when the graph of the same network changes: what is cached is then made anew."""


def has_openvino() -> bool:
    """Whether OpenVINO can be used here."""
    return openvino is not None


def has_bf16() -> bool:
    """Whether this CPU computes in bfloat16."""
    capabilities = "OPTIMIZATION_CAPABILITIES"
    return has_openvino() and "BF16" in openvino_core().get_property("CPU", capabilities)


class GraphCache:
    """Keeps what was translated, and lets OpenVINO keep what it compiled.

    Nothing but time is lost where a folder cannot be written or a file is damaged: graphs are
    translated again.

    Args:
        folder: where; it is made as needed.

    Attributes:
        warnings: what its owner should know, in words.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.warnings: tuple[str, ...] = ()

    def open(self, network: SpikingDetector, has_bytes: bool = False) -> Any:
        """Read a network's graph; translate it where there is none, or none that can be read.

        Args:
            network: the network; it stays as it is.
            has_bytes: round its weights to 8 bits.

        Returns:
            An ``openvino.Model``.

        Raises:
            ConfigError: the network cannot be translated.
        """
        version = openvino.__version__.split("-")[0]
        kind = "-int8" if has_bytes else ""
        name = f"{network_digest(network)[:16]}{kind}-v{GRAPH_VERSION}-{version}.xml"
        path = self._folder / "graphs" / name
        kept = _read(path)
        if kept is not None:
            return kept
        model = translate(network, has_bytes)
        try:
            _keep(model, path)
        except (OSError, RuntimeError) as error:  # OpenVINO's own is a RuntimeError
            self._warn(error)
        return _read(path) or model

    def options(self) -> dict[str, str]:
        """What tells OpenVINO where to keep what it compiles; nothing where it cannot."""
        folder = self._folder / "compiled"
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            self._warn(error)
            return {}
        return {"CACHE_DIR": str(folder)}

    def _warn(self, error: Exception) -> None:
        reason = getattr(error, "strerror", None) or str(error).partition("\n")[0]
        told = f"{self._folder}: graphs cannot be kept ({reason}), so that each start takes longer"
        self.warnings = self.warnings or (told,)


def translate(network: SpikingDetector, has_bytes: bool = False) -> Any:
    """Translate a network into an ``openvino.Model``, for pictures of any size.

    Args:
        network: the network; it stays as it is.
        has_bytes: round its weights to 8 bits.

    Raises:
        ConfigError: the network cannot be translated, or 8 bits do not fit it.
    """
    return convert(DeployedNetwork(network, has_bytes), network.spec.encoding)


def convert(module: nn.Module, encoding: EncodingSpec) -> Any:
    """Translate what takes the inputs of ``DeployedNetwork`` into an ``openvino.Model``.

    Raises:
        ConfigError: OpenVINO does not know an operation of it.
    """
    example = (
        torch.zeros(encoding.bins, 64, 64, dtype=torch.int32),
        torch.from_numpy(rate_table(encoding, encoding.planes_per_count)),
    )
    try:
        with warnings.catch_warnings():
            # the neuron checks the number of its rows, fixed here; and tracing is deprecated
            warnings.simplefilter("ignore")
            traced = torch.jit.trace(module, example, check_trace=False)  # type: ignore[no-untyped-call]  # untyped in torch
            return openvino.convert_model(traced, example_input=example)
    except Exception as error:  # its failures have no class in common
        reason = str(error).partition("\n")[0]
        raise ConfigError(f"openvino: cannot translate this network ({reason})") from error


def network_digest(network: SpikingDetector) -> str:
    """Name a network by its spec and weights, sha256."""
    digest = hashlib.sha256(repr(network.spec).encode())
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(tensor.cpu().numpy()).tobytes())
    return digest.hexdigest()


@lru_cache(maxsize=1)
def openvino_core() -> Any:
    """OpenVINO's one entrance; it takes a while to open."""
    return openvino.Core()


def _read(path: Path) -> Any | None:
    """Read a graph that was kept; what cannot be read is removed."""
    try:
        return openvino_core().read_model(path) if path.exists() else None
    except (OSError, RuntimeError):
        for damaged in (path, path.with_suffix(".bin")):
            with contextlib.suppress(OSError):
                damaged.unlink(missing_ok=True)
        return None


def _keep(model: Any, path: Path) -> None:
    """Write a graph, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".", dir=path.parent) as made:
        partial = Path(made) / path.name
        openvino.save_model(model, partial, compress_to_fp16=False)
        partial.with_suffix(".bin").replace(path.with_suffix(".bin"))
        partial.replace(path)  # last: who finds it finds both
