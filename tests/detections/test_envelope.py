import json
from pathlib import Path

import numpy as np
import pytest

from vidar_det.detections.boxes import Detections
from vidar_det.detections.envelope import EnvelopeWriter
from vidar_det.detections.predictions import (
    ClipRecord,
    ModelRecord,
    Predictions,
    TimingRecord,
    WindowRecord,
)


def frame_of(windows: tuple[WindowRecord, ...], found: tuple[Detections, ...]) -> Predictions:
    return Predictions(
        ModelRecord("nano", "1", params=9, time_steps=2),
        ClipRecord(400, 250, planes=999, rate_hz=20_000.0, layout="plain", flip="ud"),
        ("person", "Fußgänger"),
        windows,
        found,
        TimingRecord(decode=0.2, inference=5.1, total=5.5),
        ("something",),
    )


@pytest.mark.parametrize("count", [0, 1, 7])
def test_the_streamed_document_is_the_one_built_in_memory(tmp_path: Path, count: int) -> None:
    generator = np.random.default_rng(count)
    windows, found = [], []
    with EnvelopeWriter(tmp_path) as envelope:
        for number in range(count):
            boxes = np.sort(generator.random((number, 2, 2)), axis=1).reshape(-1, 4) * 100
            scores = generator.random(number).astype(np.float32)
            class_ids = generator.integers(0, 2, number)
            windows.append(WindowRecord(number, number * 64, 64, number * 3200.0))
            found.append(Detections(boxes.astype(np.float32), scores, class_ids))
            envelope.add(windows[-1], found[-1])
        envelope.finish(tmp_path / "predictions.json", frame_of((), ()))
    document = json.loads((tmp_path / "predictions.json").read_text(encoding="utf-8"))
    assert document == frame_of(tuple(windows), tuple(found)).to_json()
    assert [file.name for file in tmp_path.iterdir()] == ["predictions.json"]


def test_nothing_lies_in_the_folder_before_the_end(tmp_path: Path) -> None:
    with EnvelopeWriter(tmp_path) as envelope:
        envelope.add(WindowRecord(0, 0, 64, 0.0), Detections.empty())
    assert list(tmp_path.iterdir()) == []
