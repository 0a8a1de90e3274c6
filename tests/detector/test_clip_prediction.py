from pathlib import Path

import pytest

from vidar_det.detector.clip_prediction import ClipPrediction, Question, class_ids_of
from vidar_det.detector.execution import Execution
from vidar_det.detector.predictor import Detector, Thresholds, load_detector
from vidar_det.errors import LabelError, RangeError
from vidar_det.spikes.recording import open_recording
from vidar_det.spikes.selection import Selection


@pytest.fixture(scope="module")
def detector(fresh_weights: Path) -> Detector:
    return load_detector(str(fresh_weights))


def test_windows_come_numbered_with_their_detections(clip: Path, detector: Detector) -> None:
    question = Question(Selection(window=64, stride=32), Thresholds(conf=0.001), ("cycle",))
    prediction = ClipPrediction(detector, open_recording(clip), question)
    found_in = list(prediction)
    assert len(prediction) == len(found_in) == 5
    assert [record.id for record, _, _ in found_in] == [0, 1, 2, 3, 4]
    assert [record.plane_start for record, _, _ in found_in] == [0, 32, 64, 96, 128]
    assert {int(number) for _, _, found in found_in for number in found.class_ids} == {2}


def test_the_frame_names_the_request_and_the_seconds(clip: Path, detector: Detector) -> None:
    prediction = ClipPrediction(detector, open_recording(clip), Question())
    assert prediction.frame().timing_ms.total == 0
    list(prediction)
    frame = prediction.frame(sha256="ab", request_id="r1")
    assert (frame.clip.sha256, frame.request_id) == ("ab", "r1")
    assert frame.timing_ms.total > 0
    assert any("72 planes lie outside" in warning for warning in frame.warnings)


def test_what_cannot_be_looked_at_is_refused_at_once(clip: Path, detector: Detector) -> None:
    recording = open_recording(clip)
    with pytest.raises(RangeError, match="wanted planes 300 to"):
        ClipPrediction(detector, recording, Question(Selection(start=300)))
    with pytest.raises(LabelError, match="did you mean 'cycle'"):
        ClipPrediction(detector, recording, Question(classes=("cycles",)))


def test_an_unknown_class_is_refused_with_the_nearest() -> None:
    with pytest.raises(LabelError, match=r"'vehicles' is unknown.*did you mean 'vehicle'"):
        class_ids_of(["vehicles"], ["person", "vehicle"])
    assert class_ids_of([], ["person", "vehicle"]) == [0, 1]


def test_a_precision_that_the_cpu_lacks_is_told_with_what_ran_instead(
    clip: Path, fresh_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("openvino", reason="OpenVINO is not installed")
    monkeypatch.setattr("vidar_det.detector.graphs.has_bf16", lambda: False)
    fallen = load_detector(str(fresh_weights), execution=Execution("openvino", "bf16"))
    frame = ClipPrediction(fallen, open_recording(clip), Question()).frame()
    assert frame.model.runtime.startswith("OpenVINO 20")
    assert frame.model.precision == "float32"
    told = "precision 'bf16': this CPU has none, 'f32' was computed instead"
    assert told in frame.warnings
