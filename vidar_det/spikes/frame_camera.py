"""Light comes in as spikes per readout, an ordinary camera's 8-bit frame goes out: the rival.

A spike camera is worth its price only if it sees what a frame camera misses. So the same scenes
can be exposed as frames: light is summed over the exposure (and smears), photons arrive at random,
the sensor saturates at its full well, the amplifier adds read noise, the result has 8 bits.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vidar_det.errors import RangeError

GREY_LEVELS = 255
"""Highest value of a frame."""
AUTO_EXPOSURE_SHARE = 0.99
"""Automatic exposure brings this share of the pixels below the highest grey."""


@dataclass(frozen=True)
class FrameProfile:
    """An ordinary camera that looks at a spike camera's scene through the same lens.

    Attributes:
        exposure_s: time that one frame collects light, seconds.
        electrons_per_spike: electrons from the light that makes a spike camera's pixel fire once.
        full_well: electrons at which a pixel saturates.
        read_noise: standard deviation of what reading adds, electrons.
        gain_sigma: standard deviation of the pixels' gain, as a share of 1.

    Raises:
        RangeError: a value is negative, or the exposure or full well is not positive.

    Example:
        >>> FrameProfile(exposure_s=1 / 30).full_well
        10000.0
    """

    exposure_s: float
    electrons_per_spike: float = 80.0
    full_well: float = 10_000.0
    read_noise: float = 4.0
    gain_sigma: float = 0.01

    def __post_init__(self) -> None:
        if not min(self.exposure_s, self.electrons_per_spike, self.full_well) > 0:
            raise RangeError(f"{self}: wanted positive times and charges")
        if min(self.read_noise, self.gain_sigma) < 0:
            raise RangeError(f"{self}: wanted noise of 0 or more")


FRAME_PROFILES = {
    "frame-33ms": FrameProfile(exposure_s=1 / 30),
    "frame-6ms": FrameProfile(exposure_s=128 / 20_000),
}
"""30 frames/s with the full frame time, and with the time of one default window: equal photons.

With the defaults a pixel saturates in 6.4 ms where a spike camera's fires at every readout."""


def expose_frame(
    light: NDArray[np.float32],
    profile: FrameProfile,
    rate_hz: float,
    generator: np.random.Generator,
) -> NDArray[np.uint16]:
    """Take one frame, exposed automatically: a filter dims what saturates, gain lifts the rest.

    Args:
        light: ``(H, W) float32``, spikes per readout, mean over the exposure.
        profile: the camera.
        rate_hz: readouts per second that ``light`` refers to.
        generator: source of the noise.

    Returns:
        ``(H, W) uint16`` greys, 0 to 255, proportional to light.

    Example:
        >>> grey = np.full((2, 3), 0.5, np.float32)
        >>> frame = expose_frame(grey, FrameProfile(0.01), 20_000, np.random.default_rng(0))
        >>> frame.shape, frame.dtype
        ((2, 3), dtype('uint16'))
    """
    electrons = light * np.float32(profile.electrons_per_spike * profile.exposure_s * rate_hz)
    brightest = max(float(np.quantile(electrons, AUTO_EXPOSURE_SHARE)), 1.0)
    electrons *= np.float32(min(1.0, profile.full_well / brightest))
    gain = 1.0 + profile.gain_sigma * generator.standard_normal(light.shape, np.float32)
    collected = generator.poisson(electrons * np.maximum(gain, 0.0)).clip(0, profile.full_well)
    read = collected + profile.read_noise * generator.standard_normal(light.shape, np.float32)
    white = min(brightest, profile.full_well)
    greys = np.clip(np.rint(read * (GREY_LEVELS / white)), 0, GREY_LEVELS)
    return np.asarray(greys, dtype=np.uint16)
