"""A run that begins with a network of its own, beside a teacher, with something attached."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from tests.training.test_loop import recipe, weights_of
from vidar_det.detector.checkpoint import load_network
from vidar_det.detector.network import SpikingDetector, build_detector
from vidar_det.detector.spec import size_spec
from vidar_det.errors import CheckpointError
from vidar_det.pruning.detectors import detector_groups
from vidar_det.pruning.group_threshold import GroupThreshold
from vidar_det.pruning.layers import find_layers, measure_sparsity
from vidar_det.pruning.prior import Prior
from vidar_det.pruning.rewiring import GradientRewiring
from vidar_det.pruning.schedules import Linear, Sine
from vidar_det.pruning.soft_threshold import SoftThreshold
from vidar_det.training.loop import RunSpec, train
from vidar_det.training.recipe import RecipeSpec
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

    def finalise(self, other: nn.Module | None = None) -> None:
        if other is None:
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
    room: DataRoom,
    out: Path,
    student: Student,
    resume: bool = False,
    stop_at: int = 0,
    settings: RecipeSpec | None = None,
) -> Path:
    out.mkdir(exist_ok=True)

    def report(progress: Any) -> None:
        last = len((settings or recipe()).phases) - 1
        if stop_at and (progress.phase, progress.step) == (last, stop_at):
            raise KeyboardInterrupt

    how = RunSpec(resume=resume, workers=0, student=student)
    return train(settings or recipe(), room.windows, out, how, report=report, validate=look)


def look(network: SpikingDetector) -> dict[str, float]:
    """Whatever is scored is an ordinary network."""
    plain = build_detector(network.spec)
    plain.load_state_dict(network.state_dict())
    return {"sparsity": measure_sparsity(plain).total}


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


def killed_and_resumed(
    room: DataRoom, folder: Path, student: Student, settings: RecipeSpec, age: Any = dict
) -> dict[str, torch.Tensor]:
    """Stop in the last phase, let the attachment's state age, go on; returns the weights."""
    with pytest.raises(KeyboardInterrupt):
        run(room, folder, student, stop_at=3, settings=settings)
    state = torch.load(folder / "state.pt", weights_only=True)
    torch.save({**state, "attachment": age(state["attachment"])}, folder / "state.pt")
    return weights_of(run(room, folder, student, resume=True, settings=settings).parent)


@pytest.mark.parametrize("keep", [0.0, 0.25])
def test_a_soft_threshold_prunes_the_average_that_is_scored_and_stored(
    room: DataRoom, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keep: float
) -> None:
    monkeypatch.setattr("vidar_det.training.loop.SAVE_EVERY_S", 0.0)
    first, second = recipe().phases
    settings = replace(recipe(), phases=(first, replace(second, keep=keep)))

    def attach(
        network: SpikingDetector, optimizer: torch.optim.Optimizer, steps: int
    ) -> SoftThreshold:
        return SoftThreshold(network, optimizer, Sine(0.005, steps))

    student = Student(narrow(), attach=attach)
    whole = weights_of(run(room, tmp_path, student, settings=settings).parent)
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    assert state["attachment"]["threshold"] == 0.005
    zeros = 0
    for name in find_layers(narrow()):
        spines = state["averaged"][f"{name}.parametrizations.weight.original"]
        spines = torch.lerp(spines, state["start"][f"{name}.weight"], keep)
        wanted = spines.sign() * (spines.abs() - 0.005).relu()
        assert torch.equal(whole[f"{name}.weight"], wanted.half().float())
        zeros += int((wanted == 0).sum())
    rows = (tmp_path / "validation.csv").read_text().splitlines()
    assert all(float(row.split(",")[-1]) > 0.05 for row in rows[1:])
    assert zeros > 1000

    again = killed_and_resumed(room, tmp_path / "killed", student, settings)
    assert all(torch.equal(whole[name], value) for name, value in again.items())


def test_an_optimiser_that_prunes_takes_the_place_of_the_recipes(
    room: DataRoom, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vidar_det.training.loop.SAVE_EVERY_S", 0.0)

    def build(network: SpikingDetector, steps: int) -> GradientRewiring:
        return GradientRewiring(network, Prior(alpha=0.0, reach=0.5, reach_steps=steps))

    student = Student(
        narrow(), attach=lambda network, optimizer, steps: optimizer, build_optimiser=build
    )
    settings = replace(recipe(), phases=recipe().phases[:1])
    whole = weights_of(run(room, tmp_path, student, settings=settings).parent)
    network = torch.load(tmp_path / "state.pt", weights_only=True)["network"]
    zeros = weights = 0
    for name in find_layers(narrow()):
        pruned = network[f"{name}.weight"] == 0
        assert (whole[f"{name}.weight"][pruned] == 0).all()
        zeros, weights = zeros + int(pruned.sum()), weights + pruned.numel()
    assert zeros == -(-weights // 2)

    again = killed_and_resumed(room, tmp_path / "killed", student, settings)
    assert all(torch.equal(whole[name], value) for name, value in again.items())


def test_a_group_threshold_of_an_older_version_goes_on_after_a_kill(
    room: DataRoom, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vidar_det.training.loop.SAVE_EVERY_S", 0.0)
    groups = detector_groups(narrow(), 64, 96)

    def attach(
        network: SpikingDetector, optimizer: torch.optim.Optimizer, steps: int
    ) -> GroupThreshold:
        return GroupThreshold(network, optimizer, groups, Linear(0.1, steps))

    def age(state: dict[str, Any]) -> dict[str, Any]:
        known = ("groups", "schedule", "optimizer", "floor", "spines")
        return {name: state[name] for name in (*known, "steps", "rates", "threshold", "strength")}

    student = Student(narrow(), attach=attach)
    whole = weights_of(run(room, tmp_path, student).parent)
    again = killed_and_resumed(room, tmp_path / "killed", student, recipe(), age)
    assert all(torch.equal(whole[name], value) for name, value in again.items())
