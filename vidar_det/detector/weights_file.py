"""A name comes in; a checkpoint's path and what its header says go out. No torch is needed here."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
from safetensors import SafetensorError

from vidar_det.config import did_you_mean
from vidar_det.detector.spec import DetectorSpec, read_spec
from vidar_det.errors import CheckpointError, ConfigError

FORMAT = "vidar-det/1"
WEIGHTS_FILE = "model.safetensors"
STATISTICS = ("running_mean", "running_var")
"""Tensors that are measured and not learned."""


@dataclass(frozen=True)
class Header:
    """What a checkpoint says of itself.

    Attributes:
        spec: the network's spec.
        version: free text that names the training run.
        shapes: shape of each tensor by name.
    """

    spec: DetectorSpec
    version: str
    shapes: Mapping[str, tuple[int, ...]]

    @property
    def params(self) -> int:
        """Learnable numbers."""
        return sum(
            math.prod(shape) for name, shape in self.shapes.items() if not name.endswith(STATISTICS)
        )


def read_header(path: Path) -> Header:
    """Read what a checkpoint says of itself, without its tensors.

    Args:
        path: a ``.safetensors`` file that ``save_checkpoint`` wrote.

    Raises:
        CheckpointError: the file is missing, is no checkpoint, or its spec is not understood.

    Example:
        >>> read_header(find_weights("nano")).params
        472889
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: no such checkpoint")
    try:
        with safetensors.safe_open(path, framework="np") as file:
            header = file.metadata() or {}
            shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118 - no mapping
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path}: no safetensors file ({error})") from error
    if header.get("format") != FORMAT:
        raise CheckpointError(f"{path}: format {header.get('format')!r}, wanted {FORMAT!r}")
    return Header(_header_spec(header, path), header.get("version", ""), shapes)


def find_weights(name: str) -> Path:
    """Resolve named weights, a folder or a file to a checkpoint file.

    Args:
        name: a path, or a name such as ``nano`` (``weights/NAME`` in the repository or in the
            installed package).

    Returns:
        The checkpoint's path.

    Raises:
        CheckpointError: there is no such file and no such name.

    Example:
        >>> find_weights("nano").name
        'model.safetensors'
    """
    given = Path(name)
    if given.is_file():
        return given
    if (given / WEIGHTS_FILE).is_file():
        return given / WEIGHTS_FILE
    for root in _weights_folders():
        if (root / name / WEIGHTS_FILE).is_file():
            return root / name / WEIGHTS_FILE
    hint = did_you_mean(name, named_weights())
    raise CheckpointError(f"weights {name!r}: no such file, folder or name{hint}")


def named_weights() -> list[str]:
    """List the names of the weights that come along.

    Example:
        >>> "nano" in named_weights()
        True
    """
    found = [path for root in _weights_folders() for path in root.glob(f"*/{WEIGHTS_FILE}")]
    return sorted({path.parent.name for path in found})


def _weights_folders() -> tuple[Path, Path]:
    package = Path(__file__).parent.parent
    return package / "weights", package.parent / "weights"


def _header_spec(header: Mapping[str, str], path: Path) -> DetectorSpec:
    try:
        mapping: dict[str, Any] = json.loads(header["spec"])
        return read_spec(mapping, f"{path} [spec]")
    except (KeyError, json.JSONDecodeError, ConfigError) as error:
        raise CheckpointError(f"{path}: its spec cannot be read ({error})") from error
