import dataclasses
import json
from pathlib import Path

import pytest
import safetensors.torch
import torch

from vidar_det.detector.checkpoint import load_network, read_checkpoint, save_checkpoint
from vidar_det.detector.network import SpikingDetector, build_detector
from vidar_det.detector.spec import size_spec
from vidar_det.detector.weights_file import find_weights
from vidar_det.errors import CheckpointError, OutputError


@pytest.fixture(scope="module")
def network() -> SpikingDetector:
    torch.manual_seed(0)
    return build_detector(size_spec("nano")).eval()


def rewrite(path: Path, header: dict[str, str], drop: str = "", extra: str = "") -> None:
    tensors = safetensors.torch.load_file(path)
    tensors.pop(drop, None)
    if extra:
        tensors[extra] = torch.zeros(1)
    safetensors.torch.save_file(tensors, path, metadata=header)


def header_of(path: Path) -> dict[str, str]:
    with safetensors.safe_open(path, framework="pt") as file:
        return dict(file.metadata())


def test_a_network_comes_back_the_same(network: SpikingDetector, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_checkpoint(path, network, version="seed 0", dtype=torch.float32)
    loaded = load_network(path)
    assert loaded.spec == network.spec
    assert not loaded.training
    assert read_checkpoint(path).version == "seed 0"
    x = torch.rand(2, 2, 64, 64)
    with torch.no_grad():
        assert torch.equal(loaded(x).scores, network(x).scores)


def test_half_precision_halves_the_file(network: SpikingDetector, tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "half", network)
    save_checkpoint(tmp_path / "full", network, dtype=torch.float32)
    assert (tmp_path / "half").stat().st_size < 0.6 * (tmp_path / "full").stat().st_size
    assert next(load_network(tmp_path / "half").parameters()).dtype == torch.float32


def test_another_spec_is_refused(network: SpikingDetector, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_checkpoint(path, network)
    wanted = dataclasses.replace(network.spec, classes=("car",))
    with pytest.raises(CheckpointError, match="classes is"):
        load_network(path, expected=wanted)
    assert load_network(path, expected=network.spec).spec == network.spec


def test_tensors_that_do_not_fit_their_spec_are_refused(
    network: SpikingDetector, tmp_path: Path
) -> None:
    path = tmp_path / "model.safetensors"
    save_checkpoint(path, network)
    header = header_of(path)
    narrower = dataclasses.replace(network.spec, stem=network.spec.stem, pool=8)
    rewrite(path, header | {"spec": json.dumps(narrower.to_mapping())})
    with pytest.raises(CheckpointError, match="its spec wants"):
        load_network(path)
    rewrite(path, header, drop="backbone.stem.0.weight")
    with pytest.raises(CheckpointError, match="nothing"):
        load_network(path)


def test_extra_tensors_are_refused(network: SpikingDetector, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_checkpoint(path, network)
    rewrite(path, header_of(path), extra="surprise")
    with pytest.raises(CheckpointError, match="surprise"):
        load_network(path)


@pytest.mark.parametrize(
    "change", [{"format": "other/9"}, {"spec": "not json"}, {"spec": '{"stemm": 3}'}]
)
def test_a_header_that_is_not_ours_is_refused(
    network: SpikingDetector, tmp_path: Path, change: dict[str, str]
) -> None:
    path = tmp_path / "model.safetensors"
    save_checkpoint(path, network)
    rewrite(path, header_of(path) | change)
    with pytest.raises(CheckpointError, match=r"model\.safetensors"):
        read_checkpoint(path)


def test_no_file_and_no_safetensors_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no such"):
        read_checkpoint(tmp_path / "none")
    (tmp_path / "text").write_text("hello")
    with pytest.raises(CheckpointError, match="no safetensors"):
        read_checkpoint(tmp_path / "text")


def test_weights_are_found_by_folder_and_file(network: SpikingDetector, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_checkpoint(path, network)
    assert find_weights(str(tmp_path)) == path
    assert find_weights(str(path)) == path


def test_unknown_weights_are_refused() -> None:
    with pytest.raises(CheckpointError, match="nanoo"):
        find_weights("nanoo")


def test_a_missing_folder_is_an_output_error(network: SpikingDetector, tmp_path: Path) -> None:
    with pytest.raises(OutputError):
        save_checkpoint(tmp_path / "none" / "model.safetensors", network)
