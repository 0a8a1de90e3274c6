"""A run that begins with a network of its own, beside a teacher, with something attached."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.training.test_loop import recipe, weights_of
from vidar_det.detector.checkpoint import load_network
from vidar_det.detector.network import SpikingDetector, build_detector
from vidar_det.detector.spec import size_spec
from vidar_det.errors import CheckpointError
from vidar_det.training.loop import RunSpec, train
from vidar_det.training.sources import DataRoom, open_data
from vidar_det.training.start import detector_spec
from vidar_det.training.student import Student


class Freeze:
    """Undoes what the optimiser does to the stem, and counts its steps."""

    def __init__(self, network: SpikingDetector, optimizer: torch.optim.Optimizer) -> None:
        self.weight = network.get_parameter("backbone.stem.0.weight")
        self.start = self.weight.detach().clone()
        self.count = 0
        self.hook = optimizer.register_step_post_hook(self.undo)

    @torch.no_grad()
    def undo(self, *_: object) -> None:
        self.count += 1
        self.weight.copy_(self.start)

    def state_dict(self) -> dict[str, Any]:
        return {"count": self.count, "start": self.start.clone()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.count = state["count"]
        self.start.copy_(state["start"])

    def finalise(self) -> None:
        self.hook.remove()


@pytest.fixture(scope="module")
def room() -> DataRoom:
    return open_data(recipe(), Path())


def narrow() -> SpikingDetector:
    """A network of no named size."""
    torch.manual_seed(7)
    spec = detector_spec(recipe())
    return build_detector(replace(spec, stem=spec.stem, pool=20, lateral=(24, 24)))


def run(
    room: DataRoom, out: Path, student: Student, resume: bool = False, stop_at: int = 0
) -> Path:
    out.mkdir(exist_ok=True)

    def report(progress: Any) -> None:
        if stop_at and progress.phase == 1 and progress.step == stop_at:
            raise KeyboardInterrupt

    how = RunSpec(resume=resume, workers=0, student=student)
    return train(recipe(), room.windows, out, how, report=report)


def test_the_students_spec_counts_and_its_weights_are_the_start(
    room: DataRoom, tmp_path: Path
) -> None:
    network = narrow()
    path = run(room, tmp_path, Student(network))
    trained = load_network(path)
    assert trained.spec == network.spec
    apart = trained.get_parameter("backbone.stem.0.weight") - network.get_parameter(
        "backbone.stem.0.weight"
    )
    assert 0 < apart.abs().max() < 0.1


def test_a_teacher_pulls(room: DataRoom, tmp_path: Path) -> None:
    torch.manual_seed(1)
    teacher = build_detector(size_spec("nano", encoding=recipe().model.encoding))
    alone = weights_of(run(room, tmp_path / "alone", Student(narrow())).parent)
    taught = run(room, tmp_path / "taught", Student(narrow(), teacher)).parent
    ignored = run(room, tmp_path / "ignored", Student(narrow(), teacher, distillation=0.0)).parent
    assert any(not torch.equal(alone[name], value) for name, value in weights_of(taught).items())
    assert all(torch.equal(alone[name], value) for name, value in weights_of(ignored).items())


def test_what_is_attached_is_saved_and_goes_on_after_a_kill(
    room: DataRoom, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vidar_det.training.loop.SAVE_EVERY_S", 0.0)
    attached: list[Freeze] = []

    def attach(network: SpikingDetector, optimizer: torch.optim.Optimizer, steps: int) -> Freeze:
        assert steps == 4
        attached.append(Freeze(network, optimizer))
        return attached[-1]

    student = Student(narrow(), attach=attach)
    whole = weights_of(run(room, tmp_path / "whole", student).parent)
    assert [one.count for one in attached] == [4, 4]
    stem = narrow().get_parameter("backbone.stem.0.weight").half().float()
    assert torch.equal(whole["backbone.stem.0.weight"], stem)

    with pytest.raises(KeyboardInterrupt):
        run(room, tmp_path / "killed", student, stop_at=3)
    again = weights_of(run(room, tmp_path / "killed", student, resume=True).parent)
    assert all(torch.equal(whole[name], value) for name, value in again.items())
    assert attached[-1].count == 4


def test_a_state_without_what_is_attached_is_refused(room: DataRoom, tmp_path: Path) -> None:
    run(room, tmp_path, Student(narrow()))
    student = Student(narrow(), attach=lambda network, optimizer, _: Freeze(network, optimizer))
    with pytest.raises(CheckpointError, match="nothing was attached"):
        run(room, tmp_path, student, resume=True)
