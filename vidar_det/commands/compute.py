"""A device's name and a number of threads come in; torch is ready to train, or refuses."""

from vidar_det.detector.torch_runtime import check_device, set_torch_threads


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
    check_device(device)
    set_torch_threads(threads or 0)
