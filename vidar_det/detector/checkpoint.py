"""A network goes out as one safetensors file, its whole spec inside, and comes back the same."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from vidar_det.detector.network import SpikingDetector, build_detector
from vidar_det.detector.spec import DetectorSpec
from vidar_det.detector.weights_file import FORMAT, read_header
from vidar_det.errors import CheckpointError
from vidar_det.outputs import atomic_path


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
        >>> from vidar_det.detector.weights_file import find_weights
        >>> read_checkpoint(find_weights("nano")).spec.classes
        ('person', 'vehicle', 'cycle')
    """
    header = read_header(path)
    with safetensors.safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name).float() for name in header.shapes}
    return Checkpoint(header.spec, tensors, header.version)


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
        >>> from vidar_det.detector.weights_file import find_weights
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
        >>> from vidar_det.detector.weights_file import find_weights
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


def _first_difference(found: DetectorSpec, wanted: DetectorSpec) -> str:
    found_values, wanted_values = found.to_mapping(), wanted.to_mapping()
    name = next(key for key in wanted_values if wanted_values[key] != found_values[key])
    return f"{name} is {found_values[name]}, wanted {wanted_values[name]}"
