"""What runs a network can be chosen wherever one runs."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from service.settings import Settings
from vidar_det.cli import app
from vidar_det.detector.execution import Execution
from vidar_det.errors import VidarError

CHOICE = ("--threads", "1", "--runtime", "torch", "--precision", "f32")
CHOSEN = {"threads": 1, "runtime": "torch", "precision": "f32"}


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SETTINGS", "THREADS", "RUNTIME", "PRECISION"):
        monkeypatch.delenv(f"VIDAR_{name}", raising=False)


@pytest.mark.parametrize("words", [("serve",), ("view", "--no-browser")])
@pytest.mark.parametrize("choice", [CHOICE, ()])
def test_the_service_is_told_what_runs_its_nets(
    words: tuple[str, ...], choice: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    told: list[Settings] = []
    monkeypatch.setenv("VIDAR_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("VIDAR_PRECISION", "bf16")
    for module in ("service.serve.serve", "vidar_det.commands.view.serve"):
        monkeypatch.setattr(module, lambda settings, *_: told.append(settings))
    done = CliRunner().invoke(app, [*words, *choice])
    assert done.exit_code == 0, done.output
    found = {name: getattr(told[0], name) for name in CHOSEN}
    unsaid = {"threads": None, "runtime": "auto", "precision": "bf16"}
    assert found == (CHOSEN if choice else unsaid)


def test_so_is_the_demo(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    told: list[Execution] = []

    def note(*_: object, execution: Execution, **__: object) -> None:
        told.append(execution)
        raise VidarError("far enough")

    monkeypatch.setattr("vidar_det.commands.demo.load_detector", note)
    CliRunner().invoke(app, ["demo", *CHOICE, "--out", str(tmp_path / "out")])
    assert told == [Execution("torch", "f32", 1)]


def test_so_is_the_check(fresh_weights: Path) -> None:
    done = CliRunner().invoke(app, ["check", "--weights", str(fresh_weights), *CHOICE, "--json"])
    checks = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
    assert "in PyTorch 2." in checks["weights"]["detail"]


def test_what_does_not_go_together_is_refused(tmp_path: Path) -> None:
    words = ["demo", "--runtime", "torch", "--precision", "int8", "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 1
    assert "precision 'int8': found runtime 'torch'" in done.stderr
    assert not (tmp_path / "out").exists()
