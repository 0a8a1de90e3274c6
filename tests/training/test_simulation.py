from dataclasses import dataclass

import numpy as np
import pytest

from vidar_det.datasets.moving_light import Light
from vidar_det.detector.spec import EncodingSpec
from vidar_det.errors import ConfigError
from vidar_det.spikes.camera import PROFILES
from vidar_det.spikes.frame_camera import FRAME_PROFILES
from vidar_det.spikes.labels import BoxRow, SceneBoxes, stack_boxes
from vidar_det.training.simulation import expose_window

ENCODING = EncodingSpec(steps=1)


@dataclass(frozen=True)
class Curtain:
    """A bright half-plane that advances from the left over a dark one."""

    speed_px_s: float
    width: int = 64
    height: int = 8

    def edge(self, time_s: float) -> float:
        return 20.0 + self.speed_px_s * time_s

    def light(self, time_s: float) -> Light:
        columns = np.arange(self.width, dtype=np.float32)
        share = np.clip(self.edge(time_s) - columns, 0, 1)
        return np.tile((0.1 + 0.7 * share).astype(np.float32), (self.height, 1))

    def boxes(self, time_s: float) -> SceneBoxes:
        box = (0.0, 0.0, self.edge(time_s), float(self.height))
        return stack_boxes([BoxRow(box, 0, 1, False, self.speed_px_s)])


def expose(light: Curtain) -> np.ndarray:
    return expose_window(light, 0.01, ENCODING, PROFILES["ideal"], np.random.default_rng(0))


@pytest.mark.parametrize(("speed_px_s", "least", "most"), [(0.0, 0, 0), (4000.0, 4, 9)])
def test_fast_motion_smears_within_a_count(speed_px_s: float, least: int, most: int) -> None:
    row = expose(Curtain(speed_px_s))[0].mean(0)
    between = (row > 0.15 * 32) & (row < 0.75 * 32)
    assert least <= between.sum() <= most


def test_counts_follow_the_light_in_time() -> None:
    first, second = expose(Curtain(4000.0, width=96, height=200)).astype(int)
    # half a bin later the edge is 6.4 pixels further
    assert (second.sum() - first.sum()) / (200 * 0.7 * 32) == pytest.approx(6.4, abs=0.2)


def test_the_camera_sees_the_mean_light() -> None:
    counts = expose(Curtain(0.0))
    assert counts[:, :, :20].mean() == pytest.approx(0.8 * 32, abs=0.2)
    assert counts[:, :, 21:].mean() == pytest.approx(0.1 * 32, abs=0.2)


def test_a_frame_camera_smears_over_its_whole_exposure() -> None:
    encoding = EncodingSpec(steps=1, parts=1, bin_planes=255)
    smears = []
    for name in ("frame-33ms", "frame-6ms"):
        light = Curtain(1000.0)
        frame = expose_window(light, 0.02, encoding, FRAME_PROFILES[name], np.random.default_rng(0))
        assert frame.shape == (1, 8, 64)
        row = frame[0].mean(0) / frame[0].max()
        smears.append(int(((row > 0.2) & (row < 0.9)).sum()))
    assert smears[0] > 3 * smears[1]


def test_a_frame_is_one_bin() -> None:
    generator = np.random.default_rng(0)
    with pytest.raises(ConfigError, match="bin_planes = 255"):
        expose_window(Curtain(0.0), 0.02, ENCODING, FRAME_PROFILES["frame-6ms"], generator)
