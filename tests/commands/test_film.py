import numpy as np
import pytest

from vidar_det.commands.film import draw_window
from vidar_det.commands.pictures import Darkroom
from vidar_det.commands.predict import slow_down
from vidar_det.detections.boxes import Detections
from vidar_det.spikes.selection import Selection, window_grid
from vidar_det.spikes.stream import Sensor, SpikeStream


def stream_of(width: int, rates: list[float]) -> SpikeStream:
    """Windows of 32 planes of even light, one after another."""
    generator = np.random.default_rng(0)
    planes = np.concatenate([generator.random((32, 16, width)) < rate for rate in rates])
    return SpikeStream.from_planes(planes, Sensor(width, 16))


def test_one_white_level_holds_for_all_windows() -> None:
    grid = window_grid(stream_of(64, [0.05, 0.1, 0.4]), Selection(), length=32)
    room = Darkroom(grid)
    dim, medium, bright = (float(room.develop(window).mean()) for window in grid)
    assert dim < medium < bright
    assert bright > 200


def test_a_dark_recording_without_a_spike_is_black() -> None:
    grid = window_grid(stream_of(64, [0.0]), Selection(), length=32)
    assert Darkroom(grid).develop(next(iter(grid))).max() == 0


@pytest.mark.parametrize(("width", "scale"), [(64, 2), (640, 2), (641, 1)])
def test_small_pictures_are_doubled(width: int, scale: int) -> None:
    grid = window_grid(stream_of(width, [0.3]), Selection(), length=32)
    picture = draw_window(Darkroom(grid), next(iter(grid)), Detections.empty(), ["person"])
    assert picture.shape[1:] == (width * scale, 3)
    assert picture.shape[0] >= 16 * scale


def test_slow_motion_follows_from_stride_rate_and_frames() -> None:
    grid = window_grid(stream_of(64, [0.3, 0.3]), Selection(stride=8), length=32)
    assert slow_down(grid, fps=25.0) == pytest.approx((1 / 25) / (8 / 20_000))
