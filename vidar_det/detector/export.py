"""A trained network comes in; a file that other software runs goes out.

The graph takes counts and a table of rates and gives logits: see
`vidar_det.detector.deployment.DeployedNetwork`. What it was made of stands in its metadata.
"""

import contextlib
import importlib.util
import json
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import torch

from vidar_det.detector.agreement import MOST_DIFFERING, Agreement, compare_onnx
from vidar_det.detector.deployment import DeployedNetwork
from vidar_det.detector.graphs import has_openvino
from vidar_det.detector.inputs import padded_size, rate_table
from vidar_det.detector.network import SpikingDetector
from vidar_det.detector.translation import translate
from vidar_det.errors import ConfigError, OutputError
from vidar_det.outputs import atomic_path

ExportFormat = Literal["onnx", "openvino"]
OPSET = 18


def export_onnx(
    network: SpikingDetector,
    path: Path,
    size: tuple[int, int] = (250, 400),
    *,
    overwrite: bool = False,
) -> Agreement:
    """Write an ONNX file for one size of picture, and compare it in ONNX Runtime.

    Args:
        network: the network; it stays as it is.
        path: the file, ``.onnx``.
        size: height and width of the picture, pixels; the graph takes it padded to whole strides.
        overwrite: replace a file that exists.

    Returns:
        How ONNX Runtime compares with PyTorch.

    Raises:
        ConfigError: the packages are not installed, or ONNX cannot hold the network.
        OutputError: the file exists, cannot be written, or does not say what the network says; it
            is not left behind then.

    Example:
        >>> from vidar_det.detector.checkpoint import load_network
        >>> from vidar_det.detector.weights_file import find_weights
        >>> network = load_network(find_weights("nano"))
        >>> export_onnx(network, Path("nano.onnx")).differing                 # doctest: +SKIP
        0.0
    """
    _need_onnx()
    deployed = DeployedNetwork(network)
    with _quiet(), atomic_path(path, overwrite) as partial:
        program = _trace(deployed, size)
        program.model.metadata_props.update(_metadata(network))
        program.save(partial, external_data=False)
        agreement = compare_onnx(partial, deployed, size)
        if not agreement.is_close:
            raise OutputError(
                f"{path}: ONNX Runtime differs from PyTorch in {agreement.differing:.1%} of the "
                f"cells, wanted at most {MOST_DIFFERING:.0%}"
            )
    return agreement


def export_openvino(
    network: SpikingDetector, path: Path, *, has_bytes: bool = False, overwrite: bool = False
) -> None:
    """Write an OpenVINO model, ``.xml`` and ``.bin`` beside it, for pictures of any size.

    Args:
        network: the network; it stays as it is.
        path: the ``.xml`` file.
        has_bytes: round the weights to 8 bits.
        overwrite: replace files that exist.

    Raises:
        ConfigError: OpenVINO is not installed.
        OutputError: a file exists or cannot be written.
    """
    if not has_openvino():
        raise ConfigError("format 'openvino': not installed; pip install openvino")
    import openvino  # type: ignore[import-untyped]  # it ships no types

    model = translate(network, has_bytes)
    for name, value in _metadata(network).items():
        model.set_rt_info(value, ["vidar_det", name])
    weights = path.with_suffix(".bin")
    with atomic_path(weights, overwrite) as weights_partial, atomic_path(path, overwrite) as graph:
        openvino.save_model(model, graph, compress_to_fp16=False)
        graph.with_suffix(".bin").replace(weights_partial)


def _metadata(network: SpikingDetector) -> dict[str, str]:
    return {
        "classes": ",".join(network.spec.classes),
        "spec": json.dumps(network.spec.to_mapping()),
    }


def _trace(deployed: DeployedNetwork, size: tuple[int, int]) -> torch.onnx.ONNXProgram:
    encoding = deployed.network.spec.encoding
    counts = torch.zeros(encoding.bins, *padded_size(*size), dtype=torch.int32)
    rates = torch.from_numpy(rate_table(encoding, encoding.planes_per_count))
    try:
        program = torch.onnx.export(
            deployed,
            (counts, rates),
            input_names=["counts", "rates"],
            output_names=["scores", "distances"],
            dynamic_shapes=({}, {0: torch.export.Dim("values")}),
            opset_version=OPSET,
            verbose=False,
        )
    except RuntimeError as error:  # OnnxExporterError is one
        reason = str(error).partition("\n")[0]
        raise ConfigError(f"format 'onnx': cannot hold this network ({reason})") from error
    assert program is not None
    return program


def _need_onnx() -> None:
    for package in ("onnx", "onnxruntime", "onnxscript"):
        if importlib.util.find_spec(package) is None:
            raise ConfigError(
                f"format 'onnx': {package} is not installed; pip install 'vidar-det[onnx]'"
            )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The exporter's notes are for its own developers."""
    root = logging.getLogger("torch")
    level = root.level
    root.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        root.setLevel(level)
