"""A time comes in, a position and a velocity go out: paths of objects and of the camera."""

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Path:
    """A point that moves with constant acceleration.

    Attributes:
        centre_s: time at which it is at ``position_px``.
        position_px: x, y at ``centre_s``.
        velocity_px_s: x, y at ``centre_s``.
        acceleration_px_s2: x, y.

    Example:
        >>> Path(1.0, (10.0, 5.0), (100.0, 0.0)).at(1.5)
        (60.0, 5.0)
    """

    centre_s: float
    position_px: tuple[float, float]
    velocity_px_s: tuple[float, float]
    acceleration_px_s2: tuple[float, float] = (0.0, 0.0)

    def at(self, time_s: float) -> tuple[float, float]:
        """Position x, y in pixels at a time in seconds."""
        dt = time_s - self.centre_s
        (x, y), (vx, vy), (ax, ay) = self.position_px, self.velocity_px_s, self.acceleration_px_s2
        return x + dt * (vx + 0.5 * ax * dt), y + dt * (vy + 0.5 * ay * dt)

    def velocity_at(self, time_s: float) -> tuple[float, float]:
        """Velocity x, y in pixels per second at a time in seconds."""
        dt = time_s - self.centre_s
        (vx, vy), (ax, ay) = self.velocity_px_s, self.acceleration_px_s2
        return vx + ax * dt, vy + ay * dt


@dataclass(frozen=True)
class Shake:
    """A camera that trembles: one sinusoid in x, another in y.

    Attributes:
        amplitude_px: largest shift; 0 is a firm stand.
        rate_hz: x, y.
        phase: x, y in radians.

    Example:
        >>> Shake().at(0.3)
        (0.0, 0.0)
    """

    amplitude_px: float = 0.0
    rate_hz: tuple[float, float] = (5.0, 7.0)
    phase: tuple[float, float] = (0.0, 0.0)

    def at(self, time_s: float) -> tuple[float, float]:
        """Shift x, y in pixels at a time in seconds."""
        (fx, fy), (px, py) = self.rate_hz, self.phase
        return (
            self.amplitude_px * math.sin(math.tau * fx * time_s + px),
            self.amplitude_px * math.sin(math.tau * fy * time_s + py),
        )

    def velocity_at(self, time_s: float) -> tuple[float, float]:
        """Velocity x, y in pixels per second at a time in seconds."""
        (fx, fy), (px, py) = self.rate_hz, self.phase
        return (
            self.amplitude_px * math.tau * fx * math.cos(math.tau * fx * time_s + px),
            self.amplitude_px * math.tau * fy * math.cos(math.tau * fy * time_s + py),
        )


def draw_shake(amplitude_px: tuple[float, float], generator: np.random.Generator) -> Shake:
    """Draw a shake of 2 to 12 Hz.

    Args:
        amplitude_px: range of the largest shift.
        generator: source of randomness.

    Returns:
        A shake; the same one for the same state of the generator.

    Example:
        >>> draw_shake((1.5, 1.5), np.random.default_rng(0)).amplitude_px
        1.5
    """
    fx, fy = generator.uniform(2.0, 12.0, 2).tolist()
    px, py = generator.uniform(0.0, math.tau, 2).tolist()
    return Shake(float(generator.uniform(*amplitude_px)), (fx, fy), (px, py))


def draw_log_uniform(bounds: tuple[float, float], generator: np.random.Generator) -> float:
    """Draw a positive number whose logarithm is uniform: small and large equally often.

    Args:
        bounds: lowest and highest value, both above 0.
        generator: source of randomness.

    Returns:
        A number between the bounds.

    Example:
        >>> draw_log_uniform((2.0, 2.0), np.random.default_rng(0))
        2.0
    """
    low, high = bounds
    return float(low * (high / low) ** generator.random())
