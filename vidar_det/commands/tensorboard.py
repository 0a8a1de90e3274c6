"""Figures of a run come in, files that TensorBoard reads go out; the package is optional."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from vidar_det.errors import ConfigError

AddScalars = Callable[[Mapping[str, float], int], None]
"""Takes figures by name and how many windows the run has seen."""


@contextlib.contextmanager
def tensorboard_scalars(folder: Path) -> Iterator[AddScalars]:
    """Write figures for TensorBoard.

    Args:
        folder: made when the first figures come. Later figures that it holds already, from steps
            that a resumed run takes again, are hidden.

    Yields:
        A function to call with figures; a ``/`` in a name makes a group.

    Raises:
        ConfigError: TensorBoard is not installed.

    Example:
        >>> with tensorboard_scalars(Path("run/tensorboard")) as add:  # doctest: +SKIP
        ...     add({"loss/total": 5.2}, 1600)
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise ConfigError(
            "--tensorboard: TensorBoard is not installed; pip install 'vidar-det[tensorboard]'"
        ) from error
    with contextlib.ExitStack() as stack:
        writer: SummaryWriter | None = None

        def add(figures: Mapping[str, float], windows: int) -> None:
            nonlocal writer
            if writer is None:
                writer = stack.enter_context(SummaryWriter(folder, purge_step=windows))
            for name, value in figures.items():
                writer.add_scalar(name, value, windows)

        yield add
