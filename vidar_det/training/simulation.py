"""Moving light comes in, labelled windows of counts go out: training data made on the fly.

Window ``i`` of a source depends on the recipe's seed and on ``i`` alone, so a run gives the same
windows with any number of worker processes, and resumes where it stopped.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from vidar_det.datasets.moving_light import MovingLight
from vidar_det.detector.spec import EncodingSpec
from vidar_det.errors import ConfigError
from vidar_det.spikes.camera import Camera, CameraProfile, draw_fixed_pattern
from vidar_det.spikes.frame_camera import GREY_LEVELS, FrameProfile, expose_frame
from vidar_det.spikes.labels import SceneBoxes
from vidar_det.spikes.sidecar import DEFAULT_RATE_HZ
from vidar_det.spikes.stream import Sensor
from vidar_det.training.losses import Targets

SMEAR_PX = 2.0
"""Within one count, light is sampled at least once for this much motion, pixels."""
MOST_SAMPLES = 4
"""Samples of light within one count, at most."""
MOST_SAMPLES_IN_FRAME = 40
"""Samples of light within the exposure of a frame camera, at most."""
PATTERNS = 16
"""Sensors that training windows are seen with."""
AnyProfile = CameraProfile | FrameProfile
"""A spike camera, or the frame camera it is compared with."""


class LabelledWindow(NamedTuple):
    """One training example.

    Attributes:
        counts: ``(bins, H, W) uint16``.
        labels: boxes at the middle of the window.
        scored: ``(classes,) bool``: the class is completely labelled here.
        scene: name of the clip or still that it shows a part of; empty for a scene of its own.
    """

    counts: NDArray[np.uint16]
    labels: SceneBoxes
    scored: NDArray[np.bool_]
    scene: str = ""


class WindowSource(Protocol):
    """Draws windows; all randomness comes from the generator it is handed."""

    def draw(self, encoding: EncodingSpec, generator: np.random.Generator) -> LabelledWindow:
        """Make one window."""
        ...


def expose_window(
    light: MovingLight,
    middle_s: float,
    encoding: EncodingSpec,
    profile: AnyProfile,
    generator: np.random.Generator,
    rate_hz: float = DEFAULT_RATE_HZ,
) -> NDArray[np.uint16]:
    """Look at moving light for one window, without making planes.

    Light is averaged over each count, sampled more often when something moves fast, so that
    motion smears within the count as it does on the sensor.

    Args:
        light: what the camera sees; it must exist for half a window around ``middle_s``.
        middle_s: time of the window's middle, seconds.
        encoding: steps, bins and parts.
        profile: the camera's noise; of a frame camera, which gives one frame instead, exposed
            about ``middle_s`` (``encoding`` then describes the frame: one bin of 255 levels).
        generator: source of the camera's fixed pattern and noise.
        rate_hz: readouts per second.

    Returns:
        ``(bins, H, W) uint16`` counts.

    Example:
        >>> from vidar_det.spikes.camera import PROFILES
        >>> from vidar_det.spikes.procedural import procedural_backgrounds, procedural_sprites
        >>> from vidar_det.spikes.scenes import SceneSpec, compose_scene
        >>> rng = np.random.default_rng(0)
        >>> sprites, plates = procedural_sprites(rng, 1), procedural_backgrounds(rng, 1, 64, 64)
        >>> scene = compose_scene(SceneSpec(width=64, height=48), sprites, plates, rng)
        >>> expose_window(scene, 0.0064, EncodingSpec(), PROFILES["daylight"], rng).shape
        (4, 48, 64)
    """
    if isinstance(profile, FrameProfile):
        _check_frame_encoding(encoding)
        start_s = middle_s - profile.exposure_s / 2
        (mean,) = _mean_light(light, start_s, profile.exposure_s, 1, MOST_SAMPLES_IN_FRAME)
        return expose_frame(mean, profile, rate_hz, generator)[None]
    count_s = encoding.planes_per_count / rate_hz
    start_s = middle_s - encoding.window / rate_hz / 2
    rates = _mean_light(light, start_s, count_s, encoding.bins, MOST_SAMPLES)
    pattern = _worn_pattern(profile, light.width * light.height, generator)
    camera = Camera(Sensor(light.width, light.height, rate_hz), profile, generator, pattern)
    return camera.counts(rates, encoding.planes_per_count)


def _worn_pattern(
    profile: CameraProfile, pixels: int, generator: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Take one of a few sensors, shifted by a random number of pixels: as good as a new one.

    Drawing a fixed pattern takes longer than everything else the camera does.
    """
    gain, dark = _pattern(profile, pixels, int(generator.integers(PATTERNS)))
    shift = int(generator.integers(pixels))
    return np.roll(gain, shift), np.roll(dark, shift)


