"""What is compared is told whole, and differences of boxes begin with flipped spikes."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import parity
from benchmarks.flips import Flips
from benchmarks.parity import Boxes, ParitySpec, measure
from vidar_det.detections.boxes import Detections

pytest.importorskip("openvino", reason="OpenVINO is not installed")


def boxes(*xyxy: tuple[float, float, float, float], class_id: int = 0) -> Detections:
    return Detections(
        np.array(xyxy, np.float32).reshape(-1, 4),
        np.full(len(xyxy), 0.5, np.float32),
        np.full(len(xyxy), class_id, np.int64),
    )


def test_boxes_are_lost_new_or_the_same() -> None:
    tally = Boxes()
    tally.add(boxes((0, 0, 8, 8)), boxes((0, 0, 8, 8.001)))
    tally.add(boxes((0, 0, 8, 8)), boxes((0, 0, 8, 7)))
    tally.add(boxes((0, 0, 8, 8)), boxes((0, 0, 8, 8), class_id=1))
    tally.add(boxes((0, 0, 8, 8), (20, 20, 28, 28)), boxes((0, 0, 8, 8)))
    assert tally == Boxes(windows=4, differing=3, wanted=5, lost=2, added=1)


def test_flips_are_counted_layer_by_layer() -> None:
    flips = Flips()
    still, moved = np.zeros((2, 3), np.uint8), np.zeros((2, 3), np.uint8)
    moved[1, 2] = 4
    flips.add({"one": still, "two": still}, {"one": still, "two": moved}, is_same_logits=True)
    flips.add({"one": still, "two": still}, {"one": still, "two": still}, is_same_logits=False)
    assert flips == Flips({"one": 12, "two": 12}, {"one": 0, "two": 1}, 2, [1], 1)


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    return measure("nano", "demo", ParitySpec(("f32", "int8"), spikes=6, threads=1))


@pytest.mark.slow
def test_without_a_flipped_spike_boxes_are_the_same(rows: list[dict[str, Any]]) -> None:
    full, rounded = rows
    spikes = full["spikes"]
    assert full["boxes"]["wanted"] > 0
    assert spikes["same_logits"] == spikes["windows"] == 6
    assert spikes["unflipped"]
    assert spikes["same_boxes"] == len(spikes["unflipped"])
    flipped = [sum(row["spikes"]["differing"].values()) for row in rows]
    assert flipped[0] < flipped[1]
    assert rounded["runtime"]["precision"] == "int8"


@pytest.mark.slow
def test_the_differences_of_scores_are_those_of_the_scores(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        for name in ("mAP", "mAP50"):
            score = {side: row[name][side]["value"] for side in ("torch", "own", "change")}
            assert score["torch"] > 0
            assert score["change"] == pytest.approx(score["own"] - score["torch"])


@pytest.mark.slow
def test_the_figures_lie_on_the_disk(
    rows: list[dict[str, Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(parity, "measure", lambda *_: rows)
    monkeypatch.setattr(sys, "argv", ["parity", "nano", "--out", str(tmp_path / "out")])
    parity.main()
    document = json.loads((tmp_path / "out" / "parity.json").read_text())
    assert document["rows"] == rows
    assert document["machine"]["versions"]["torch"]
    printed = capsys.readouterr().out
    assert "one scene: no interval" in printed
    assert "backbone.stages.0.fire " in printed
