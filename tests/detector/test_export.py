"""What is exported says what the network says, elsewhere."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from tests.detector.exact import exact_network
from vidar_det.commands.export import export_weights
from vidar_det.detector.checkpoint import load_network, save_checkpoint
from vidar_det.detector.deployment import pad_counts, rate_table
from vidar_det.detector.runtime import TorchRuntime
from vidar_det.detector.spec import size_spec
from vidar_det.errors import ConfigError, OutputError


@pytest.fixture(scope="module")
def exact_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "exact.safetensors"
    save_checkpoint(path, exact_network(size_spec("nano")))
    return path


def seen(height: int = 60, width: int = 90) -> np.ndarray:
    drawn = np.random.default_rng(1).binomial(32, 0.3, (4, height, width))
    return drawn.astype(np.uint16)


def probabilities(logits: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-logits))


@pytest.mark.parametrize("precision", ["f32", "int8"])
def test_openvino_reads_what_was_written(
    precision: str, exact_weights: Path, tmp_path: Path
) -> None:
    openvino = pytest.importorskip("openvino", reason="OpenVINO is not installed")
    summary = export_weights(
        str(exact_weights), "openvino", tmp_path / "net.xml", precision=precision
    )
    assert summary.difference is None
    assert {path.name for path in tmp_path.iterdir()} == {"net.xml", "net.bin"}
    model = openvino.Core().read_model(summary.path)
    assert model.get_rt_info(["vidar_det", "classes"]).astype(str) == "person,vehicle,cycle"
    run = openvino.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    network = load_network(exact_weights)
    scores = run([pad_counts(seen()), rate_table(network.spec.encoding, 32)])[0]
    expected = TorchRuntime(network).run(seen(), 32).scores
    assert np.abs(probabilities(scores) - probabilities(expected)).max() < 1e-3


@pytest.mark.slow
def test_onnx_runtime_reads_what_was_written(exact_weights: Path, tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed")
    path = tmp_path / "net.onnx"
    summary = export_weights(str(exact_weights), "onnx", path, (60, 90))
    assert summary.difference is not None
    assert summary.difference < 1e-3
    assert list(tmp_path.iterdir()) == [path]
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    network = load_network(exact_weights)
    stored = session.get_modelmeta().custom_metadata_map
    assert json.loads(stored["spec"])["stem"] == network.spec.stem
    feed = {"counts": pad_counts(seen()), "rates": rate_table(network.spec.encoding, 64)}
    scores = session.run(["scores"], feed)[0]
    expected = TorchRuntime(network).run(seen(), 64).scores
    assert np.abs(probabilities(scores) - probabilities(expected)).max() < 1e-3
    with pytest.raises(OutputError, match="exists already"):
        export_weights(str(exact_weights), "onnx", path, (60, 90))


def test_missing_packages_are_named(
    exact_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(
        ConfigError, match=r"onnx is not installed; pip install 'vidar-det\[onnx\]'"
    ):
        export_weights(str(exact_weights), "onnx", tmp_path / "net.onnx")


def test_suffix_and_precision_must_fit(exact_weights: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"found suffix '\.pt', wanted '\.onnx'"):
        export_weights(str(exact_weights), "onnx", tmp_path / "net.pt")
    with pytest.raises(ConfigError, match="found 'int8' in onnx"):
        export_weights(str(exact_weights), "onnx", tmp_path / "net.onnx", precision="int8")
