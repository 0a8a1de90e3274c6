"""A network is read when it is needed, and not before."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from vidar_det.detector.checkpoint import load_network
from vidar_det.detector.execution import Execution
from vidar_det.detector.network import count_params
from vidar_det.detector.predictor import load_detector
from vidar_det.detector.source import NetworkSource, network_digest
from vidar_det.detector.weights_file import find_weights, named_weights, read_header
from vidar_det.errors import CheckpointError

LOOK = """
import sys
import numpy as np
from vidar_det import load_detector
detector = load_detector("nano")
found = detector.predict(np.full((4, 64, 96), 9, np.uint16))
print(len(found), detector.params, "torch" in sys.modules)
"""


def test_once_a_graph_is_kept_nobody_needs_torch(tmp_path: Path) -> None:
    pytest.importorskip("openvino", reason="OpenVINO is not installed")
    environment = os.environ | {"VIDAR_CACHE_DIR": str(tmp_path)}

    def look() -> list[str]:
        ran = subprocess.run(  # noqa: S603 - our own command
            [sys.executable, "-c", LOOK], env=environment, capture_output=True, check=True
        )
        return ran.stdout.decode().split()

    *found, needs_torch = look()
    assert needs_torch == "True"
    assert look() == [*found, "False"]


def test_a_stored_network_is_read_once() -> None:
    path = find_weights("nano")
    source = NetworkSource.stored(path, read_header(path).spec)
    assert source.network is source.network
    assert network_digest(source.network) == network_digest(load_network(path))
    assert NetworkSource.of(source.network).network is source.network


@pytest.mark.parametrize("name", named_weights())
def test_a_header_counts_what_can_be_learned(name: str) -> None:
    path = find_weights(name)
    assert read_header(path).params == count_params(load_network(path))


@pytest.mark.parametrize("runtime", ["torch", "openvino"])
def test_a_damaged_file_is_refused_at_once(tmp_path: Path, runtime: str) -> None:
    if runtime == "openvino":
        pytest.importorskip("openvino", reason="OpenVINO is not installed")
    content = find_weights("nano").read_bytes()
    (tmp_path / "short.safetensors").write_bytes(content[:-100])
    with pytest.raises(CheckpointError, match="no safetensors file"):
        load_detector(str(tmp_path / "short.safetensors"), execution=Execution(runtime))
