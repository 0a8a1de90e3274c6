import json
from pathlib import Path

import cv2
import pytest
from typer.testing import CliRunner

from vidar_det.cli import app
from vidar_det.commands.dry_run import DryRun, DryRunSpec, dry_run, show_dry_run
from vidar_det.commands.train import TrainSettings
from vidar_det.errors import OutputError, SourceError
from vidar_det.training.label_check import LabelCheck
from vidar_det.training.rehearsal import Rehearsal

RECIPE = """
width = 96
height = 64
mixed_precision = false
[model]
classes = ["person", "vehicle", "cycle", "tram"]
[model.encoding]
bin_planes = 16
[[composed]]
procedural_sprites = 2
procedural_backgrounds = 2
scene = { objects = [1, 2], height_px = [30, 50], light_at_white = [0.5, 0.9] }
[[phases]]
windows = 8
batch = 4
scale = 0.5
steps = 1
[[phases]]
windows = 8
batch = 4
learning_rate = 4e-3
"""
HERE = TrainSettings(workers=0)


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.toml"
    path.write_text(RECIPE)
    return path


@pytest.mark.slow
def test_a_sound_recipe_is_learned_by_heart(recipe: Path, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    spec = DryRunSpec(windows=6, learned=2, steps=300)
    found = dry_run(recipe, tmp_path / "out", HERE, spec, lambda *step: told.append(step))
    assert found.is_learned
    assert found.rehearsal.score >= 0.9
    assert not found.hints
    assert [check.windows for check in found.labels] == [6, 6]
    assert "phase 1: no window shows a tram: it cannot be learned" in found.warnings
    assert told[:2] == [(6, 6), (6, 6)]
    assert told[-1] == (found.rehearsal.steps, 300)
    written = json.loads((tmp_path / "out" / "dry-run.json").read_text())
    assert written == json.loads(json.dumps(found.to_json()))
    assert cv2.imread(str(tmp_path / "out" / "labels.png")).shape[1] == 4 * 400


def test_what_cannot_be_learned_is_said_with_what_to_look_at(recipe: Path, tmp_path: Path) -> None:
    recipe.write_text(
        RECIPE.replace("batch = 4", "batch = 4\nlearning_rate = 1e-9", 1).replace("4e-3", "1e-9")
    )
    found = dry_run(recipe, tmp_path / "out", HERE, DryRunSpec(windows=3, learned=1, steps=3))
    assert not found.is_learned
    assert found.rehearsal.steps == 3
    assert "the loss hardly fell" in found.hints[0]
    assert "labels.png" in found.hints[-1]


@pytest.mark.parametrize(("score", "code"), [(0.95, 0), (0.2, 1)])
def test_the_command_line_fails_where_nothing_is_learned(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, score: float, code: int
) -> None:
    small = DryRunSpec(windows=2, learned=1, steps=2)
    monkeypatch.setattr("vidar_det.commands.dry_run.DryRunSpec", lambda: small)
    monkeypatch.setattr("vidar_det.commands.dry_run._precision", lambda *_: score)
    words = ["train", str(recipe), "--out", str(tmp_path / "out"), "--dry-run", "--workers", "0"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == code, result.output
    assert result.stdout == f"{tmp_path / 'out'}\n"
    assert f"AP50 {score:.3f} after 2 steps" in result.stderr
    assert {file.name for file in (tmp_path / "out").iterdir()} == {"labels.png", "dry-run.json"}


def test_a_recipe_that_shows_nothing_leaves_no_folder(recipe: Path, tmp_path: Path) -> None:
    recipe.write_text(RECIPE.replace("objects = [1, 2]", "objects = [0, 0]"))
    with pytest.raises(SourceError, match="found no object in 3 windows"):
        dry_run(recipe, tmp_path / "out", HERE, DryRunSpec(windows=3))
    assert not (tmp_path / "out").exists()


def test_a_folder_that_holds_something_is_refused(recipe: Path, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="holds files already"):
        dry_run(recipe, tmp_path, HERE)


def test_a_person_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    nothing = (float("nan"),) * 3
    check = LabelCheck(9, 9, 0, {"person": 0}, {"person": 9}, 0, 0, 0, nothing, nothing, 0)
    show_dry_run(DryRun([check], Rehearsal(400, 9.5, 9.0, 0.25), ("look here",)))
    text = " ".join(capsys.readouterr().err.split())
    assert "phase 1: 9 windows, 9 empty; person 0, ignored 0; heights - pixels" in text
    assert "warning: phase 1: 9 of 9 windows show no object" in text
    assert "NOT learned by heart: AP50 0.250 after 400 steps, loss 9.50 to 9.00" in text
    assert "- look here" in text
