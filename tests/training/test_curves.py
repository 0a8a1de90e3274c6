from pathlib import Path

import cv2
import numpy as np
import pytest

from vidar_det.errors import OutputError
from vidar_det.training.curves import draw_curves, read_table, thin
from vidar_det.training.recipe import ComposedMix, PhaseSpec, RecipeSpec
from vidar_det.training.run_files import RunFiles

RECIPE = RecipeSpec(
    (PhaseSpec(windows=64, batch=4), PhaseSpec(windows=32, batch=4)), composed=(ComposedMix(),)
)


def fill(folder: Path, loss: float = 8.0) -> None:
    files = RunFiles(folder)
    losses = {"total": loss, "box": 1.0, "score": 2.0, "distribution": 3.0, "positives": 40.0}
    for phase, step in ((0, 1), (0, 16), (1, 1)):
        row = {"phase": phase, "step": step, "learning_rate": "2.000e-03", **losses}
        files.add_row("progress.csv", row | {"windows_per_s": "0.0"})


def test_curves_show_what_the_tables_hold(tmp_path: Path) -> None:
    assert draw_curves(tmp_path, RECIPE) is None  # no step was taken
    fill(tmp_path)
    assert draw_curves(tmp_path, RECIPE) == tmp_path / "curves.png"
    first = cv2.imread(str(tmp_path / "curves.png"))
    assert first.shape == (700, 1000, 3)
    row = {"phase": 0, "step": 16, "windows": 64, "mAP": "0.25000", "AP50_cycle": "nan"}
    RunFiles(tmp_path).add_row("validation.csv", row)
    draw_curves(tmp_path, RECIPE)
    changed = (cv2.imread(str(tmp_path / "curves.png")) != first).any(2)
    assert changed[:350, 500:].any()  # average precision, and nothing else
    changed[:350, 500:] = False
    assert not changed.any()


def test_a_picture_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    fill(tmp_path)
    (tmp_path / "curves.png").mkdir()
    with pytest.raises(OutputError, match="found a folder, wanted a file"):
        draw_curves(tmp_path, RECIPE)


def test_a_table_without_rows_is_empty(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("phase,step\n")
    assert read_table(tmp_path / "a.csv") == {}
    assert read_table(tmp_path / "none.csv") == {}


@pytest.mark.parametrize("size", [1, 399, 400, 401, 1234])
def test_thinning_keeps_the_mean_and_few_points(size: int) -> None:
    values = np.arange(size, dtype=float)
    kept = thin(values)
    assert len(kept) <= 400
    assert len(kept) == size if size <= 400 else len(kept) > 100
    assert (np.diff(kept) > 0).all()
    assert kept.min() >= 0
    assert kept.max() <= size - 1
