"""A recording is looked at while it grows, and what was found is kept however it ends."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from vidar_det.cli import app
from vidar_det.commands.follow import FollowSettings, follow_recording
from vidar_det.commands.predict import PredictSettings, predict_recording
from vidar_det.detections.boxes import Detections
from vidar_det.detections.predictions import WindowRecord
from vidar_det.detector.predictor import Detector, Thresholds, load_detector
from vidar_det.errors import SourceError
from vidar_det.spikes import following
from vidar_det.spikes.recording import open_recording, write_recording
from vidar_det.spikes.sidecar import RecordingOptions
from vidar_det.spikes.stream import Sensor

OPTIONS = RecordingOptions(64, 64, "plain")
QUICK = FollowSettings(timeout_s=1.0)
EVERYTHING = PredictSettings(thresholds=Thresholds(conf=0.05), video=False)


@pytest.fixture(scope="module")
def detector(fresh_weights: Path) -> Detector:
    return load_detector(str(fresh_weights))


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    path = tmp_path / "whole.dat"
    generator = np.random.default_rng(0)
    write_recording(path, generator.integers(0, 2, (400, 64, 64), np.uint8), Sensor(64, 64))
    return path


@pytest.fixture
def camera(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Whenever the reader waits, a camera writes the next piece."""
    path, content = tmp_path / "camera.dat", whole.read_bytes()
    pieces = iter([content[at : at + 50_001] for at in range(0, len(content), 50_001)])

    def sleep(_: float) -> None:
        with path.open("ab") as file:
            file.write(next(pieces, b""))

    real = following.follow

    def follow(*args: object) -> Iterator[object]:
        return real(*args, sleep=sleep)  # type: ignore[arg-type]

    monkeypatch.setattr("vidar_det.commands.follow.follow", follow)
    return path


def test_the_same_is_found_as_in_the_finished_recording(
    detector: Detector, whole: Path, camera: Path, tmp_path: Path
) -> None:
    told: list[tuple[WindowRecord, Detections]] = []
    summary = follow_recording(
        detector,
        camera,
        OPTIONS,
        tmp_path / "live",
        EVERYTHING,
        QUICK,
        lambda *one: told.append(one),
    )
    predict_recording(detector, open_recording(whole), tmp_path / "late", EVERYTHING)
    live, late = (
        json.loads((tmp_path / name / "predictions.json").read_text()) for name in ("live", "late")
    )
    assert live["images"] == late["images"]
    assert live["detections"] == late["detections"] != []
    assert live["clip"]["planes"] == 400
    assert [window.id for window, _ in told] == [0, 1, 2]
    assert summary.windows == 3
    assert "16 planes at the end make no whole window" in summary.warnings


@pytest.mark.parametrize("ending", [KeyboardInterrupt, SystemExit, OSError])
def test_whatever_ends_it_what_was_found_is_kept(
    ending: type[BaseException], detector: Detector, camera: Path, tmp_path: Path
) -> None:
    def stop(window: WindowRecord, _: Detections) -> None:
        if window.id == 1:
            raise ending

    with pytest.raises(ending):
        follow_recording(detector, camera, OPTIONS, tmp_path / "out", EVERYTHING, QUICK, stop)
    found = json.loads((tmp_path / "out/predictions.json").read_text())
    assert [image["plane_start"] for image in found["images"]] == [0, 128]


def test_nothing_in_time_leaves_nothing(detector: Detector, tmp_path: Path) -> None:
    patience, out = FollowSettings(timeout_s=0.05), tmp_path / "out"
    with pytest.raises(SourceError, match="found nothing, wanted a recording"):
        follow_recording(detector, tmp_path / "none.dat", OPTIONS, out, keeping_up=patience)
    assert list(out.iterdir()) == []


def test_the_command_prints_a_line_for_each_window(
    whole: Path, fresh_weights: Path, tmp_path: Path
) -> None:
    words = ("predict", whole, "--follow", "--timeout", "0.05", "--weights", fresh_weights)
    words = (*words, "--conf", "0.05", "--out", tmp_path / "out")
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == 0
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert [line["plane_start"] for line in lines] == [0, 128, 256]
    document = json.loads((tmp_path / "out/predictions.json").read_text())
    assert [one for line in lines for one in line["detections"]] == document["detections"]


def test_late_windows_are_dropped_on_request_and_counted(
    whole: Path, fresh_weights: Path, tmp_path: Path
) -> None:
    words = ("predict", whole, "--follow", "--timeout", "0.05", "--weights", fresh_weights)
    words = (*words, "--runtime", "torch", "--drop-late", "--out", tmp_path / "out")
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == 0
    document = json.loads((tmp_path / "out/predictions.json").read_text())
    assert [image["plane_start"] for image in document["images"]] == [256]
    assert "2 windows came too late and were dropped" in document["warnings"]


def test_only_one_recording_is_followed(whole: Path, tmp_path: Path) -> None:
    words = ["predict", str(whole), str(whole), "--follow", "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 2
    assert "--follow takes one recording" in done.stderr


def test_a_precision_that_the_cpu_lacks_is_told(
    whole: Path, fresh_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("openvino", reason="OpenVINO is not installed")
    monkeypatch.setattr("vidar_det.detector.graphs.has_bf16", lambda: False)
    words = ("predict", whole, "--follow", "--timeout", "0.05", "--weights", fresh_weights)
    words = (*words, "--precision", "bf16", "--out", tmp_path / "out")
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == 0
    assert "this CPU has none" in done.stderr
    document = json.loads((tmp_path / "out/predictions.json").read_text())
    assert "precision 'bf16': this CPU has none" in " ".join(document["warnings"])
    assert document["model"]["precision"] == "float32"
