"""Interval statistics: by hand, and on a real static recording."""

import os
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from vidar_det.errors import RangeError, ShapeError
from vidar_det.spikes.intervals import interval_statistics

DEFAULT_RECORDINGS = Path(__file__).parents[2].parent / "shared" / "data" / "recordings"
RECORDINGS = Path(os.environ.get("VIDAR_GOLDEN_RECORDINGS", DEFAULT_RECORDINGS))


def planes_of(*times: list[int], length: int = 40) -> NDArray[np.uint8]:
    planes = np.zeros((length, 1, len(times)), np.uint8)
    for column, spikes in enumerate(times):
        planes[spikes, 0, column] = 1
    return planes


def test_statistics_by_hand() -> None:
    regular, alternating, jumping = [0, 4, 8, 12], [0, 4, 9, 13, 18], [1, 4, 12, 16]
    statistics = interval_statistics(planes_of(regular, alternating, jumping), least_pixels=1)
    assert statistics.mean_intervals.tolist() == [4, 5]
    assert statistics.pixels.tolist() == [2, 1]
    assert statistics.stds[0] == pytest.approx(np.sqrt((3 * 0 + 4 * 0.25) / 7))
    assert statistics.stds[1] == pytest.approx(np.std([3, 8, 4]))
    assert statistics.steady_share == pytest.approx(2 / 3)


def test_pixels_with_few_or_long_intervals_are_left_out() -> None:
    planes = planes_of([0, 3, 6], [0, 9, 18, 27], list(range(40)), [0, 3, 6, 9], [])
    statistics = interval_statistics(planes, longest=8, least_pixels=1)
    assert statistics.mean_intervals.tolist() == [3]
    assert statistics.pixels.tolist() == [1]


def test_rare_mean_intervals_are_not_listed() -> None:
    statistics = interval_statistics(planes_of([0, 3, 6, 9]), least_pixels=2)
    assert statistics.mean_intervals.size == 0
    assert statistics.steady_share == 1.0


def test_planes_may_come_one_by_one_and_stay_unchanged() -> None:
    planes = planes_of([0, 4, 9, 13], [2, 5, 8, 11, 14])
    before = planes.copy()
    whole = interval_statistics(planes, least_pixels=1)
    single = interval_statistics(iter(planes), least_pixels=1)
    np.testing.assert_array_equal(whole.stds, single.stds)
    np.testing.assert_array_equal(planes, before)


def test_a_scene_without_intervals_is_refused() -> None:
    with pytest.raises(RangeError, match="no pixel"):
        interval_statistics(planes_of([3], []))
    with pytest.raises(RangeError, match="no planes"):
        interval_statistics(np.zeros((0, 2, 2), np.uint8))


def test_planes_of_different_shape_are_refused() -> None:
    with pytest.raises(ShapeError, match="plane 1"):
        interval_statistics([np.zeros((2, 3), np.uint8), np.zeros((3, 2), np.uint8)])
    with pytest.raises(ShapeError, match="plane 0"):
        interval_statistics(np.zeros((4, 3), np.uint8))


def test_a_real_static_recording_is_periodic() -> None:
    path = RECORDINGS / "spikingsim_real_spike.npz"
    if not path.exists():
        pytest.skip(f"no real recording at {path}")
    with np.load(path) as archive:
        planes = archive["arr_0"].transpose(2, 0, 1)
    statistics = interval_statistics(planes)
    assert statistics.mean_intervals.tolist() == list(range(2, 21))
    assert statistics.stds.min() >= 0.38
    assert statistics.stds.max() <= 0.47
    assert statistics.steady_share >= 0.95
    assert statistics.is_periodic()
