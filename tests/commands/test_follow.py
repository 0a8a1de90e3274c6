"""A recording is looked at while it grows, and what was found is kept however it ends."""

import json
import math
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from vidar_det.cli import app
from vidar_det.commands.follow import FollowSettings, follow_recording
from vidar_det.commands.predict import PredictSettings, predict_recording
from vidar_det.detections.boxes import Detections
from vidar_det.detections.predictions import WindowRecord
from vidar_det.detector.execution import Execution
from vidar_det.detector.predictor import Detector, Thresholds, load_detector
from vidar_det.errors import OutputError, RangeError, SourceError
from vidar_det.spikes import following
from vidar_det.spikes.recording import open_recording, write_recording
from vidar_det.spikes.selection import Selection
from vidar_det.spikes.sidecar import RecordingOptions
from vidar_det.spikes.stream import Sensor, SpikeWindow

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


class Camera:
    """A clock: whenever the reader waits, the next piece of a recording is written."""

    def __init__(self, path: Path, content: bytes, piece: int = 50_001) -> None:
        self.path, self.now = path, 0.0
        self.pieces = iter([content[at : at + piece] for at in range(0, len(content), piece)])

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.write()

    def write(self) -> None:
        with self.path.open("ab") as file:
            file.write(next(self.pieces, b""))


