import dataclasses
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from vidar_det.cli import app
from vidar_det.commands.scoring import SCORED_CONF, score_windows
from vidar_det.commands.simulate import SimulateSettings, simulate
from vidar_det.commands.val import ValSettings, validate
from vidar_det.datasets.class_map import complete_class_map
from vidar_det.datasets.dataset import open_dataset
from vidar_det.datasets.windows import LabelledWindow
from vidar_det.detections.boxes import Detections
from vidar_det.detector.predictor import Detector, Thresholds, load_detector
from vidar_det.errors import LabelError, OutputError, RangeError, SourceError
from vidar_det.spikes.stream import SpikeWindow


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three composed scenes of 200 planes; a net's window of 128 lies in their middle."""
    out = tmp_path_factory.mktemp("data") / "scenes"
    simulate("street", out, SimulateSettings(planes=200, size=(96, 64), count=3))
    return out


@pytest.fixture(scope="module")
def detector(fresh_weights: Path) -> Detector:
    return load_detector(str(fresh_weights))


class Oracle(Detector):
    """Knows the truth of each window, and notes what it was asked."""

    def __init__(self, real: Detector, labelled: Sequence[LabelledWindow]) -> None:
        super().__init__(real.runtime, real.spec, "oracle", "1", 0)
        self.truths = {item.window.stream.path: item.truth for item in labelled}
        self.asked: list[tuple[int, int, float]] = []

    def predict(  # type: ignore[override]
        self, window: SpikeWindow, thresholds: Thresholds
    ) -> Detections:
        self.asked.append((window.start, window.length, thresholds.conf))
        truth = self.truths[window.stream.path]
        scores = np.full(len(truth), 0.9, np.float32)
        return Detections(truth.xyxy, scores, truth.class_ids)


class Blind(Oracle):
    """Finds nothing."""

    def predict(  # type: ignore[override]
        self, window: SpikeWindow, thresholds: Thresholds
    ) -> Detections:
        return Detections.empty()


def test_the_truth_scores_one_in_the_middle_of_each_range(
    dataset: Path, detector: Detector
) -> None:
    labelled = list(open_dataset(dataset).labelled_windows("test", 128))
    oracle = Oracle(detector, labelled)
    told: list[int] = []
    accuracy = score_windows(oracle, labelled, told.append)
    assert accuracy.mAP == pytest.approx(1.0)
    assert oracle.asked == [(36, 128, SCORED_CONF)] * 3
    assert told == [1, 2, 3]


def test_validation_writes_the_figures_it_returns(
    dataset: Path, detector: Detector, tmp_path: Path
) -> None:
    summary = validate(detector, dataset, ValSettings(out=tmp_path / "val"))
    written = json.loads((tmp_path / "val" / "metrics.json").read_text())
    assert written == summary.to_json()
    assert {"mAP", "mAP50", "per_class", "split", "weights"} <= set(written)
    assert set(written["per_class"]) == {"person", "vehicle", "cycle"}
    assert written["conf"] == 0.001
    assert written["cost"]["windows"] == 3
    assert written["intervals"]["scenes"] == 3
    page = (tmp_path / "val" / "report.html").read_text()
    text = (tmp_path / "val" / "report.md").read_text()
    for heading in ("Average precision", "Parts of the data", "Worst misses", "Cost"):
        assert f">{heading}</h2>" in page
        assert f"## {heading}\n" in text
    assert "scene_0000" in text  # the gallery names its recordings
    with pytest.raises(OutputError, match="holds files already"):
        validate(detector, dataset, ValSettings(out=tmp_path / "val"))


def test_without_a_report_figures_and_predictions_are_written_alone(
    dataset: Path, detector: Detector, tmp_path: Path
) -> None:
    settings = ValSettings(out=tmp_path / "val", report=False)
    assert validate(detector, dataset, settings).cost is None
    names = ["metrics.json", "predictions.json"]
    assert sorted(path.name for path in (tmp_path / "val").iterdir()) == names
    validate(detector, dataset, dataclasses.replace(settings, overwrite=True))


def test_a_detector_is_compared_with_another_and_with_what_was_written(
    dataset: Path, detector: Detector, tmp_path: Path
) -> None:
    oracle = Oracle(detector, list(open_dataset(dataset).labelled_windows("test", 128)))
    gain = validate(oracle, dataset, ValSettings(compare=detector)).assessment.comparison
    assert gain is not None
    assert gain.other == detector.name
    assert gain.difference.mAP50.value == pytest.approx(1.0 - gain.other_figures.mAP50.value)
    assert gain.difference.mAP50.low > 0
    validate(detector, dataset, ValSettings(out=tmp_path / "val", report=False))
    written = ValSettings(compare=tmp_path / "val" / "predictions.json")
    again = validate(oracle, dataset, written).assessment.comparison
    assert again is not None
    assert again.difference.mAP.value == pytest.approx(gain.difference.mAP.value, abs=1e-3)


def test_a_rival_of_other_classes_is_refused(
    dataset: Path, detector: Detector, tmp_path: Path
) -> None:
    rival = Oracle(detector, [])
    rival.spec = dataclasses.replace(detector.spec, classes=("person", "tree"))
    with pytest.raises(LabelError, match=r"oracle: found classes .*'tree'.*wanted"):
        validate(detector, dataset, ValSettings(out=tmp_path / "val", compare=rival))
    assert not (tmp_path / "val").exists()


@pytest.fixture
def copy(dataset: Path, tmp_path: Path) -> Path:
    """A copy of the dataset that a test may damage."""
    out = tmp_path / "copy"
    shutil.copytree(dataset, out)
    return out


