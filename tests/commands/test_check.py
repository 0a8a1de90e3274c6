from pathlib import Path

import pytest

from vidar_det.commands import check
from vidar_det.commands.check import run_checks


def test_a_whole_installation_passes(fresh_weights: Path) -> None:
    told: list[tuple[int, int]] = []
    results = run_checks(str(fresh_weights), lambda *done: told.append(done))
    assert [result.name for result in results if not result.passed] == []
    assert {result.name for result in results} >= {"versions", "counts", "weights", "learning"}
    assert told[-1] == (len(results), len(results))


def test_a_part_that_fails_does_not_stop_the_rest(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(check, "LEARNING_STEPS", 1)
    results = {result.name: result for result in run_checks(str(tmp_path / "none.safetensors"))}
    assert not results["weights"].passed
    assert "CheckpointError" in results["weights"].detail
    assert not results["learning"].passed
    assert "wanted a fall" in results["learning"].detail
    assert results["recordings"].passed


def test_a_precision_that_the_cpu_lacks_is_told(
    fresh_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("openvino", reason="OpenVINO is not installed")
    monkeypatch.setattr("vidar_det.detector.graphs.has_bf16", lambda: False)
    monkeypatch.setattr(check, "LEARNING_STEPS", 1)
    results = {one.name: one for one in run_checks(str(fresh_weights), precision="bf16")}
    assert "OpenVINO 20" in results["weights"].detail
    assert results["weights"].detail.endswith("this CPU has none, 'f32' was computed instead")
