import csv
from pathlib import Path

import pytest
import torch

from vidar_det.errors import OutputError
from vidar_det.training.recipe import ComposedMix, PhaseSpec, RecipeSpec
from vidar_det.training.recipe_record import record_recipe
from vidar_det.training.run_files import RunFiles

RECIPE = RecipeSpec((PhaseSpec(windows=8),), composed=(ComposedMix(),))


def fill(files: RunFiles) -> None:
    for phase, step in ((0, 1), (0, 2), (1, 1), (1, 2)):
        files.add_row("progress.csv", {"phase": phase, "step": step, "total": step / 2})


def places(folder: Path) -> list[tuple[int, int]]:
    with (folder / "progress.csv").open(newline="") as file:
        return [(int(row["phase"]), int(row["step"])) for row in csv.DictReader(file)]


def test_a_table_has_one_header_and_a_row_per_step(tmp_path: Path) -> None:
    fill(RunFiles(tmp_path))
    lines = (tmp_path / "progress.csv").read_text().splitlines()
    assert lines == ["phase,step,total", "0,1,0.5", "0,2,1.0", "1,1,0.5", "1,2,1.0"]


def test_rows_beyond_the_state_are_taken_back(tmp_path: Path) -> None:
    files = RunFiles(tmp_path)
    fill(files)
    files.add_row("validation.csv", {"phase": 1, "step": 2, "mAP": 0.5})
    files.trim({"phase": 1, "step": 1})
    assert places(tmp_path) == [(0, 1), (0, 2), (1, 1)]
    assert (tmp_path / "validation.csv").read_text().splitlines() == ["phase,step,mAP"]
    files.trim({"phase": 0, "step": 0})
    assert places(tmp_path) == []
    fill(files)
    assert places(tmp_path) == [(0, 1), (0, 2), (1, 1), (1, 2)]


@pytest.mark.parametrize("torn", ["", "p", "phase,step,total\r\n", "phase,step,total\r\n0,"])
def test_a_torn_row_is_dropped(tmp_path: Path, torn: str) -> None:
    (tmp_path / "progress.csv").write_text(torn, newline="")
    files = RunFiles(tmp_path)
    files.trim({"phase": 0, "step": 1})
    fill(files)
    assert places(tmp_path) == [(0, 1), (0, 2), (1, 1), (1, 2)]


def test_files_that_were_never_finished_are_removed(tmp_path: Path) -> None:
    files = RunFiles(tmp_path)
    files.save_state({"recipe": record_recipe(RECIPE)})
    (tmp_path / ".state.17.partial.pt").write_bytes(b"half")
    files.trim({"phase": 0, "step": 1})
    assert [file.name for file in tmp_path.iterdir()] == ["state.pt"]


def test_a_new_run_has_no_rows(tmp_path: Path) -> None:
    files = RunFiles(tmp_path)
    fill(files)
    files.trim(None)
    assert not list(tmp_path.iterdir())


def test_a_state_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    files = RunFiles(tmp_path)
    assert files.read_state(RECIPE) is None
    state = {"recipe": record_recipe(RECIPE), "step": 3, "weights": {"a": torch.arange(3.0)}}
    files.save_state(state)
    files.save_state(state | {"step": 4})
    found = files.read_state(RECIPE)
    assert found is not None
    assert found["step"] == 4
    assert torch.equal(found["weights"]["a"], torch.arange(3.0))


def test_a_table_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    files = RunFiles(tmp_path / "gone")
    with pytest.raises(OutputError, match=r"progress\.csv: cannot be written: No such file"):
        files.add_row("progress.csv", {"phase": 0, "step": 1})
