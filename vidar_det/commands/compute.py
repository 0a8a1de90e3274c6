"""A device's name and a number of threads come in; torch is ready, or a clear refusal goes out."""

import torch

from vidar_det.detector.runtime import set_torch_threads
from vidar_det.errors import ConfigError


def prepare_compute(device: str = "cpu", threads: int | None = None) -> None:
    """Refuse a device that cannot be used, and set how many threads compute.

    Args:
        device: as torch names it.
        threads: for this process; None leaves torch's choice, within a container's quota.

    Raises:
        ConfigError: torch does not know the device, or cannot reach it.

    Example:
        >>> prepare_compute("cpu")
    """
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(f"device {device!r}: cannot be used ({reason})") from error
    set_torch_threads(threads or 0)