def test_a_missing_or_short_recording_is_named(copy: Path, detector: Detector) -> None:
    recording = copy / "recordings" / "scene_00001.dat"
    whole = recording.read_bytes()
    recording.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(RangeError, match=r"scene_00001\.dat \(image 2\): found 100 planes"):
        validate(detector, copy)
    recording.unlink()
    with pytest.raises(SourceError, match=r"scene_00001\.dat"):
        validate(detector, copy)


def test_labels_without_scenes_are_warned_of(copy: Path, detector: Detector) -> None:
    assert "scene" not in " ".join(validate(detector, copy).warnings)
    path = copy / "annotations" / "test.json"
    document = json.loads(path.read_text())
    for image in document["images"]:
        del image["scene"]
    path.write_text(json.dumps(document))
    assert "3 images name no scene" in " ".join(validate(detector, copy).warnings)


def test_an_empty_split_is_refused(copy: Path, detector: Detector) -> None:
    path = copy / "annotations" / "test.json"
    document = json.loads(path.read_text()) | {"images": [], "annotations": []}
    path.write_text(json.dumps(document))
    with pytest.raises(LabelError, match=r"test\.json: found no images"):
        validate(detector, copy)


def test_classes_without_boxes_are_null_and_nothing_found_is_zero(
    copy: Path, detector: Detector
) -> None:
    path = copy / "annotations" / "test.json"
    document = json.loads(path.read_text())
    persons = [entry | {"category_id": 1} for entry in document["annotations"]]
    path.write_text(json.dumps(document | {"annotations": persons}))
    figures = validate(Blind(detector, []), copy).to_json()
    assert (figures["mAP50"], figures["per_class"]["person"]["AP50"]) == (0.0, 0.0)
    assert figures["per_class"]["cycle"]["AP50"] is None
    json.dumps(figures, allow_nan=False)


def test_validation_without_a_folder_writes_nothing(
    dataset: Path, detector: Detector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert validate(detector, dataset).accuracy.images == 3
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_split_or_dataset_is_refused(dataset: Path, detector: Detector) -> None:
    with pytest.raises(LabelError, match=r"no split 'tset'.*did you mean 'test'"):
        validate(detector, dataset, ValSettings("tset"))
    with pytest.raises(SourceError):
        validate(detector, dataset / "nowhere")


def test_a_class_that_the_net_does_not_know_is_refused_with_the_option(
    detector: Detector, dataset: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    (other / "annotations").mkdir(parents=True)
    (other / "recordings").symlink_to(dataset / "recordings")
    (other / "dataset.toml").write_text(
        (dataset / "dataset.toml").read_text().replace('"vehicle"', '"car"')
    )
    annotations = (dataset / "annotations" / "test.json").read_text()
    (other / "annotations" / "test.json").write_text(annotations.replace('"vehicle"', '"car"'))
    with pytest.raises(LabelError, match=r"'car'.*--classes"):
        validate(detector, other)
    mapped = validate(detector, other, ValSettings(classes={"vehicle": ("car",)}))
    assert mapped.accuracy.per_class.keys() == {"person", "vehicle", "cycle"}
    with pytest.raises(LabelError, match="'lorry' is unknown to this net"):
        validate(detector, other, ValSettings(classes={"lorry": ("car",)}))


def test_a_class_map_is_completed_in_the_order_of_the_net() -> None:
    known = ["person", "vehicle", "cycle"]
    assert list(complete_class_map({"cycle": ("bike",)}, known)) == known
    assert complete_class_map({"cycle": ("bike",)}, known)["person"] == ("person",)


def test_a_range_shorter_than_the_window_is_refused(detector: Detector, tmp_path: Path) -> None:
    simulate("street", tmp_path / "short", SimulateSettings(planes=100, size=(96, 64), count=1))
    with pytest.raises(RangeError, match="wanted a window of 128"):
        validate(detector, tmp_path / "short", ValSettings(out=tmp_path / "val"))
    assert not (tmp_path / "val").exists()


def test_the_command_compares_with_weights_and_with_predictions(
    dataset: Path, fresh_weights: Path, tmp_path: Path
) -> None:
    told = ["val", "--data", str(dataset), "--weights", str(fresh_weights), "--no-report"]
    first = CliRunner().invoke(app, [*told, "--out", str(tmp_path), "--json"])
    assert first.exit_code == 0
    assert "comparison" not in json.loads(first.stdout)
    for other in (str(fresh_weights), str(tmp_path / "predictions.json")):
        found = CliRunner().invoke(app, [*told, "--compare", other, "--json"])
        difference = json.loads(found.stdout)["comparison"]
        assert difference["mAP50"]["value"] == pytest.approx(0.0, abs=1e-3)
        assert "difference to" in found.stderr
        assert "95% interval" in found.stderr
    missing = CliRunner().invoke(app, [*told, "--compare", str(tmp_path / "none.json")])
    assert missing.exit_code == 1
    assert "none.json: cannot be read" in missing.stderr


def test_a_precision_that_the_cpu_lacks_is_told(
    dataset: Path, fresh_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("openvino", reason="OpenVINO is not installed")
    monkeypatch.setattr("vidar_det.detector.graphs.has_bf16", lambda: False)
    words = ("val", "--data", dataset, "--weights", fresh_weights, "--precision", "bf16", "--json")
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == 0
    assert "this CPU has none" in done.stderr
    document = json.loads(done.stdout)
    assert document["precision"] == "float32"
    assert document["runtime"].startswith("OpenVINO 20")