@pytest.fixture
def clock(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Camera:
    camera = Camera(tmp_path / "camera.dat", whole.read_bytes())
    real = following.follow
    monkeypatch.setattr("vidar_det.commands.follow.follow", lambda *args: real(*args, clock=camera))
    return camera


@pytest.fixture
def camera(clock: Camera) -> Path:
    return clock.path


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


def test_what_comes_while_others_wait_is_looked_at_without_a_rest(
    fresh_weights: Path, whole: Path, clock: Camera, tmp_path: Path
) -> None:
    """Two windows wait at first; the others come while these are looked at, side by side."""
    content = whole.read_bytes()
    half, quarter = len(content) // 2, len(content) // 4
    clock.pieces = iter([content[half : half + quarter], content[half + quarter :]])
    clock.path.write_bytes(content[:half])
    detector = load_detector(str(fresh_weights), execution=Execution(threads=2, streams=2))
    assert detector.runtime.side_by_side == 2
    settings = replace(EVERYTHING, selection=Selection(window=64))
    told: list[int] = []

    def note(window: WindowRecord, _: Detections) -> None:
        told.append(window.plane_start)
        clock.write()

    follow_recording(detector, clock.path, OPTIONS, tmp_path / "live", settings, QUICK, note)
    predict_recording(detector, open_recording(whole), tmp_path / "late", settings)
    live, late = (
        json.loads((tmp_path / name / "predictions.json").read_text()) for name in ("live", "late")
    )
    assert told == [0, 64, 128, 192, 256, 320]
    assert live["images"] == late["images"]
    assert live["detections"] == late["detections"] != []
    assert clock.now < 2 * QUICK.timeout_s


@pytest.mark.parametrize(
    ("ending", "raised"),
    [
        (KeyboardInterrupt(), KeyboardInterrupt),
        (SystemExit(143), SystemExit),
        (OSError(28, "No space left on device"), OutputError),
    ],
)
def test_whatever_ends_it_what_was_found_is_kept(
    ending: BaseException,
    raised: type[BaseException],
    detector: Detector,
    camera: Path,
    tmp_path: Path,
) -> None:
    def stop(window: WindowRecord, _: Detections) -> None:
        if window.id == 1:
            raise ending

    with pytest.raises(raised):
        follow_recording(detector, camera, OPTIONS, tmp_path / "out", EVERYTHING, QUICK, stop)
    found = json.loads((tmp_path / "out/predictions.json").read_text())
    assert [image["plane_start"] for image in found["images"]] == [0, 128]
    (warning,) = [one for one in found["warnings"] if one.startswith("ended by an error")]
    assert warning.endswith("; 36 planes were not looked at")  # of 292
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["predictions.json"]


def test_windows_are_kept_where_the_document_has_no_room(
    detector: Detector, camera: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("vidar_det.commands.follow.EnvelopeWriter.finish", fill)
    out = tmp_path / "out"
    with pytest.raises(OutputError, match=r"left on device; .*windows\.jsonl keeps the windows"):
        follow_recording(detector, camera, OPTIONS, out, EVERYTHING, QUICK)
    assert [file.name for file in out.iterdir()] == ["windows.jsonl"]
    assert len((out / "windows.jsonl").read_text().splitlines()) == 3


def test_several_windows_that_wait_are_looked_at_by_another_detector(
    detector: Detector, clock: Camera, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    behind = detector.executed(Execution(streams=2))
    asked: dict[Detector, list[int]] = {detector: [], behind: []}
    real = Detector.predict

    def predict(asked_one: Detector, window: SpikeWindow, *args: Any, **more: Any) -> Detections:
        asked[asked_one].append(window.start)
        return real(asked_one, window, *args, **more)

    monkeypatch.setattr(Detector, "predict", predict)
    told: list[int] = []

    def report(window: WindowRecord, _: Detections) -> None:
        told.append(window.id)
        if window.id == 0:  # meanwhile, two windows come
            clock.write()
            clock.write()
            clock.write()

    clock.write()
    clock.write()
    patience = FollowSettings(behind=behind)
    follow_recording(detector, clock.path, OPTIONS, tmp_path / "out", EVERYTHING, patience, report)
    assert told == [0, 1, 2]
    assert (asked[detector], sorted(asked[behind])) == ([0], [128, 256])


def test_planes_that_vanish_before_they_are_looked_at_begin_anew(
    detector: Detector, clock: Camera, whole: Path, tmp_path: Path
) -> None:
    def vanish(window: WindowRecord, _: Detections) -> None:
        if window.id == 0:
            os.truncate(clock.path, 0)

    clock.path.write_bytes(whole.read_bytes())
    alone, out = detector.executed(Execution("torch")), tmp_path / "out"  # it reads nothing ahead
    summary = follow_recording(alone, clock.path, OPTIONS, out, EVERYTHING, QUICK, vanish)
    document = json.loads((out / "predictions.json").read_text())
    assert [image["plane_start"] for image in document["images"]] == [0, 400, 528, 656]
    assert document["clip"]["planes"] == 800
    assert "256 planes were gone before they were looked at" in summary.warnings
    assert any("read from its beginning again" in warning for warning in summary.warnings)


def test_a_window_that_the_net_cannot_divide_is_refused_before_anything_came(
    detector: Detector, tmp_path: Path
) -> None:
    settings = PredictSettings(selection=Selection(window=130))
    for_ever = FollowSettings(timeout_s=math.inf)
    with pytest.raises(RangeError, match="multiple of 4"):
        follow_recording(
            detector, tmp_path / "none.dat", OPTIONS, tmp_path / "out", settings, for_ever
        )
    assert not (tmp_path / "out").exists()


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


def test_windows_that_came_too_late_are_dropped_on_request_and_counted(
    fresh_weights: Path, clock: Camera, whole: Path, tmp_path: Path
) -> None:
    detector = load_detector(str(fresh_weights), execution=Execution("torch"))
    content = whole.read_bytes()
    clock.pieces = iter([content[:65_536], content[65_536:], content])

    def report(window: WindowRecord, _: Detections) -> None:
        if window.id == 0:  # meanwhile, five windows come
            clock.write()
            clock.write()

    clock.write()
    late, out = FollowSettings(drop_late=True), tmp_path / "out"
    summary = follow_recording(detector, clock.path, OPTIONS, out, EVERYTHING, late, report)
    document = json.loads((out / "predictions.json").read_text())
    assert [image["plane_start"] for image in document["images"]] == [0, 640]
    assert summary.dropped == 4
    assert "4 windows came too late and were dropped" in document["warnings"]


@pytest.mark.parametrize(("rate_hz", "is_slow"), [(1e9, True), (1.0, False)])
def test_whoever_is_slower_than_the_camera_is_told(
    rate_hz: float, is_slow: bool, detector: Detector, clock: Camera, whole: Path, tmp_path: Path
) -> None:
    content = whole.read_bytes()
    clock.pieces = iter([content[:65_536], content[65_536:]])

    def report(window: WindowRecord, _: Detections) -> None:
        if window.id == 0:  # meanwhile, two windows come
            clock.write()

    clock.write()
    options, out = replace(OPTIONS, rate_hz=rate_hz), tmp_path / "out"
    summary = follow_recording(detector, clock.path, options, out, EVERYTHING, QUICK, report)
    document = json.loads((out / "predictions.json").read_text())
    told = [one for one in document["warnings"] if one.startswith("slower than the camera: ")]
    assert (summary.windows, summary.dropped, len(told)) == (3, 0, is_slow)
    assert all("up to 2 windows waited" in one for one in told)


def test_what_lies_there_already_is_not_late(
    whole: Path, fresh_weights: Path, tmp_path: Path
) -> None:
    words = ("predict", whole, "--follow", "--timeout", "0.05", "--weights", fresh_weights)
    words = (*words, "--drop-late", "--json", "--out", tmp_path / "out")
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == 0
    (summary,) = json.loads(done.stdout.splitlines()[-1])["sources"]
    assert (summary["windows"], summary["dropped"]) == (3, 0)


FOLLOWED = ["--follow", "--timeout", "600"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([*FOLLOWED, "--start", "3"], "--start has no effect with --follow"),
        ([*FOLLOWED, "--planes", "3"], "--planes has no effect with --follow"),
        ([*FOLLOWED, "--video"], "--video has no effect with --follow"),
        ([*FOLLOWED, "--fps", "30"], "--fps has no effect with --follow"),
        (["--timeout", "3"], "--timeout has no effect without --follow"),
        (["--drop-late"], "--drop-late has no effect without --follow"),
        (["--follow", "--timeout", "nan"], "--timeout: found nan, wanted a positive number"),
        (["--follow", "--timeout", "0"], "--timeout: found 0.0, wanted a positive number"),
    ],
)
def test_what_would_be_ignored_is_wrong_use(words: list[str], said: str, tmp_path: Path) -> None:
    done = CliRunner().invoke(
        app, ["predict", "none.dat", *words, "--out", str(tmp_path / "out")], env={"COLUMNS": "200"}
    )
    assert done.exit_code == 2
    assert said in done.stderr
    assert not (tmp_path / "out").exists()


HEEDING = """
import signal
from vidar_det.cli import main

signal.signal(signal.SIGINT, signal.default_int_handler)  # even where tests run in the background
signal.signal(signal.SIGHUP, signal.SIG_DFL)
main()
"""


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP"])
def test_a_signal_ends_it_between_windows_with_everything_written(
    name: str, whole: Path, fresh_weights: Path, tmp_path: Path
) -> None:
    out, number = tmp_path / "out", getattr(signal, name)
    command = [sys.executable, "-c", HEEDING, "predict", str(whole), "--out", str(out), *FOLLOWED]
    command += ["--weights", str(fresh_weights), "--conf", "0.05", "--json"]
    with subprocess.Popen(  # noqa: S603 - our own
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        lines = [json.loads(process.stdout.readline()) for _ in range(3)]
        process.send_signal(number)
        rest, told = process.communicate(timeout=120)
    assert process.returncode == 128 + number, told
    document = json.loads((out / "predictions.json").read_text())
    assert [one for line in lines for one in line["detections"]] == document["detections"] != []
    assert document["warnings"] == [f"ended by {name}; 16 planes were not looked at"]
    assert json.loads(rest)["sources"][0]["windows"] == 3
    assert [file.name for file in out.iterdir()] == ["predictions.json"]


LITTLE_ROOM = """
import resource, sys
from vidar_det.cli import main

resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv.pop(1)),) * 2)
main()
"""


def test_a_full_disk_keeps_the_windows_that_fit(
    whole: Path, fresh_weights: Path, tmp_path: Path
) -> None:
    predict = ["predict", str(whole), "--weights", str(fresh_weights), "--conf", "0.05"]
    follow = ["--follow", "--timeout", "0.05", "--out"]
    whole_run = CliRunner().invoke(app, [*predict, *follow, str(tmp_path / "roomy")])
    lines = [line for line in whole_run.stdout.splitlines() if line.startswith("{")]
    room = len(lines[0]) + len(lines[1]) // 2  # for one window, and a part of the next
    command = [sys.executable, "-c", LITTLE_ROOM, str(room), *predict, *follow]
    out = tmp_path / "out"
    done = subprocess.run([*command, str(out)], capture_output=True, text=True, check=False)  # noqa: S603 - our own
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "windows.jsonl: cannot be written: File too large; it keeps the 1 windows" in " ".join(
        done.stderr.split()
    )
    assert (out / "windows.jsonl").read_text() == lines[0] + "\n"
    assert [file.name for file in out.iterdir()] == ["windows.jsonl"]


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
