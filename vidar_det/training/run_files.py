"""Steps and states of a run come in; a folder from which a killed run can go on goes out."""

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from vidar_det.errors import CheckpointError, OutputError
from vidar_det.outputs import atomic_path
from vidar_det.training.recipe import RecipeSpec
from vidar_det.training.recipe_record import find_difference

STATE_FILE = "state.pt"
PROGRESS_FILE = "progress.csv"
VALIDATION_FILE = "validation.csv"


class RunFiles:
    """The folder of one run.

    ``state.pt`` is replaced whole or not at all. Rows are added to the tables at once and the state
    is saved now and then, so the tables may be ahead of it; ``trim`` takes them back.

    Args:
        folder: existing folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def save_state(self, state: Mapping[str, Any]) -> None:
        """Replace ``state.pt``.

        Args:
            state: ``phase``, ``step``, the recipe's record under ``recipe``, tensors and numbers.

        Raises:
            OutputError: the disk is full or refuses; the file stays as it was.
        """
        stored = io.BytesIO()
        torch.save(state, stored)  # to memory first: on a full disk torch raises no OSError
        with atomic_path(self.folder / STATE_FILE, overwrite=True) as partial:
            partial.write_bytes(stored.getbuffer())

    def read_state(self, recipe: RecipeSpec) -> dict[str, Any] | None:
        """Read where the run stopped; None if it never started.

        Raises:
            CheckpointError: ``state.pt`` belongs to another recipe.
        """
        path = self.folder / STATE_FILE
        if not path.exists():
            return None
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        difference = find_difference(state["recipe"], recipe)
        if difference:
            raise CheckpointError(
                f"{path}: found another recipe's run, wanted this one's: {difference}"
            )
        return state

    def add_row(self, name: str, row: Mapping[str, object]) -> None:
        """Add a row to a table; its first columns are the phase and the step.

        Raises:
            OutputError: the disk is full or refuses.
        """
        path = self.folder / name
        try:
            with path.open("a", newline="") as file:
                writer = csv.DictWriter(file, row)
                if not file.tell():
                    writer.writeheader()
                writer.writerow(row)
        except OSError as error:
            reason = error.strerror or error
            raise OutputError(f"{path}: cannot be written: {reason}") from error

    def trim(self, state: Mapping[str, Any] | None) -> None:
        """Drop what a killed run left: rows of steps that will be taken again, and torn files.

        Args:
            state: where the run goes on; None for a new run, which has no rows yet.
        """
        for torn in self.folder.glob(".*.partial*"):
            torn.unlink(missing_ok=True)
        for name in (PROGRESS_FILE, VALIDATION_FILE):
            path = self.folder / name
            if state is None:
                path.unlink(missing_ok=True)
            elif path.exists():
                with path.open(newline="") as file:  # the last row may be torn
                    header, *rows = [line for line in file if line.endswith("\n")] or [""]
                reached = (state["phase"], state["step"])
                kept = [row for row in rows if _place(row) <= reached]
                with atomic_path(path, overwrite=True) as partial:
                    partial.write_text(header + "".join(kept), newline="")


def _place(row: str) -> tuple[int, int]:
    phase, step, *_ = row.split(",")
    return int(phase), int(step)
