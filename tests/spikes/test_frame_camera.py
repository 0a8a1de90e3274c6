import numpy as np
import pytest

from vidar_det.errors import RangeError
from vidar_det.spikes.frame_camera import FRAME_PROFILES, FrameProfile, expose_frame

RATE_HZ = 20_000


def expose(light: np.ndarray, profile: FrameProfile, seed: int = 0) -> np.ndarray:
    return expose_frame(light.astype(np.float32), profile, RATE_HZ, np.random.default_rng(seed))


def test_greys_are_proportional_to_light() -> None:
    light = np.repeat(np.array([0.05, 0.1, 0.2, 0.4]), 4000).reshape(4, 4000)
    means = expose(light, FRAME_PROFILES["frame-6ms"]).mean(1)
    np.testing.assert_allclose(means / means[-1], [0.125, 0.25, 0.5, 1.0], rtol=0.02)


def test_photons_make_noise_that_grows_with_the_root_of_the_light() -> None:
    quiet = FrameProfile(exposure_s=0.0064, read_noise=0, gain_sigma=0)
    light = np.repeat(np.array([0.01, 0.16, 1.0]), 40_000).reshape(3, 40_000)
    greys = expose(light, quiet)
    electrons_per_grey = 10_000 / 255
    expected = np.sqrt(np.array([0.01, 0.16, 1.0]) * 80 * 128) / electrons_per_grey
    found = greys[1:].std(1)
    # rounding to whole greys adds a variance of 1/12; the brightest row is cut off at the full well
    np.testing.assert_allclose(found[0], np.hypot(expected[1], 12**-0.5), rtol=0.05)
    assert found[1] < expected[2]


def test_darkness_drowns_in_read_noise() -> None:
    light = np.full((200, 200), 0.002)
    silent = FrameProfile(exposure_s=0.0064, read_noise=0)
    noisy = FrameProfile(exposure_s=0.0064, read_noise=20)
    assert expose(light, noisy).std() > 1.5 * expose(light, silent).std()


def test_a_longer_exposure_of_the_same_dark_scene_is_cleaner() -> None:
    light = np.full((200, 200), 0.002)
    noise = [
        float(
            expose(light, FRAME_PROFILES[name]).std() / expose(light, FRAME_PROFILES[name]).mean()
        )
        for name in ("frame-33ms", "frame-6ms")
    ]
    assert noise[0] < 0.7 * noise[1]


def test_light_beyond_the_full_well_is_dimmed_not_lost() -> None:
    light = np.repeat(np.array([2.0, 4.0]), 5000).reshape(2, 5000)
    means = expose(light, FRAME_PROFILES["frame-33ms"]).mean(1)
    assert means[1] > 250
    np.testing.assert_allclose(means[0] / means[1], 0.5, rtol=0.03)


def test_darkness_is_no_failure() -> None:
    assert expose(np.zeros((4, 4)), FRAME_PROFILES["frame-6ms"]).max() <= 255


@pytest.mark.parametrize("values", [{"exposure_s": 0.0}, {"exposure_s": 0.1, "read_noise": -1.0}])
def test_impossible_cameras_are_refused(values: dict[str, float]) -> None:
    with pytest.raises(RangeError, match="wanted"):
        FrameProfile(**values)
