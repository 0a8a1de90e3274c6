"""A network that is read when somebody needs it. No torch is needed until then."""

import hashlib
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vidar_det.detector.spec import DetectorSpec

if TYPE_CHECKING:
    from vidar_det.detector.network import SpikingDetector


class NetworkSource:
    """What is known of a network, and a way to the network itself.

    A graph that was translated once runs without the network it was made of: a command that only
    predicts starts in half the time.

    Args:
        spec: of the network.
        digest: computes what tells it from all others.
        read: reads it.

    Attributes:
        spec: of the network.

    Example:
        >>> from vidar_det.detector.weights_file import find_weights, read_header
        >>> path = find_weights("nano")
        >>> source = NetworkSource.stored(path, read_header(path).spec)
        >>> source.spec.window, source.network.spec.window
        (128, 128)
    """

    def __init__(
        self,
        spec: DetectorSpec,
        digest: Callable[[], str],
        read: "Callable[[], SpikingDetector]",
    ) -> None:
        self.spec, self._digest, self._read = spec, digest, read

    @cached_property
    def digest(self) -> str:
        """Names spec and weights, hexadecimal."""
        return self._digest()

    @cached_property
    def network(self) -> "SpikingDetector":
        """The network, as it was trained.

        Raises:
            CheckpointError: its tensors cannot be read or do not fit its spec.
        """
        return self._read()

    @staticmethod
    def of(network: "SpikingDetector") -> "NetworkSource":
        """Wrap a network that is there already."""
        return NetworkSource(network.spec, lambda: network_digest(network), lambda: network)

    @staticmethod
    def stored(path: Path, spec: DetectorSpec) -> "NetworkSource":
        """Name a checkpoint, whose header has been read."""
        return NetworkSource(spec, lambda: _file_digest(path), lambda: _load(path))


def network_digest(network: "SpikingDetector") -> str:
    """Name a network by its spec and weights, sha256."""
    digest = hashlib.sha256(repr(network.spec).encode())
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(tensor.cpu().numpy()).tobytes())
    return digest.hexdigest()


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _load(path: Path) -> "SpikingDetector":
    from vidar_det.detector.checkpoint import load_network  # which needs torch

    return load_network(path)
