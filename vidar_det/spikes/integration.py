"""Light per pixel comes in, spikes or spike counts go out: the inner loops of ``camera``.

Every pixel adds its light to a charge; at the threshold (1 on average) it fires and the threshold
is subtracted (*soft reset*). The reset is asynchronous and the readout latches a flag, so several
crossings within one readout give one spike, and what they took is gone: a saturated pixel fires at
each readout and remembers nothing of it.

Noise comes from a hash of the pixel's index and three random keys (*counter-based*: no state to
carry, and the loops vectorise). Its distribution is the sum of four uniform bytes: mean 0,
variance 1, bounded at 3.45, excess kurtosis -0.3.
"""

import numba
import numpy as np
from numpy.typing import NDArray

from vidar_det.compilation import compiled

Floats = NDArray[np.float32]

_ONE = np.float32(1.0)
_ZERO = np.float32(0.0)
_BYTE = np.uint32(0xFF)
_BYTES_MEAN = np.float32(4 * 255 / 2)
_BYTES_SCALE = np.float32(1.0 / np.sqrt(4 * (256**2 - 1) / 12))


@numba.njit(inline="always", error_model="numpy")
def _normal(index: int, first: np.uint32, second: np.uint32) -> np.float32:
    """Draw a nearly normal number: the 32-bit finaliser of MurmurHash3, keyed twice."""
    word = np.uint32(np.uint32(index) ^ first)
    word = np.uint32((word ^ (word >> np.uint32(16))) * np.uint32(0x85EBCA6B))
    word = np.uint32((word ^ (word >> np.uint32(13))) + second)
    word = np.uint32(word * np.uint32(0xC2B2AE35))
    word = np.uint32(word ^ (word >> np.uint32(16)))
    low = np.uint32(word & _BYTE) + np.uint32((word >> np.uint32(8)) & _BYTE)
    high = np.uint32((word >> np.uint32(16)) & _BYTE) + np.uint32(word >> np.uint32(24))
    return (np.float32(np.int32(low + high)) - _BYTES_MEAN) * _BYTES_SCALE


@compiled
def fire_plane(
    rates: Floats,
    pixels: tuple[Floats, Floats],
    state: tuple[Floats, Floats, NDArray[np.uint8]],
    noise: tuple[np.float32, np.float32, np.float32],
    keys: NDArray[np.uint32],
    plane: NDArray[np.uint8],
) -> None:
    """Integrate one readout.

    Args:
        rates: ``(P,) float32`` light, in spikes per readout.
        pixels: gain and dark rate, each ``(P,) float32``.
        state: charge and threshold ``(P,) float32``, and the last plane ``(P,) uint8``; advanced
            in place.
        noise: threshold jitter (standard deviation per spike), shot noise (variance per spike) and
            reset loss (share of a readout after a spike).
        keys: ``(3,) uint32``, fresh for each readout.
        plane: ``(P,) uint8``, written.
    """
    gain, dark = pixels
    charge, threshold, fired = state
    jitter, shot_variance, reset_loss = noise
    for pixel in range(rates.size):
        light = gain[pixel] * rates[pixel] + dark[pixel]
        light *= _ONE - reset_loss * np.float32(fired[pixel])
        shot = np.sqrt(light * shot_variance) * _normal(pixel, keys[0], keys[1])
        total = charge[pixel] + light + shot
        spike = total >= threshold[pixel]
        fresh = _ONE + jitter * _normal(pixel, keys[1], keys[2])
        rest = total - threshold[pixel] if spike else total
        limit = fresh if spike else threshold[pixel]
        charge[pixel] = rest - max(np.floor(rest / limit), _ZERO) * limit
        threshold[pixel] = limit
        plane[pixel] = np.uint8(spike)
        fired[pixel] = np.uint8(spike)


@compiled
def fire_bins(
    rates: Floats,
    pixels: tuple[Floats, Floats],
    phase: Floats,
    noise: tuple[np.float32, np.float32, np.float32],
    keys: NDArray[np.uint32],
    counts: NDArray[np.uint16],
) -> None:
    """Integrate whole bins at once; ``Camera.counts`` states the closed form.

    Args:
        rates: ``(bins, P) float32`` mean light in each bin, in spikes per readout.
        pixels: gain and dark rate, each ``(P,) float32``.
        phase: ``(P,) float32`` charge at the start; advanced in place.
        noise: planes per bin, variance per spike (jitter and shot noise together), reset loss.
        keys: ``(3,) uint32``.
        counts: ``(bins, P) uint16``, written.
    """
    gain, dark = pixels
    planes, variance, reset_loss = noise
    for index in range(rates.shape[0]):
        first = np.uint32(keys[0] + np.uint32(index) * np.uint32(0x9E3779B9))
        for pixel in range(rates.shape[1]):
            light = gain[pixel] * rates[index, pixel] + dark[pixel]
            spikes = planes * light / (_ONE + reset_loss * light)
            total = phase[pixel] + spikes
            if variance > _ZERO:
                total += np.sqrt(spikes * variance) * _normal(pixel, first, keys[1])
            whole = max(np.floor(total), _ZERO)
            phase[pixel] = total - whole
            counts[index, pixel] = np.uint16(min(whole, planes))
