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
from typing import Any, Literal

import numpy as np
import torch

from vidar_det.detector.deployment import DeployedNetwork, pad_counts, rate_table
from vidar_det.detector.encoding import padded_size
from vidar_det.detector.graphs import has_openvino, translate
from vidar_det.detector.network import SpikingDetector
from vidar_det.errors import ConfigError
from vidar_det.outputs import atomic_path

ExportFormat = Literal["onnx", "openvino"]
OPSET = 18


def export_onnx(
    network: SpikingDetector,
    path: Path,
    size: tuple[int, int] = (250, 400),
    *,
    overwrite: bool = False,
) -> float:
    """Write an ONNX file for one size of picture, and run it in ONNX Runtime.

    Args:
        network: the network; it stays as it is.
        path: the file, ``.onnx``.
        size: height and width of the picture, pixels; the graph takes it padded to whole strides.
        overwrite: replace a file that exists.

    Returns:
        Largest difference between a score in ONNX Runtime and in PyTorch, as probabilities, on
        random counts. A spike that another order of sums has flipped makes it larger than rounding.

    Raises:
        ConfigError: the packages are not installed.
        OutputError: the file exists or cannot be written.

    Example:
        >>> from vidar_det.detector.checkpoint import find_weights, load_network
        >>> network = load_network(find_weights("nano"))
        >>> export_onnx(network, Path("nano.onnx")) < 0.01                    # doctest: +SKIP
        True
    """
    _need_onnx()
    deployed = DeployedNetwork(network)
    encoding = network.spec.encoding
    counts = torch.zeros(encoding.bins, *padded_size(*size), dtype=torch.int32)
    rates = torch.from_numpy(rate_table(encoding, encoding.planes_per_count))
    with _quiet(), atomic_path(path, overwrite) as partial:
        program = torch.onnx.export(
            deployed,
            (counts, rates),
            input_names=["counts", "rates"],
            output_names=["scores", "distances"],
            dynamic_shapes=({}, {0: torch.export.Dim("values")}),
            opset_version=OPSET,
            verbose=False,
        )
        assert program is not None
        program.model.metadata_props.update(_metadata(network))
        program.save(partial, external_data=False)
        return _difference(deployed, partial, size)


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


def _difference(deployed: DeployedNetwork, path: Path, size: tuple[int, int]) -> float:
    import onnxruntime  # type: ignore[import-untyped]  # it ships no types

    encoding = deployed.network.spec.encoding
    most = encoding.planes_per_count
    drawn = np.random.default_rng(0).binomial(most, 0.3, (encoding.bins, *size))
    feed: dict[str, Any] = {"counts": pad_counts(drawn), "rates": rate_table(encoding, most)}
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    scores = torch.from_numpy(session.run(["scores"], feed)[0])
    expected, _ = deployed(*(torch.from_numpy(value) for value in feed.values()))
    return float((scores.sigmoid() - expected.sigmoid()).abs().max())


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
