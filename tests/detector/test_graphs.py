"""Graphs are kept; where they cannot be, or were damaged, only time is lost."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.detector.exact import exact_network
from vidar_det.detector import graphs
from vidar_det.detector.network import SpikingDetector
from vidar_det.detector.openvino_runtime import OpenVinoRuntime, OpenVinoSettings
from vidar_det.detector.source import NetworkSource
from vidar_det.detector.spec import EncodingSpec, size_spec
from vidar_det.errors import ConfigError

pytest.importorskip("openvino", reason="OpenVINO is not installed")

SEEN = np.random.default_rng(0).binomial(32, 0.3, (4, 64, 64)).astype(np.uint16)


@pytest.fixture(scope="module")
def network() -> SpikingDetector:
    return exact_network(size_spec("nano"))


@pytest.fixture(scope="module")
def scores(network: SpikingDetector, tmp_path_factory: pytest.TempPathFactory) -> np.ndarray:
    found, warnings = run(network, tmp_path_factory.mktemp("cache"))
    assert warnings == ()
    return found


def run(network: SpikingDetector, cache: Path) -> tuple[np.ndarray, tuple[str, ...]]:
    runtime = OpenVinoRuntime(NetworkSource.of(network), OpenVinoSettings(cache=cache, threads=1))
    return runtime.run(SEEN, 32).scores, runtime.warnings


def test_a_cache_that_cannot_be_made_costs_time_alone(
    network: SpikingDetector, scores: np.ndarray, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    found, warnings = run(network, tmp_path / "file" / "cache")
    assert np.array_equal(found, scores)
    (told,) = warnings
    assert "file/cache: graphs cannot be kept (Not a directory)" in told


def test_so_does_one_that_cannot_keep_what_was_compiled(
    network: SpikingDetector, scores: np.ndarray, tmp_path: Path
) -> None:
    (tmp_path / "compiled").write_text("in the way")
    found, warnings = run(network, tmp_path)
    assert np.array_equal(found, scores)
    (told,) = warnings
    assert "graphs cannot be kept (File exists)" in told


def test_a_full_disk_leaves_no_partial_files(
    network: SpikingDetector, scores: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill(model: object, path: Path, **_: object) -> None:
        path.write_text("<")
        path.with_suffix(".bin").write_bytes(b"half")
        raise RuntimeError("basic_ios::clear: iostream error")

    monkeypatch.setattr(graphs.openvino, "save_model", fill)
    found, warnings = run(network, tmp_path)
    assert np.array_equal(found, scores)
    assert len(warnings) == 1
    assert list((tmp_path / "graphs").iterdir()) == []


@pytest.mark.parametrize("suffix", [".bin", ".xml"])
def test_a_damaged_file_is_written_anew(
    suffix: str, network: SpikingDetector, scores: np.ndarray, tmp_path: Path
) -> None:
    run(network, tmp_path)
    (damaged,) = (tmp_path / "graphs").glob(f"*{suffix}")
    whole = damaged.stat().st_size
    damaged.write_bytes(damaged.read_bytes()[:1000])
    found, warnings = run(network, tmp_path)
    assert np.array_equal(found, scores)
    assert warnings == ()
    assert damaged.stat().st_size == whole


def test_what_openvino_does_not_know_is_refused_in_words() -> None:
    class Odd(nn.Module):
        def forward(self, counts: Tensor, rates: Tensor) -> Any:
            return torch.linalg.svd(counts.float())[0] * rates[0]

    from vidar_det.detector.translation import convert

    with pytest.raises(ConfigError, match="openvino: cannot translate this network"):
        convert(Odd(), EncodingSpec())
