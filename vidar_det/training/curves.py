"""The tables of a run come in, a picture of its curves goes out."""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from vidar_det.outputs import atomic_path
from vidar_det.training.recipe import RecipeSpec
from vidar_det.training.run_files import PROGRESS_FILE, VALIDATION_FILE

CURVES_FILE = "curves.png"
POINTS = 400
"""Most points of a curve; where there are more steps, a point is the mean of neighbours."""

Table = dict[str, NDArray[np.float64]]


def draw_curves(folder: Path, recipe: RecipeSpec) -> Path | None:
    """Draw a run's loss, learning rate, speed and average precision over the windows it saw.

    Args:
        folder: with ``progress.csv`` and perhaps ``validation.csv``.
        recipe: the run's.

    Returns:
        ``curves.png`` in that folder; None where no step was taken yet.

    Raises:
        OutputError: the picture cannot be written.

    Example:
        >>> draw_curves(Path("runs/nano"), read_recipe(Path("recipe.toml")))  # doctest: +SKIP
        PosixPath('runs/nano/curves.png')
    """
    progress = read_table(folder / PROGRESS_FILE)
    if not progress:
        return None
    places = zip(progress["phase"], progress["step"], strict=True)
    seen = np.array([recipe.windows_at(int(phase), int(step)) for phase, step in places], float)
    figure = Figure(figsize=(10, 7), layout="constrained")
    losses, precision, rate, speed = figure.subplots(2, 2).flat
    edges = [recipe.windows_at(number + 1, 0) for number in range(len(recipe.phases))]
    for name in ("total", "box", "score", "distribution"):
        losses.plot(thin(seen), thin(progress[name]), label=name)
    losses.legend()
    _plot_precision(precision, read_table(folder / VALIDATION_FILE))
    rate.plot(thin(seen), thin(progress["learning_rate"]))
    seconds = 1 / progress["windows_per_s"].clip(min=0.05)
    speed.plot(thin(seen), 1 / thin(seconds))
    titles = ("loss", "average precision of the averaged weights", "learning rate", "windows/s")
    for axes, title in zip((losses, precision, rate, speed), titles, strict=True):
        axes.set(title=title, xlabel="windows seen", xlim=(0, edges[-1]), ylim=(0, None))
        axes.grid(alpha=0.3)
        for edge in edges[:-1]:
            axes.axvline(edge, color="grey", linestyle=":", linewidth=1)
    figure.suptitle(f"{seen[-1]:,.0f} of {edges[-1]:,} windows")
    with atomic_path(folder / CURVES_FILE, overwrite=True) as partial:
        figure.savefig(partial)
    return folder / CURVES_FILE


def read_table(path: Path) -> Table:
    """Read a table of numbers; empty where there is none, or no row.

    Returns:
        ``(rows,) float64`` by column.
    """
    if not path.exists():
        return {}
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return {name: np.array([float(row[name]) for row in rows]) for name in rows[0]} if rows else {}


def thin(values: NDArray[np.float64], points: int = POINTS) -> NDArray[np.float64]:
    """Average neighbours, so that at most so many values are left.

    Example:
        >>> thin(np.array([1.0, 3.0, 5.0, 7.0, 20.0]), points=3).tolist()
        [2.0, 6.0, 20.0]
    """
    starts = np.arange(0, values.size, -(-values.size // points))
    sizes = np.diff(np.append(starts, values.size))
    return np.asarray(np.add.reduceat(values, starts) / sizes, np.float64)


def _plot_precision(axes: Axes, table: Table) -> None:
    if not table:
        axes.text(0.5, 0.5, "not validated", ha="center", transform=axes.transAxes)
        return
    names: Sequence[str] = [name for name in table if name not in ("phase", "step", "windows")]
    for name in names:
        axes.plot(table["windows"], table[name], marker=".", label=name)
    axes.legend()
