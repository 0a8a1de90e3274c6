"""Weights come in; a file for other software goes out."""

from dataclasses import dataclass
from pathlib import Path

from vidar_det.detector.agreement import Agreement
from vidar_det.detector.checkpoint import load_network
from vidar_det.detector.export import ExportFormat, export_onnx, export_openvino
from vidar_det.detector.weights_file import find_weights
from vidar_det.errors import ConfigError

SUFFIXES = {"onnx": ".onnx", "openvino": ".xml"}


@dataclass(frozen=True)
class ExportSummary:
    """What was written.

    Attributes:
        path: the file.
        agreement: how ONNX Runtime compares with PyTorch; None where it was not run.
    """

    path: Path
    agreement: Agreement | None


def export_weights(
    weights: str,
    form: ExportFormat,
    out: str | Path,
    size: tuple[int, int] = (250, 400),
    precision: str = "f32",
    overwrite: bool = False,
) -> ExportSummary:
    """Write a network for other software.

    Args:
        weights: name or path.
        form: ``onnx`` or ``openvino``.
        out: the file; its suffix must be the format's.
        size: height and width of the picture, pixels; ONNX files are for one size.
        precision: ``f32``, or ``int8`` in OpenVINO's format.
        overwrite: replace a file that exists.

    Returns:
        What was written.

    Raises:
        CheckpointError: there are no such weights.
        ConfigError: the suffix or precision does not fit the format, the network does not fit
            either, or a package is missing.
        OutputError: the file exists, cannot be written, or does not say what the network says.

    Example:
        >>> export_weights("nano", "onnx", "nano.onnx").agreement.differing  # doctest: +SKIP
    """
    path = Path(out)
    if path.suffix != SUFFIXES[form]:
        raise ConfigError(f"{path}: found suffix {path.suffix!r}, wanted {SUFFIXES[form]!r}")
    if precision not in ("f32", "int8") or (precision == "int8" and form == "onnx"):
        raise ConfigError(
            f"precision: found {precision!r} in {form}, wanted f32, or int8 in openvino"
        )
    network = load_network(find_weights(weights))
    if form == "onnx":
        return ExportSummary(path, export_onnx(network, path, size, overwrite=overwrite))
    export_openvino(network, path, has_bytes=precision == "int8", overwrite=overwrite)
    return ExportSummary(path, None)
