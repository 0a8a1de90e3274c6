"""What is exported says what the network says, elsewhere."""

import copy
import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.detector.exact import exact_network
from vidar_det.commands.export import SUFFIXES, export_weights
from vidar_det.detector import export
from vidar_det.detector.checkpoint import load_network, save_checkpoint
from vidar_det.detector.deployment import DeployedNetwork
from vidar_det.detector.export import ExportFormat
from vidar_det.detector.inputs import pad_counts, rate_table
from vidar_det.detector.network import build_detector
from vidar_det.detector.spec import NeuronSpec, size_spec
from vidar_det.detector.torch_runtime import TorchRuntime
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
    assert summary.agreement is None
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
    assert summary.agreement is not None
    assert summary.agreement.differing == 0
    assert summary.agreement.score < 1e-3
    assert summary.agreement.boxes == summary.agreement.boxes_found
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


@pytest.mark.slow
@pytest.mark.parametrize("part", ["backbone.stem", "head.boxes.0.conv", "head.scores.2.read"])
def test_a_file_that_says_something_else_is_not_left(
    part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed")
    trace = export._trace

    def tamper(deployed: DeployedNetwork, size: tuple[int, int]) -> torch.onnx.ONNXProgram:
        other = copy.deepcopy(deployed)
        other.network.get_submodule(part).weight.data *= 1.05
        return trace(other, size)

    monkeypatch.setattr(export, "_trace", tamper)
    with pytest.raises(OutputError, match=r"differs from PyTorch in \d+.\d% of the cells"):
        export_weights("nano", "onnx", tmp_path / "net.onnx", (96, 128))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_flipped_spikes_do_not_condemn_a_trained_network(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed")
    found = export_weights("nano", "onnx", tmp_path / "net.onnx").agreement
    assert found is not None
    assert found.is_close
    assert found.boxes > 0


def test_what_the_exporter_refuses_is_told_in_words(
    exact_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnxscript", reason="the ONNX exporter is not installed")

    def refuse(*_: object, **__: object) -> None:
        raise torch.onnx.OnnxExporterError("no such operation\nand a page of advice")

    monkeypatch.setattr(torch.onnx, "export", refuse)
    with pytest.raises(ConfigError, match=r"cannot hold this network \(no such operation\)$"):
        export_weights(str(exact_weights), "onnx", tmp_path / "net.onnx")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("form", ["onnx", "openvino"])
def test_what_does_not_fit_into_eight_bits_leaves_no_file(
    form: ExportFormat, tmp_path: Path
) -> None:
    weights = tmp_path / "many.safetensors"
    save_checkpoint(weights, build_detector(size_spec("nano", neuron=NeuronSpec(levels=300))))
    path = tmp_path / ("net" + SUFFIXES[form])
    with pytest.raises(ConfigError, match="int8"):
        export_weights(str(weights), form, path, precision="int8")
    assert list(tmp_path.iterdir()) == [weights]


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
