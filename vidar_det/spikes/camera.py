"""Light comes in as spikes per readout, spike planes or spike counts go out, noise included.

An integrate-and-fire camera with the noise that real recordings show: almost perfectly periodic
spikes in daylight (not Poisson), a fixed pattern of gain and dark rate, a few hot pixels. Noise
model after SCSim (arXiv 2405.16790) and arXiv 2304.03129.
"""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidar_det.errors import RangeError, ShapeError
from vidar_det.spikes.integration import Floats, fire_bins, fire_plane
from vidar_det.spikes.stream import Sensor

MAX_PLANES_PER_BIN = 65_535


@dataclass(frozen=True)
class CameraProfile:
    """How far a camera is from the ideal one.

    Attributes:
        gain_sigma: standard deviation of the pixels' gain, as a share of 1.
        dark_rate_median: median over the pixels of the rate without light, in spikes per readout.
        dark_sigma_ln: standard deviation of the dark rate's natural logarithm.
        hot_fraction: share of pixels that are hot.
        hot_ratio: hot pixels have a dark rate of at least this many medians.
        threshold_jitter: standard deviation of the threshold from spike to spike, as a share of it.
        photon_full_scale: photons that make one spike; their number is Poisson, so one spike's
            charge has the variance ``1 / photon_full_scale``. ``inf`` for none.
        reset_loss: share of a readout's light that is lost after a spike.

    Raises:
        RangeError: a value is negative or not a number, a share exceeds what keeps the camera
            sensible (0.25 for ``gain_sigma``, ``threshold_jitter`` and ``reset_loss``; 1 for
            ``hot_fraction``), or ``photon_full_scale`` is below 1.

    Example:
        >>> CameraProfile(threshold_jitter=0.02).threshold_jitter
        0.02
    """

    gain_sigma: float = 0.0
    dark_rate_median: float = 0.0
    dark_sigma_ln: float = 0.0
    hot_fraction: float = 0.0
    hot_ratio: float = 5.0
    threshold_jitter: float = 0.0
    photon_full_scale: float = float("inf")
    reset_loss: float = 0.0

    def __post_init__(self) -> None:
        highest = {"gain_sigma": 0.25, "threshold_jitter": 0.25, "reset_loss": 0.25}
        highest["hot_fraction"] = 1.0
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            low = 1.0 if field.name == "photon_full_scale" else 0.0
            high = highest.get(field.name, float("inf"))
            if not low <= value <= high:
                raise RangeError(f"{field.name}: found {value}, wanted {low:g} to {high:g}")


_DAYLIGHT = CameraProfile(
    gain_sigma=0.04,
    dark_rate_median=0.0037,
    dark_sigma_ln=0.45,
    hot_fraction=0.001,
    threshold_jitter=0.005,
    photon_full_scale=5e4,
    reset_loss=0.002,
)

PROFILES: Mapping[str, CameraProfile] = MappingProxyType(
    {
        "ideal": CameraProfile(),
        "daylight": _DAYLIGHT,
        "lowlight": dataclasses.replace(_DAYLIGHT, threshold_jitter=0.06),
    }
)
"""Named cameras: ``ideal``, ``daylight`` (what to use without a reason) and ``lowlight``."""


