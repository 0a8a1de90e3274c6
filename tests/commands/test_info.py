import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from vidar_det.commands.info import summarize_recording
from vidar_det.errors import RangeError
from vidar_det.spikes.recording import open_recording
from vidar_det.spikes.selection import Selection
from vidar_det.spikes.stream import Hole, Sensor, SpikeStream


def test_a_summary_says_what_the_file_and_its_sidecar_say(clip: Path) -> None:
    summary = summarize_recording(open_recording(clip))
    assert (summary.width, summary.height, summary.planes) == (48, 40, 200)
    assert (summary.layout, summary.flip, summary.rate_hz) == ("plain", "ud", 20_000.0)
    assert summary.duration_s == pytest.approx(0.01)
    assert summary.path == str(clip)
    assert json.loads(json.dumps(summary.to_json()))["warnings"] == []


def test_a_short_recording_is_counted_whole_but_for_its_last_planes(
    clip: Path, clip_planes: NDArray[np.uint8]
) -> None:
    summary = summarize_recording(open_recording(clip))
    assert summary.sampled_planes == 192
    assert summary.firing_rate == pytest.approx(clip_planes.mean(), abs=0.01)
    assert summary.firing_rate_hz == pytest.approx(summary.firing_rate * 20_000)


def test_a_long_recording_is_sampled_from_end_to_end() -> None:
    planes = np.zeros((5_000, 1, 8), np.uint8)
    planes[2_500:] = 1
    summary = summarize_recording(SpikeStream.from_planes(planes, Sensor(8, 1)))
    assert summary.sampled_planes == 2_048
    assert summary.firing_rate == pytest.approx(0.5, abs=0.05)


def test_a_part_of_a_recording_has_a_rate_of_its_own() -> None:
    planes = np.zeros((200, 1, 8), np.uint8)
    planes[100:] = 1
    stream = SpikeStream.from_planes(planes, Sensor(8, 1))
    assert summarize_recording(stream, Selection(100, 80)).firing_rate == 1.0
    with pytest.raises(RangeError):
        summarize_recording(stream, Selection(200))


def test_a_recording_of_single_planes_between_holes_is_summarized() -> None:
    stream = SpikeStream.from_planes(np.ones((3, 2, 2), np.uint8), Sensor(2, 2))
    holes = (Hole(1, 4), Hole(2, 4))
    torn = SpikeStream(stream.store, stream.sensor, holes=holes)
    summary = summarize_recording(torn)
    assert summary.firing_rate == 1.0
    assert summary.duration_s == pytest.approx(11 / 20_000)
