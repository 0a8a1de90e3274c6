import json
import subprocess
import sys
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


@pytest.mark.parametrize("name", [None, "windows.jsonl"])
@pytest.mark.parametrize("count", [0, 1, 7])
def test_the_streamed_document_is_the_one_built_in_memory(
    tmp_path: Path, count: int, name: str | None
) -> None:
    generator = np.random.default_rng(count)
    windows, found = [], []
    with EnvelopeWriter(tmp_path, name) as envelope:
        for number in range(count):
            boxes = np.sort(generator.random((number, 2, 2)), axis=1).reshape(-1, 4) * 100
            scores = generator.random(number).astype(np.float32)
            class_ids = generator.integers(0, 2, number)
            windows.append(WindowRecord(number, number * 64, 64, number * 3200.0))
            found.append(Detections(boxes.astype(np.float32), scores, class_ids))
            envelope.add(windows[-1], found[-1])
        envelope.finish(tmp_path / "predictions.json", frame_of((), ()))
        envelope.discard()
    document = json.loads((tmp_path / "predictions.json").read_text(encoding="utf-8"))
    assert document == frame_of(tuple(windows), tuple(found)).to_json()
    assert [file.name for file in tmp_path.iterdir()] == ["predictions.json"]


def test_nothing_lies_in_the_folder_before_the_end(tmp_path: Path) -> None:
    with EnvelopeWriter(tmp_path) as envelope:
        envelope.add(WindowRecord(0, 0, 64, 0.0), Detections.empty())
    assert list(tmp_path.iterdir()) == []


def test_lines_with_a_name_hold_each_window_as_soon_as_it_was_added(tmp_path: Path) -> None:
    box = Detections(np.float32([[1, 2, 3, 4]]), np.float32([0.5]), np.array([0]))
    with EnvelopeWriter(tmp_path, "windows.jsonl") as envelope:
        for number in range(2):
            envelope.add(WindowRecord(number, number * 64, 64, 0.0), box)
            lines = (tmp_path / "windows.jsonl").read_text().splitlines()
            assert [json.loads(line)["id"] for line in lines] == list(range(number + 1))
    assert [box["image_id"] for line in lines for box in json.loads(line)["detections"]] == [0, 1]
    assert envelope.path == tmp_path / "windows.jsonl"


FILL = """
import resource, sys
from pathlib import Path
from vidar_det.detections.boxes import Detections
from vidar_det.detections.envelope import EnvelopeWriter
from vidar_det.detections.predictions import WindowRecord

resource.setrlimit(resource.RLIMIT_FSIZE, (300, 300))
with EnvelopeWriter(Path(sys.argv[1]), "windows.jsonl") as envelope:
    for number in range(9):
        try:
            envelope.add(WindowRecord(number, 0, 64, 0.0), Detections.empty())
        except OSError:
            print(number)
            break
"""


def test_a_window_without_room_leaves_the_lines_before_it_whole(tmp_path: Path) -> None:
    command = [sys.executable, "-c", FILL, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - our own
    lines = (tmp_path / "windows.jsonl").read_text().splitlines()
    assert [json.loads(line)["id"] for line in lines] == list(range(int(done.stdout))) != []
