"""A network goes out as one safetensors file, its whole spec inside, and comes back the same."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from vidar_det.config import did_you_mean
from vidar_det.detector.network import SpikingDetector, build_detector
from vidar_det.detector.spec import DetectorSpec, read_spec
from vidar_det.errors import CheckpointError, ConfigError
from vidar_det.outputs import atomic_path

FORMAT = "vidar-det/1"
WEIGHTS_FILE = "model.safetensors"


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint file holds.

    Attributes:
        spec: the network's spec.
        tensors: state of the network by name, float32.
        version: free text that names the training run.
    """

    spec: DetectorSpec
    tensors: Mapping[str, Tensor]
    version: str


def save_checkpoint(
    path: Path, network: SpikingDetector, version: str = "", dtype: torch.dtype = torch.float16
) -> None:
    """Write a network and its spec.

    Args:
        path: the file; replaced whole or not at all.
        network: what to store.
        version: free text that names the training run.
        dtype: how floating tensors are stored.

    Raises:
        OutputError: the file cannot be written.

    Example:
        >>> import tempfile
        >>> from vidar_det.detector.spec import size_spec
        >>> with tempfile.TemporaryDirectory() as home:
        ...     save_checkpoint(Path(home) / "model.safetensors", build_detector(size_spec("nano")))
        ...     load_network(Path(home) / "model.safetensors").spec.window
        128
    """
    tensors = {
        name: tensor.detach().cpu().to(dtype if tensor.is_floating_point() else tensor.dtype)
        for name, tensor in network.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    header = {
        "format": FORMAT,
        "spec": json.dumps(network.spec.to_mapping()),
        "version": version,
    }
    tensors = {name: tensor.contiguous() for name, tensor in tensors.items()}
    with atomic_path(path, overwrite=True) as partial:
        partial.write_bytes(safetensors.torch.save(tensors, metadata=header))


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint file.

    Args:
        path: a ``.safetensors`` file that ``save_checkpoint`` wrote.

    Returns:
        Spec and float32 tensors.

    Raises:
        CheckpointError: the file is missing, is no checkpoint, or its spec is not understood.

    Example:
        >>> read_checkpoint(find_weights("nano")).spec.classes
        ('person', 'vehicle', 'cycle')
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: no such checkpoint")
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            names = list(file.keys())
            tensors = {name: file.get_tensor(name).float() for name in names}
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path}: no safetensors file ({error})") from error
    if header.get("format") != FORMAT:
        raise CheckpointError(f"{path}: format {header.get('format')!r}, wanted {FORMAT!r}")
    return Checkpoint(_header_spec(header, path), tensors, header.get("version", ""))


def load_network(path: Path, expected: DetectorSpec | None = None) -> SpikingDetector:
    """Rebuild a network from its checkpoint, in evaluation mode.

    Args:
        path: the checkpoint.
        expected: the spec that the caller relies on; a difference is refused.

    Returns:
        The network, float32, in evaluation mode.

    Raises:
        CheckpointError: the file is unreadable, its tensors do not fit its spec, or its spec is
            not the expected one.

    Example:
        >>> load_network(find_weights("nano")).training
        False
    """
    return restore_network(read_checkpoint(path), path, expected)


def restore_network(
    checkpoint: Checkpoint, path: Path, expected: DetectorSpec | None = None
) -> SpikingDetector:
    """Rebuild the network of a checkpoint that was read; see ``load_network``.

    Args:
        checkpoint: spec and tensors.
        path: where they came from, for messages.
        expected: the spec that the caller relies on; a difference is refused.

    Returns:
        The network, float32, in evaluation mode.

    Raises:
        CheckpointError: the tensors do not fit their spec, or the spec is not the expected one.

    Example:
        >>> path = find_weights("nano")
        >>> restore_network(read_checkpoint(path), path).training
        False
    """
    if expected is not None and expected != checkpoint.spec:
        raise CheckpointError(f"{path}: {_first_difference(checkpoint.spec, expected)}")
    network = build_detector(checkpoint.spec)
    wanted = {
        name: tensor
        for name, tensor in network.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    for name, tensor in wanted.items():
        found = checkpoint.tensors.get(name)
        if found is None or found.shape != tensor.shape:
            shape = "nothing" if found is None else tuple(found.shape)
            raise CheckpointError(
                f"{path}: {name} is {shape}, its spec wants {tuple(tensor.shape)}"
            )
    extra = sorted(set(checkpoint.tensors) - set(wanted))
    if extra:
        raise CheckpointError(f"{path}: holds {extra[0]!r}, which its spec does not know")
    network.load_state_dict(dict(checkpoint.tensors), strict=False)
    return network.eval()


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


def _first_difference(found: DetectorSpec, wanted: DetectorSpec) -> str:
    found_values, wanted_values = found.to_mapping(), wanted.to_mapping()
    name = next(key for key in wanted_values if wanted_values[key] != found_values[key])
    return f"{name} is {found_values[name]}, wanted {wanted_values[name]}"