@lru_cache(maxsize=8 * PATTERNS)
def _pattern(
    profile: CameraProfile, pixels: int, number: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    return draw_fixed_pattern(profile, pixels, np.random.default_rng(number))


def _mean_light(
    light: MovingLight, start_s: float, span_s: float, spans: int, most: int
) -> NDArray[np.float32]:
    """Average light over each of several spans in a row, ``(spans, H, W)``."""
    speeds = light.boxes(start_s + spans * span_s / 2).speeds_px_s
    fastest = float(np.nanmax(speeds, initial=0.0))
    samples = min(most, max(1, math.ceil(fastest * span_s / SMEAR_PX)))
    rates = np.zeros((spans, light.height, light.width), np.float32)
    for index, rate in enumerate(rates):
        for sample in range(samples):
            rate += light.light(start_s + (index + (sample + 0.5) / samples) * span_s)
    if samples > 1:
        rates /= samples
    return rates


def _check_frame_encoding(encoding: EncodingSpec) -> None:
    if encoding.bins != 1 or encoding.bin_planes != GREY_LEVELS:
        raise ConfigError(
            f"encoding: found {encoding}; a frame camera wants steps = 1, parts = 1 and "
            f"bin_planes = {GREY_LEVELS}"
        )


@dataclass(frozen=True)
class SimulatedWindows(Dataset[LabelledWindow]):
    """Windows by index, drawn from weighted sources.

    Attributes:
        sources: where windows come from.
        weights: how often each source is drawn, relative to the others.
        encoding: bins of one window.
        seed: with the index, decides everything about a window.
        length: how many windows there are.
    """

    sources: Sequence[WindowSource]
    weights: Sequence[float]
    encoding: EncodingSpec
    seed: int
    length: int

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> LabelledWindow:
        generator = np.random.default_rng((self.seed, index))
        shares = np.asarray(self.weights, float) / sum(self.weights)
        source = self.sources[int(generator.choice(len(self.sources), p=shares))]
        return source.draw(self.encoding, generator)


class Batch(NamedTuple):
    """Examples side by side: ``counts [B, bins, H, W] uint8`` or int32, and their labels."""

    counts: Tensor
    targets: Targets


def collate(windows: Sequence[LabelledWindow]) -> Batch:
    """Stack windows of one size; labels are padded to the largest number of objects."""
    counts = torch.from_numpy(np.stack([window.counts for window in windows]).astype(np.int32))
    most = max(1, *(len(window.labels.xyxy) for window in windows))
    rows = len(windows)
    boxes = np.zeros((rows, most, 4), np.float32)
    class_ids = np.zeros((rows, most), np.int64)
    valid = np.zeros((rows, most), np.bool_)
    ignore = np.zeros((rows, most), np.bool_)
    for row, labels in enumerate(window.labels for window in windows):
        count = len(labels.xyxy)
        boxes[row, :count] = labels.xyxy
        class_ids[row, :count] = labels.class_ids
        ignore[row, :count] = labels.ignore
        valid[row, :count] = True
    scored = np.stack([window.scored for window in windows])
    arrays = (boxes, class_ids, valid, ignore, scored)
    return Batch(counts, Targets(*(torch.from_numpy(array) for array in arrays)))
