import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from vidar_det.commands.predict import (
    PredictSettings,
    folder_names,
    predict_recording,
    predict_sources,
)
from vidar_det.detections.coco import detections_of
from vidar_det.detector.predictor import Detector, Thresholds, load_detector
from vidar_det.errors import OutputError, RangeError, SourceError
from vidar_det.spikes.recording import open_recording
from vidar_det.spikes.selection import Selection
from vidar_det.spikes.sidecar import RecordingOptions

EVERYTHING = Thresholds(conf=0.001)


@pytest.fixture(scope="module")
def detector(fresh_weights: Path) -> Detector:
    return load_detector(str(fresh_weights))


def read(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return document


def test_the_document_holds_what_the_detector_streams(
    clip: Path, detector: Detector, tmp_path: Path
) -> None:
    recording = open_recording(clip)
    settings = PredictSettings(Selection(window=64, stride=32), EVERYTHING)
    summary = predict_recording(detector, recording, tmp_path / "out", settings)
    document = read(tmp_path / "out" / "predictions.json")
    wanted = list(detector.stream(recording, window=64, stride=32, thresholds=EVERYTHING))
    assert [image["plane_start"] for image in document["images"]] == [0, 32, 64, 96, 128]
    assert [image["t_start_us"] for image in document["images"]] == [w.time_us for w, _ in wanted]
    found = detections_of(document["detections"])
    for number, (_, detections) in enumerate(wanted):
        assert len(detections) > 0
        np.testing.assert_allclose(found[number].xyxy, detections.xyxy, atol=1e-2)
        assert found[number].class_ids.tolist() == detections.class_ids.tolist()
    assert summary.windows == 5
    assert sum(summary.detections.values()) == len(document["detections"])


def test_the_document_names_the_clip_and_the_net(
    clip: Path, detector: Detector, tmp_path: Path
) -> None:
    clip.write_bytes(clip.read_bytes() + b"abc")
    predict_recording(detector, open_recording(clip), tmp_path / "out")
    document = read(tmp_path / "out" / "predictions.json")
    assert document["clip"]["sha256"] == hashlib.sha256(clip.read_bytes()).hexdigest()
    assert document["clip"]["planes"] == 200
    assert document["clip"]["trailing_bytes"] == 3
    assert document["model"]["version"] == "fresh"
    assert document["model"]["time_steps"] == 2
    assert set(document["timing_ms"]) == {"decode", "inference", "total"}
    assert document["categories"][0] == {"id": 1, "name": "person"}
    trailing, unseen = document["warnings"]
    assert "3 trailing bytes" in trailing
    assert unseen.startswith("72 planes lie outside whole windows of 128")


def test_a_folder_of_numbered_files_is_hashed_end_to_end(
    clip: Path, detector: Detector, tmp_path: Path
) -> None:
    content = clip.read_bytes()
    split = tmp_path / "split"
    split.mkdir()
    (split / "1.dat").write_bytes(content[:1000])
    (split / "2.dat").write_bytes(content[1000:])
    recording = open_recording(split, layout="plain", width=48, height=40)
    predict_recording(detector, recording, tmp_path / "out", PredictSettings(video=False))
    document = read(tmp_path / "out" / "predictions.json")
    assert document["clip"]["sha256"] == hashlib.sha256(content).hexdigest()


def test_the_video_shows_every_window_at_twice_the_size(
    clip: Path, detector: Detector, tmp_path: Path
) -> None:
    settings = PredictSettings(Selection(window=64, stride=32), fps=20.0)
    summary = predict_recording(detector, open_recording(clip), tmp_path / "out", settings)
    with av.open(str(tmp_path / "out" / "annotated.mp4")) as container:
        assert container.streams.video[0].average_rate == 20
        frames = list(container.decode(video=0))
    assert [frame.width for frame in frames] == [96] * 5
    assert frames[0].height >= 80
    assert summary.slow_down == pytest.approx((1 / 20) / (32 / 20_000))


def test_without_a_video_there_is_only_the_document(
    clip: Path, detector: Detector, tmp_path: Path
) -> None:
    settings = PredictSettings(video=False)
    summary = predict_recording(detector, open_recording(clip), tmp_path / "out", settings)
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["predictions.json"]
    assert summary.slow_down is None


def test_only_the_wanted_classes_are_kept(clip: Path, detector: Detector, tmp_path: Path) -> None:
    recording = open_recording(clip)
    settings = PredictSettings(thresholds=EVERYTHING, video=False)
    predict_recording(detector, recording, tmp_path / "all", settings)
    settings = dataclasses.replace(settings, classes=("cycle", "person"))
    summary = predict_recording(detector, recording, tmp_path / "some", settings)
    everything = read(tmp_path / "all" / "predictions.json")["detections"]
    some = read(tmp_path / "some" / "predictions.json")["detections"]
    assert some == [entry for entry in everything if entry["category_id"] != 2]
    assert 0 < len(some) < len(everything)
    assert summary.detections["vehicle"] == 0


@pytest.mark.parametrize(
    "selection",
    [Selection(window=300), Selection(window=6), Selection(start=198), Selection(planes=999)],
)
def test_a_window_that_does_not_fit_leaves_no_folder(
    clip: Path, detector: Detector, tmp_path: Path, selection: Selection
) -> None:
    with pytest.raises(RangeError):
        predict_recording(
            detector, open_recording(clip), tmp_path / "out", PredictSettings(selection)
        )
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("failure", [KeyboardInterrupt(), OSError(28, "No space left on device")])
def test_a_failure_on_the_way_leaves_no_folder(
    clip: Path, detector: Detector, tmp_path: Path, failure: BaseException
) -> None:
    def fail(done: int, total: int) -> None:
        if done == 2:
            raise failure

    settings = PredictSettings(Selection(window=64))
    wanted = OutputError if isinstance(failure, OSError) else KeyboardInterrupt
    with pytest.raises(wanted):
        predict_recording(detector, open_recording(clip), tmp_path / "out", settings, fail)
    assert not (tmp_path / "out").exists()


def test_results_that_exist_stay_unless_overwriting_is_allowed(
    clip: Path, detector: Detector, tmp_path: Path
) -> None:
    recording = open_recording(clip)
    predict_recording(detector, recording, tmp_path / "out")
    before = (tmp_path / "out" / "predictions.json").read_bytes()
    with pytest.raises(OutputError, match="holds files already"):
        predict_recording(detector, recording, tmp_path / "out")
    assert (tmp_path / "out" / "predictions.json").read_bytes() == before
    settings = PredictSettings(Selection(window=64), overwrite=True)
    predict_recording(detector, recording, tmp_path / "out", settings)
    assert len(read(tmp_path / "out" / "predictions.json")["images"]) == 3


def test_several_recordings_get_a_folder_each(
    clip: Path, detector: Detector, tmp_path: Path
) -> None:
    twin = tmp_path / "twin"
    twin.mkdir()
    for file in clip.parent.iterdir():
        (twin / file.name).write_bytes(file.read_bytes())
    sources = [clip, twin / "clip.dat"]
    out = tmp_path / "out"
    summaries = predict_sources(detector, sources, RecordingOptions(), out)
    assert sorted(folder.name for folder in out.iterdir()) == ["clip", "clip-2"]
    for folder in out.iterdir():
        assert sorted(f.name for f in folder.iterdir()) == ["annotated.mp4", "predictions.json"]
    assert [summary.out for summary in summaries] == [str(out / "clip"), str(out / "clip-2")]


def test_a_recording_that_fails_leaves_those_before_it_whole(
    clip: Path, detector: Detector, tmp_path: Path
) -> None:
    sources = [clip, tmp_path / "missing.dat"]
    with pytest.raises(SourceError, match=r"missing\.dat"):
        predict_sources(detector, sources, RecordingOptions(), tmp_path / "out")
    files = [file.name for file in (tmp_path / "out" / "clip").iterdir()]
    assert sorted(files) == ["annotated.mp4", "predictions.json"]
    assert [folder.name for folder in (tmp_path / "out").iterdir()] == ["clip"]


def test_one_recording_lies_exactly_in_the_folder_that_was_named(
    clip: Path, detector: Detector, tmp_path: Path
) -> None:
    predict_sources(detector, [clip], RecordingOptions(), tmp_path / "out")
    assert (tmp_path / "out" / "predictions.json").is_file()


def test_folders_are_named_after_recordings(tmp_path: Path) -> None:
    (tmp_path / "v1.2").mkdir()
    sources = [tmp_path / "v1.2", Path("a/clip.dat"), Path("b/clip.npz"), Path("clip-2.dat")]
    assert folder_names(sources) == ["v1.2", "clip", "clip-2", "clip-2-2"]


def test_a_recording_shorter_than_the_nets_window_is_looked_at_in_a_shorter_one(
    clip: Path, detector: Detector, tmp_path: Path
) -> None:
    settings = PredictSettings(Selection(start=10, planes=43))
    summary = predict_recording(detector, open_recording(clip), tmp_path / "out", settings)
    (image,) = read(tmp_path / "out" / "predictions.json")["images"]
    assert (image["plane_start"], image["plane_count"]) == (10, 40)
    assert any("gather less light" in warning for warning in summary.warnings)
    assert any("3 planes lie outside" in warning for warning in summary.warnings)
