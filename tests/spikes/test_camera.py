"""The camera: its closed form against its readouts, and both against real cameras."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from vidar_det.errors import RangeError, ShapeError
from vidar_det.spikes.camera import PROFILES, Camera, CameraProfile, draw_fixed_pattern
from vidar_det.spikes.integration import fire_bins, fire_plane
from vidar_det.spikes.intervals import IntervalStatistics, interval_statistics
from vidar_det.spikes.stream import Sensor

SMALL = Sensor(width=6, height=4)
NO_KEYS = np.zeros(3, np.uint32)
Rates = NDArray[np.float32]


def make_camera(profile: CameraProfile | str, sensor: Sensor = SMALL, seed: int = 0) -> Camera:
    profile = PROFILES[profile] if isinstance(profile, str) else profile
    return Camera(sensor, profile, np.random.default_rng(seed))


def grey(rate: float, sensor: Sensor = SMALL) -> Rates:
    return np.full((sensor.height, sensor.width), rate, np.float32)


def sum_planes(camera: Camera, light: Rates, bins: int, planes: int) -> NDArray[np.int64]:
    read = camera.expose(light for _ in range(bins * planes))
    return np.stack([sum(next(read).astype(np.int64) for _ in range(planes)) for _ in range(bins)])


# The closed form


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 2**32 - 1), planes=st.integers(1, 70), brightest=st.floats(0.01, 2.0))
def test_ideal_bins_equal_ideal_readouts_from_the_same_phase(
    seed: int, planes: int, brightest: float
) -> None:
    generator = np.random.default_rng(seed)
    pixels, bins = 40, 3
    rates = np.floor(generator.random((bins, pixels)) * brightest * 1024).astype(np.float32) / 1024
    phase = (generator.integers(0, 1024, pixels) / 1024).astype(np.float32)
    pattern = (np.ones(pixels, np.float32), np.zeros(pixels, np.float32))
    state = (phase.copy(), np.ones(pixels, np.float32), np.zeros(pixels, np.uint8))
    plane, none = np.zeros(pixels, np.uint8), np.float32(0)
    wanted = np.zeros((bins, pixels), np.uint16)
    for index in range(bins):
        for _ in range(planes):
            fire_plane(rates[index], pattern, state, (none, none, none), NO_KEYS, plane)
            wanted[index] += plane
    counts = np.empty((bins, pixels), np.uint16)
    fire_bins(rates, pattern, phase, (np.float32(planes), none, none), NO_KEYS, counts)
    np.testing.assert_array_equal(counts, wanted)


@pytest.mark.parametrize("planes", [32, 64])
@pytest.mark.parametrize("profile", ["ideal", "daylight", "lowlight"])
def test_bins_have_the_mean_and_variance_of_summed_readouts(profile: str, planes: int) -> None:
    sensor = Sensor(width=25, height=4000)
    ramp = np.linspace(0.0, 0.8, sensor.width, dtype=np.float32)
    light = np.broadcast_to(ramp, (sensor.height, sensor.width))
    chosen = dataclasses.replace(PROFILES[profile], gain_sigma=0.0, dark_sigma_ln=0.0)
    camera = make_camera(chosen, sensor)
    slow = sum_planes(camera, light, 3, planes)
    fast = camera.counts(np.broadcast_to(light, (3, *light.shape)), planes).astype(np.int64)
    for bin_counts, bin_sums in zip(
        [*fast, fast.sum(axis=0)], [*slow, slow.sum(axis=0)], strict=True
    ):
        spread = np.sqrt((bin_sums.var(axis=0) + bin_counts.var(axis=0)) / sensor.height)
        gap = np.abs(bin_counts.mean(axis=0) - bin_sums.mean(axis=0))
        assert (gap <= 5 * spread + 0.003).all()
        np.testing.assert_allclose(
            bin_counts.var(axis=0), bin_sums.var(axis=0), rtol=0.15, atol=0.01
        )


def test_jitter_and_photons_widen_the_counts_as_stated() -> None:
    sensor = Sensor(width=100, height=100)
    profile = CameraProfile(threshold_jitter=0.2, photon_full_scale=50)
    counts = make_camera(profile, sensor).counts(grey(0.5, sensor)[None], 1000)
    wanted = 500 * (0.2**2 + 1 / 50) + 1 / 6
    assert counts.var() == pytest.approx(wanted, rel=0.06)
    assert counts.mean() == pytest.approx(500, abs=0.25)


def test_noise_is_independent_between_pixels_and_bins() -> None:
    sensor = Sensor(width=200, height=200)
    profile = CameraProfile(threshold_jitter=0.2)
    camera = make_camera(profile, sensor)
    rates = np.broadcast_to(np.float32(0.5), (2, 200, 200))
    counts = camera.counts(rates, 1000).astype(float).reshape(2, -1) - 500
    again = camera.counts(rates, 1000).astype(float).reshape(2, -1) - 500
    pairs = [
        (counts[0, 1:], counts[0, :-1]),
        (counts[0, 200:], counts[0, :-200]),
        (counts[0], counts[1]),
        (counts[0], again[0]),
    ]
    for first, second in pairs:
        assert abs(np.corrcoef(first, second)[0, 1]) < 0.03


@pytest.mark.parametrize("rate", [1.0, 1.5, 40.0])
def test_a_saturated_pixel_fires_at_every_readout(rate: float) -> None:
    camera = make_camera("ideal")
    assert (camera.counts(grey(rate)[None], 64) == 64).all()
    assert all(plane.all() for plane in camera.expose([grey(rate)] * 20))


def test_a_saturated_pixel_remembers_nothing_of_it() -> None:
    camera = make_camera("ideal")
    list(camera.expose([grey(7.25)] * 10))
    after = sum(camera.expose([grey(0.0)] * 10))
    assert not np.any(after)


def test_reset_loss_costs_a_share_of_a_readout_per_spike() -> None:
    sensor = Sensor(width=50, height=50)
    camera = make_camera(CameraProfile(reset_loss=0.2), sensor)
    wanted = 500 * 0.5 / (1 + 0.2 * 0.5)
    slow = sum_planes(camera, grey(0.5, sensor), 1, 500)
    fast = camera.counts(grey(0.5, sensor)[None], 500)
    assert slow.mean() == pytest.approx(wanted, abs=0.6)
    assert fast.mean() == pytest.approx(wanted, abs=0.1)


def test_light_may_change_from_bin_to_bin() -> None:
    rates = np.stack([grey(0.25), grey(0.0), grey(0.75)])
    counts = make_camera("ideal").counts(rates, 64)
    assert [int(plane[0, 0]) for plane in counts] == [16, 0, 48]


# State and randomness


def test_charge_is_carried_between_calls() -> None:
    light = [grey(0.3 + 0.01 * index) for index in range(40)]
    whole = list(make_camera("ideal").expose(light))
    camera = make_camera("ideal")
    parts = [*camera.expose(light[:13]), *camera.expose(light[13:])]
    np.testing.assert_array_equal(whole, parts)


@pytest.mark.parametrize("profile", sorted(PROFILES))
def test_equal_seeds_give_equal_spikes(profile: str) -> None:
    def play(seed: int) -> tuple[Any, Any]:
        camera = make_camera(profile, seed=seed)
        return np.stack(list(camera.expose([grey(0.3)] * 30))), camera.counts(grey(0.3)[None], 33)

    first, same, other = play(1), play(1), play(2)
    np.testing.assert_array_equal(first[0], same[0])
    np.testing.assert_array_equal(first[1], same[1])
    assert (first[0] != other[0]).any()


def test_each_count_starts_from_a_fresh_phase() -> None:
    camera = make_camera("ideal")
    first, second = (camera.counts(grey(0.31)[None], 10) for _ in range(2))
    assert (first != second).any()


# The fixed pattern


def test_the_fixed_pattern_follows_the_profile() -> None:
    gain, dark = draw_fixed_pattern(PROFILES["daylight"], 200_000, np.random.default_rng(0))
    assert gain.dtype == dark.dtype == np.float32
    assert gain.mean() == pytest.approx(1.0, abs=0.001)
    assert gain.std() == pytest.approx(0.04, rel=0.02)
    assert np.median(dark) == pytest.approx(0.0037, rel=0.02)
    assert np.log(dark).std() == pytest.approx(0.45, rel=0.03)
    assert (dark > 5 * 0.0037).mean() == pytest.approx(0.001, rel=0.4)


def test_the_named_profiles_are_those_of_the_published_table() -> None:
    assert PROFILES["ideal"] == CameraProfile()
    assert PROFILES["daylight"] == CameraProfile(0.04, 0.0037, 0.45, 0.001, 5.0, 0.005, 5e4, 0.002)
    assert PROFILES["lowlight"] == CameraProfile(0.04, 0.0037, 0.45, 0.001, 5.0, 0.06, 5e4, 0.002)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("gain_sigma", -0.1),
        ("gain_sigma", 0.3),
        ("dark_rate_median", float("nan")),
        ("hot_fraction", 1.1),
        ("threshold_jitter", 0.3),
        ("photon_full_scale", 0.0),
        ("reset_loss", 1.0),
    ],
)
def test_an_impossible_profile_is_refused(name: str, value: float) -> None:
    with pytest.raises(RangeError, match=name):
        CameraProfile(**{name: value})


# Arguments


def test_shapes_and_dtypes_are_as_stated() -> None:
    camera = make_camera("daylight")
    counts = camera.counts(np.full((3, 4, 6), 0.2, np.float32), 64)
    plane = next(camera.expose([grey(0.2)]))
    assert (counts.shape, counts.dtype, counts.flags.c_contiguous) == ((3, 4, 6), np.uint16, True)
    assert (plane.shape, plane.dtype) == ((4, 6), np.uint8)


def test_light_is_not_changed_and_may_be_a_read_only_view() -> None:
    rates = np.random.default_rng(0).random((2, 8, 12), dtype=np.float32)
    before = rates.copy()
    view = rates[:, ::2, ::2]
    view.flags.writeable = False
    camera = make_camera("lowlight")
    counts = camera.counts(view, 1000)
    list(camera.expose(view))
    np.testing.assert_array_equal(rates, before)
    expected = view * 1000
    assert (np.abs(counts - expected) < 0.3 * expected + 40).all()


WRONG_LIGHT = [
    np.zeros((4, 5), np.float32),
    np.zeros((4, 6), np.float64),
    np.zeros(24, np.float32),
    [[0.0]],
]


@pytest.mark.parametrize("light", WRONG_LIGHT)
def test_light_of_another_shape_or_dtype_is_refused(light: Any) -> None:
    camera = make_camera("ideal")
    with pytest.raises(ShapeError, match="float32"):
        next(camera.expose([light]))
    with pytest.raises(ShapeError, match="float32"):
        camera.counts(light if isinstance(light, list) else light[None], 64)


@pytest.mark.parametrize("rate", [-0.1, float("nan"), float("inf")])
def test_impossible_light_is_refused(rate: float) -> None:
    camera = make_camera("ideal")
    light = grey(0.5)
    light[1, 2] = rate
    with pytest.raises(RangeError, match="light"):
        next(camera.expose([light]))
    with pytest.raises(RangeError, match="light"):
        camera.counts(light[None], 64)


@pytest.mark.parametrize("planes", [0, -1, 65_536])
def test_impossible_bin_lengths_are_refused(planes: int) -> None:
    with pytest.raises(RangeError, match="planes_per_bin"):
        make_camera("ideal").counts(grey(0.5)[None], planes)


def test_no_bins_are_refused() -> None:
    with pytest.raises(ShapeError):
        make_camera("ideal").counts(np.zeros((0, 4, 6), np.float32), 64)


# Acceptance: the camera against real ones


@pytest.fixture(scope="module")
def statistics_of() -> Callable[[CameraProfile], IntervalStatistics]:
    def measure(profile: CameraProfile) -> IntervalStatistics:
        sensor = Sensor(width=400, height=120)
        ramp = np.linspace(0.034, 0.667, sensor.width, dtype=np.float32)
        light = np.broadcast_to(ramp, (sensor.height, sensor.width))
        return interval_statistics(make_camera(profile, sensor).expose(light for _ in range(500)))

    return measure


Measure = Callable[[CameraProfile], IntervalStatistics]


def test_a_static_ramp_in_daylight_is_as_regular_as_a_real_camera(statistics_of: Measure) -> None:
    statistics = statistics_of(PROFILES["daylight"])
    assert statistics.mean_intervals.tolist() == list(range(2, 26))
    assert statistics.stds.min() >= 0.38
    assert statistics.stds.max() <= 0.47
    assert statistics.steady_share >= 0.95
    assert statistics.is_periodic()


@pytest.mark.parametrize("noise", [{"photon_full_scale": 500.0}, {"threshold_jitter": 0.05}])
def test_a_noisier_camera_fails_the_same_statistic(
    statistics_of: Measure, noise: dict[str, float]
) -> None:
    statistics = statistics_of(dataclasses.replace(PROFILES["daylight"], **noise))
    assert statistics.stds.max() > 0.47
    assert statistics.steady_share < 0.95
    assert not statistics.is_periodic()


def test_poisson_spikes_fail_the_same_statistic() -> None:
    generator = np.random.default_rng(0)
    ramp = np.linspace(1 / 25.5, 1 / 1.5, 400)
    planes = (generator.random((500, 60, 400)) < ramp).astype(np.uint8)
    assert not interval_statistics(planes).is_periodic()
