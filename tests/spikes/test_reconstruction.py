"""Pictures from spikes, by hand and against a camera that saw known light."""

import numpy as np
import pytest
from numpy.typing import NDArray

from vidar_det.errors import RangeError, ShapeError
from vidar_det.spikes.camera import PROFILES, Camera
from vidar_det.spikes.reconstruction import (
    texture_from_intervals,
    texture_from_playback,
    to_grey8,
    white_level,
)
from vidar_det.spikes.stream import Sensor, SpikeStream, SpikeWindow

METHODS = [texture_from_playback, texture_from_intervals]


def planes_of(*times: list[int], length: int = 12) -> NDArray[np.uint8]:
    planes = np.zeros((length, 1, len(times)), np.uint8)
    for column, spikes in enumerate(times):
        planes[spikes, 0, column] = 1
    return planes


def test_playback_is_the_share_of_planes_with_a_spike() -> None:
    picture = texture_from_playback(planes_of([], [3], [0, 5, 11], list(range(12))))
    np.testing.assert_allclose(picture, [[0, 1 / 12, 3 / 12, 1]])


def test_intervals_look_at_the_spikes_around_the_middle() -> None:
    picture = texture_from_intervals(planes_of([0, 4, 9], [6, 7], [5, 6, 10], list(range(12))))
    np.testing.assert_allclose(picture, [[1 / 5, 1, 1 / 4, 1]])


def test_the_readout_chooses_the_interval() -> None:
    planes = planes_of([0, 2, 5, 9])
    found = [texture_from_intervals(planes, readout)[0, 0] for readout in (0, 1, 2, 4, 5, 8)]
    np.testing.assert_allclose(found, [1 / 2, 1 / 2, 1 / 3, 1 / 3, 1 / 4, 1 / 4])


def test_the_window_bounds_an_interval_that_leaves_it() -> None:
    picture = texture_from_intervals(planes_of([4], [8], [0, 1], []))
    np.testing.assert_allclose(picture, [[1 / (12 - 4), 1 / (8 + 1), 1 / (12 - 1), 0]])


@pytest.mark.parametrize("method", METHODS)
def test_a_window_and_its_planes_give_the_same_picture(method: object) -> None:
    planes = np.random.default_rng(0).integers(0, 2, (40, 5, 7)).astype(np.uint8)
    stream = SpikeStream.from_planes(planes, Sensor(width=7, height=5))
    window = SpikeWindow(stream, start=10, length=20)
    before = planes.copy()
    picture = method(window)  # type: ignore[operator]  # one of METHODS
    np.testing.assert_array_equal(picture, method(planes[10:30]))  # type: ignore[operator]
    np.testing.assert_array_equal(planes, before)
    assert (picture.shape, picture.dtype) == ((5, 7), np.float32)


@pytest.mark.parametrize("method", METHODS)
def test_both_methods_recover_the_light_of_an_ideal_camera(method: object) -> None:
    sensor = Sensor(width=50, height=20)
    ramp = np.linspace(0.05, 0.95, sensor.width, dtype=np.float32)
    light = np.broadcast_to(ramp, (sensor.height, sensor.width))
    camera = Camera(sensor, PROFILES["ideal"], np.random.default_rng(0))
    planes = np.stack(list(camera.expose([light] * 100)))
    picture = method(planes)  # type: ignore[operator]  # one of METHODS
    np.testing.assert_allclose(picture.mean(axis=0), ramp, rtol=0.25, atol=0.01)
    assert np.corrcoef(picture.mean(axis=0), ramp)[0, 1] > 0.98


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "planes",
    [np.zeros((3, 4), np.uint8), np.zeros((0, 3, 4), np.uint8), np.zeros((2, 3, 4), np.float32)],
)
def test_arrays_that_are_no_planes_are_refused(method: object, planes: NDArray[np.uint8]) -> None:
    with pytest.raises(ShapeError, match="planes"):
        method(planes)  # type: ignore[operator]  # one of METHODS


@pytest.mark.parametrize("readout", [-1, 12])
def test_a_readout_outside_the_window_is_refused(readout: int) -> None:
    with pytest.raises(RangeError, match="readout"):
        texture_from_intervals(planes_of([1]), readout)


def test_grey_values_follow_white_and_gamma() -> None:
    picture = np.array([[0.0, 0.1, 0.2, 0.9]], np.float32)
    assert to_grey8(picture, white=0.2, gamma=1.0).tolist() == [[0, 128, 255, 255]]
    assert to_grey8(picture, white=0.4, gamma=2.0).tolist() == [[0, 128, 180, 255]]
    assert to_grey8(picture).dtype == np.uint8


def test_the_white_level_makes_a_dark_picture_visible() -> None:
    dark = np.linspace(0.0, 0.03, 101, dtype=np.float32).reshape(1, 101)
    level = white_level(dark)
    assert level == pytest.approx(0.0297, abs=1e-5)
    assert to_grey8(dark, white=level).max() == 255
    assert white_level(np.zeros((2, 2), np.float32)) == 1.0


@pytest.mark.parametrize(("white", "gamma"), [(0.0, 1.0), (1.0, 0.0), (float("nan"), 1.0)])
def test_impossible_display_settings_are_refused(white: float, gamma: float) -> None:
    with pytest.raises(RangeError, match="wanted positive"):
        to_grey8(np.zeros((1, 1), np.float32), white, gamma)


def test_impossible_pictures_are_refused() -> None:
    for value in (-0.1, float("nan")):
        with pytest.raises(RangeError, match="picture"):
            to_grey8(np.full((1, 1), value, np.float32))
    with pytest.raises(ShapeError, match="picture"):
        white_level(np.zeros((0, 3), np.float32))
    with pytest.raises(RangeError, match="share"):
        white_level(np.zeros((1, 1), np.float32), share=0.0)