class Camera:
    """One camera: its fixed pattern is drawn once, its pixels keep their charge between planes.

    Light is given as the rate at which an ideal pixel would fire, in spikes per readout; gain and
    dark rate come on top. From a rate of 1 on, a pixel fires at each readout.

    Args:
        sensor: size of the planes.
        profile: the noise; see ``PROFILES``.
        generator: source of all randomness. Equal seeds and equal calls give equal spikes.
        pattern: gain and dark rate of the pixels, as `draw_fixed_pattern` gives them; drawn if
            None.

    Example:
        >>> generator = np.random.default_rng(0)
        >>> camera = Camera(Sensor(width=4, height=2), PROFILES["ideal"], generator)
        >>> grey = np.full((2, 4), 0.25, np.float32)
        >>> planes = list(camera.expose([grey] * 8))
        >>> sum(planes).tolist()
        [[2, 2, 2, 2], [2, 2, 2, 2]]
    """

    def __init__(
        self,
        sensor: Sensor,
        profile: CameraProfile,
        generator: np.random.Generator,
        pattern: tuple[Floats, Floats] | None = None,
    ) -> None:
        self.sensor = sensor
        self.profile = profile
        self._generator = generator
        pixels = sensor.height * sensor.width
        self._gain, self._dark = pattern or draw_fixed_pattern(profile, pixels, generator)
        self._state: tuple[Floats, Floats, NDArray[np.uint8]] | None = None

    def expose(self, rates: Iterable[NDArray[np.float32]]) -> Iterator[NDArray[np.uint8]]:
        """Read planes one by one; the pixels' charge is carried on, also to the next call.

        Args:
            rates: one light map per readout, ``(H, W) float32``, spikes per readout, >= 0.

        Yields:
            One ``(H, W) uint8`` plane for each map, 1 where the pixel fired.

        Raises:
            ShapeError: a map has another shape or dtype.
            RangeError: a map holds negative or infinite light, or NaN.

        Example:
            >>> camera = Camera(Sensor(4, 2), PROFILES["daylight"], np.random.default_rng(0))
            >>> white = np.ones((2, 4), np.float32)
            >>> next(camera.expose([white])).shape
            (2, 4)
        """
        profile = self.profile
        noise = _floats(
            profile.threshold_jitter, 1.0 / profile.photon_full_scale, profile.reset_loss
        )
        shape = (self.sensor.height, self.sensor.width)
        state = self._state = self._state or self._draw_state()
        for light in rates:
            _check_light(light, shape)
            plane = np.empty(shape, np.uint8)
            pixels = (self._gain, self._dark)
            fire_plane(
                light.reshape(-1), pixels, state, noise, self._draw_keys(), plane.reshape(-1)
            )
            yield plane

    def counts(self, rates: NDArray[np.float32], planes_per_bin: int) -> NDArray[np.uint16]:
        """Count spikes per bin without making planes, from a fresh random phase.

        With phase ``p`` at its start, a bin of ``n`` planes with mean rate ``r`` gives
        ``floor(p + X)`` spikes, at most ``n``, and leaves ``p' = p + X - floor(p + X)``, where ::

            X = n f + sqrt(n f (jitter^2 + 1 / photon_full_scale)) z,    f = r / (1 + reset_loss r)

        ``f`` solves ``f = r (1 - reset_loss f)``: each spike costs a share of one readout. Jittered
        thresholds and photon noise both add an independent error to each spike's charge, so over
        ``n f`` spikes their variances add; ``z`` is a normal number per pixel and bin. Without
        noise and with light that is constant within each bin, this equals summing ``expose`` (up
        to float32 rounding); otherwise it agrees in mean and variance, except where noisy light
        comes within a few jitters of saturation or crosses it inside a bin.

        Args:
            rates: ``(bins, H, W) float32``, mean spikes per readout in each bin, >= 0.
            planes_per_bin: readouts in each bin.

        Returns:
            ``(bins, H, W) uint16`` counts, C-contiguous.

        Raises:
            ShapeError: ``rates`` has another shape or dtype.
            RangeError: ``rates`` holds negative or infinite light or NaN, or ``planes_per_bin`` is
                not 1 to 65,535.

        Example:
            >>> camera = Camera(Sensor(4, 2), PROFILES["ideal"], np.random.default_rng(0))
            >>> grey = np.full((1, 2, 4), 0.25, np.float32)
            >>> camera.counts(grey, planes_per_bin=64).tolist()
            [[[16, 16, 16, 16], [16, 16, 16, 16]]]
        """
        if not 1 <= planes_per_bin <= MAX_PLANES_PER_BIN:
            raise RangeError(f"planes_per_bin: found {planes_per_bin}, wanted 1 to 65535")
        bins = len(rates) if np.ndim(rates) else 0
        _check_light(rates, (bins, self.sensor.height, self.sensor.width))
        profile = self.profile
        variance = profile.threshold_jitter**2 + 1.0 / profile.photon_full_scale
        noise = _floats(planes_per_bin, variance, profile.reset_loss)
        phase = self._draw_phase()
        counts = np.empty(rates.shape, np.uint16)
        flat = np.ascontiguousarray(rates).reshape(bins, phase.size)
        pixels = (self._gain, self._dark)
        fire_bins(flat, pixels, phase, noise, self._draw_keys(), counts.reshape(flat.shape))
        return counts

    def _draw_state(self) -> tuple[Floats, Floats, NDArray[np.uint8]]:
        """Charge, threshold and last plane, as found at a random moment."""
        pixels = self.sensor.height * self.sensor.width
        jitter = self._generator.standard_normal(pixels, np.float32)
        jitter *= np.float32(self.profile.threshold_jitter)
        threshold = np.maximum(jitter + np.float32(1.0), np.float32(0.1))
        return self._draw_phase() * threshold, threshold, np.zeros(pixels, np.uint8)

    def _draw_phase(self) -> Floats:
        return self._generator.random(self.sensor.height * self.sensor.width, dtype=np.float32)

    def _draw_keys(self) -> NDArray[np.uint32]:
        return self._generator.integers(0, 2**32, size=3, dtype=np.uint32)


def draw_fixed_pattern(
    profile: CameraProfile, pixels: int, generator: np.random.Generator
) -> tuple[Floats, Floats]:
    """Draw what stays with each pixel: normal gain, log-normal dark rate, hot pixels.

    Args:
        profile: the camera's noise.
        pixels: how many to draw.
        generator: source of randomness.

    Returns:
        Gain (1 on average) and dark rate (spikes per readout), each ``(pixels,) float32``.

    Example:
        >>> gain, dark = draw_fixed_pattern(PROFILES["daylight"], 9, np.random.default_rng(0))
        >>> bool((dark > 0).all())
        True
    """
    gain = generator.standard_normal(pixels, np.float32) * np.float32(profile.gain_sigma)
    gain += 1.0
    spread = generator.standard_normal(pixels, np.float32) * np.float32(profile.dark_sigma_ln)
    dark = np.exp(spread)
    (hot,) = np.nonzero(generator.random(pixels, np.float32) < profile.hot_fraction)
    dark[hot] = profile.hot_ratio * np.exp(np.abs(spread[hot]))
    dark *= np.float32(profile.dark_rate_median)
    return np.maximum(gain, 0.0, out=gain), dark


def _check_light(light: NDArray[Any], shape: tuple[int, ...]) -> None:
    found = getattr(light, "shape", None)
    if found != shape or 0 in shape or light.dtype != np.float32:
        dtype = getattr(light, "dtype", type(light).__name__)
        raise ShapeError(f"light: found {found} {dtype}, wanted {shape} float32")
    if not (light.min() >= 0.0 and light.max() < np.inf):
        raise RangeError(f"light: found {light.min()} to {light.max()}, wanted 0 or more, finite")


def _floats(first: float, second: float, third: float) -> tuple[np.float32, np.float32, np.float32]:
    return np.float32(first), np.float32(second), np.float32(third)
