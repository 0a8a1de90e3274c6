"""A recording is as long as its bytes are, and what was found out about it stays."""

from pathlib import Path

import numpy as np
import pytest

from vidar_det.errors import FormatError
from vidar_det.spikes.following_bytes import GrowingBytes, GrowingFile
from vidar_det.spikes.recording import open_recording, write_recording
from vidar_det.spikes.recording_camera import CameraReader
from vidar_det.spikes.sidecar import RecordingOptions
from vidar_det.spikes.stream import Sensor

W, H = 13, 7


@pytest.fixture
def planes() -> np.ndarray:
    return np.random.default_rng(8).integers(0, 2, (30, H, W), dtype=np.uint8)


@pytest.mark.parametrize("layout", ["plain", "row-padded"])
def test_a_recording_that_grew_is_read_as_long_as_it_is(
    layout: str, tmp_path: Path, planes: np.ndarray
) -> None:
    whole, path = tmp_path / "whole.dat", tmp_path / "clip.dat"
    write_recording(whole, planes, Sensor(W, H), layout=layout)
    content = whole.read_bytes() + b"rest"
    options = RecordingOptions(W, H, layout, "ud", 40_000)  # type: ignore[arg-type]  # a name of one
    path.write_bytes(content[: len(content) // 2])
    span = GrowingBytes()
    span.append(GrowingFile(0, path))
    reader = CameraReader(path, span, options)
    early = reader.read()
    with path.open("ab") as file:
        file.write(content[len(content) // 2 :])
    span.grow()
    late = reader.read()
    assert len(early) < len(late) == 30
    assert np.array_equal(early[:], planes[: len(early)])
    assert np.array_equal(late[:], planes)
    assert np.array_equal(late.counts(0, 30, 3), planes.reshape(3, 10, H, W).sum(axis=1))
    assert late.report == open_recording(path, layout=layout, width=W, height=H).report
    assert late.report.trailing_bytes == 4
    assert (late.sensor.rate_hz, late.layout, late.flip) == (40_000, layout, "ud")
    assert reader.offset(29) == span.size - 4 - reader.offset(1)


def test_less_than_a_plane_is_refused(tmp_path: Path) -> None:
    (tmp_path / "clip.dat").write_bytes(b"short")
    span = GrowingBytes()
    span.append(GrowingFile(0, tmp_path / "clip.dat"))
    with pytest.raises(FormatError, match="found 5 bytes"):
        CameraReader(tmp_path / "clip.dat", span, RecordingOptions(W, H, "plain"))
