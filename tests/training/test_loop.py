import ast
import contextlib
import csv
import resource
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from vidar_det.detector.checkpoint import load_network, read_checkpoint
from vidar_det.detector.encoding import encode
from vidar_det.detector.head import RawPredictions
from vidar_det.detector.network import SpikingDetector, build_detector
from vidar_det.detector.normalisation import recalibrate
from vidar_det.detector.spec import EncodingSpec
from vidar_det.errors import CheckpointError, OutputError, TrainingError
from vidar_det.spikes.scene_spec import SceneSpec
from vidar_det.training import loop
from vidar_det.training.averaging import Averaged
from vidar_det.training.loop import Progress, RunSpec, train
from vidar_det.training.losses import LossTerms, detection_loss
from vidar_det.training.recipe import (
    ComposedMix,
    ModelSpec,
    PhaseSpec,
    RecipeSpec,
    ValidationSpec,
)
from vidar_det.training.run_files import RunFiles
from vidar_det.training.simulation import collate
from vidar_det.training.sources import DataRoom, open_data
from vidar_det.training.start import detector_spec

Spoil = Callable[[LossTerms, RawPredictions], LossTerms]

SCENE = SceneSpec(
    objects=(1, 2),
    height_px=(30.0, 50.0),
    speed_px_s=(0.0, 300.0),
    light_at_white=(0.5, 0.9),
    truncation_probability=0.0,
    distractors=(0, 0),
)


def recipe(*phases: PhaseSpec) -> RecipeSpec:
    return RecipeSpec(
        phases=phases or (PhaseSpec(windows=8, batch=2), PhaseSpec(windows=8, batch=2, steps=1)),
        model=ModelSpec(encoding=EncodingSpec(steps=2, bin_planes=16)),
        composed=(ComposedMix(procedural_sprites=2, procedural_backgrounds=2, scene=SCENE),),
        width=96,
        height=64,
        mixed_precision=False,
        recalibrate_windows=3,
    )


@pytest.fixture(scope="module")
def room() -> DataRoom:
    return open_data(recipe(), Path())


def test_the_same_index_is_the_same_window(room: DataRoom) -> None:
    windows = room.windows(recipe().phases[0], 0)
    first, again, other = windows[3], windows[3], windows[4]
    assert (first.counts == again.counts).all()
    assert (first.labels.xyxy == again.labels.xyxy).all()
    assert not (first.counts == other.counts).all()


def test_phases_see_windows_of_their_own(room: DataRoom) -> None:
    phase = recipe().phases[0]
    assert not (room.windows(phase, 0)[0].counts == room.windows(phase, 1)[0].counts).all()


def test_a_scaled_phase_sees_smaller_pictures(room: DataRoom) -> None:
    windows = room.windows(PhaseSpec(windows=4, scale=0.5, steps=1), 0)
    assert windows[0].counts.shape == (2, 32, 48)


def test_batches_pad_labels_and_keep_counts(room: DataRoom) -> None:
    windows = room.windows(recipe().phases[0], 0)
    examples = [windows[index] for index in range(4)]
    batch = collate(examples)
    assert batch.counts.shape == (4, 4, 64, 96)
    for row, example in enumerate(examples):
        valid = batch.targets.valid[row]
        assert int(valid.sum()) == len(example.labels.xyxy)
        assert torch.equal(batch.targets.boxes[row, valid], torch.from_numpy(example.labels.xyxy))


HERE = RunSpec(workers=0)
AGAIN = RunSpec(workers=0, resume=True)


def score(network: SpikingDetector) -> dict[str, float]:
    """Stands in for average precision: any other weight gives another figure."""
    return {"mAP": float(sum(value.double().sum() for value in network.state_dict().values()))}


def weights_of(run: Path) -> dict[str, torch.Tensor]:
    return dict(read_checkpoint(run / "model.safetensors").tensors)


def rows_of(run: Path, name: str = "progress.csv") -> list[list[str]]:
    """All columns but the speed."""
    return [line.split(",")[:8] for line in (run / name).read_text().splitlines()]


def same_weights(left: Path, right: Path) -> bool:
    found, wanted = weights_of(left), weights_of(right)
    return found.keys() == wanted.keys() and all(torch.equal(found[n], wanted[n]) for n in wanted)


@pytest.fixture(scope="module")
def whole(room: DataRoom, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing broke."""
    folder = tmp_path_factory.mktemp("whole")
    train(recipe(), room.windows, folder, HERE, validate=score)
    return folder


def test_a_run_writes_weights_progress_and_curves(room: DataRoom, tmp_path: Path) -> None:
    seen: list[Progress] = []
    path = train(recipe(), room.windows, tmp_path, HERE, report=seen.append)
    assert load_network(path).spec == detector_spec(recipe())
    steps = [(p.phase, p.step) for p in seen]
    assert steps == [*((n, s) for n in (0, 1) for s in (1, 2, 3, 4)), (2, 1), (2, 2)]
    with (tmp_path / "progress.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 8
    assert (tmp_path / "curves.png").read_bytes()[1:4] == b"PNG"
    assert {file.name for file in tmp_path.iterdir()} == {
        *("model.safetensors", "progress.csv", "curves.png", "state.pt")
    }


def test_the_averaged_weights_are_scored_now_and_then(room: DataRoom, tmp_path: Path) -> None:
    settings = replace(recipe(), validation=ValidationSpec("unused", every_windows=5))
    scored: list[int] = []

    def count(network: SpikingDetector) -> dict[str, float]:
        assert not network.training
        scored.append(network.spec.encoding.steps)
        return {"mAP": 0.25, "AP50_person": float("nan")}

    train(settings, room.windows, tmp_path, HERE, validate=count)
    with (tmp_path / "validation.csv").open() as file:
        rows = [list(row.values()) for row in csv.DictReader(file)]
    places = [tuple(map(int, row[:3])) for row in rows]
    # of two windows a step, the third passes 5, the fifth 10, ...; then each phase's end, and
    # once more with batch normalisation measured anew
    assert places == [(0, 3, 6), (0, 4, 8), (1, 1, 10), (1, 4, 16), (2, 0, 16)]
    assert all(row[3:] == ["0.25000", "nan"] for row in rows)
    assert scored == [2, 2, 1, 1, 2]


def test_scoring_changes_no_step(room: DataRoom, whole: Path, tmp_path: Path) -> None:
    train(recipe(), room.windows, tmp_path, HERE)
    assert same_weights(tmp_path, whole)


def test_at_the_end_normalisation_is_measured_on_windows_beyond_those_of_training(
    room: DataRoom, whole: Path
) -> None:
    state = torch.load(whole / "state.pt", weights_only=True)
    network = build_detector(detector_spec(recipe()))
    network.load_state_dict(state["averaged"])
    phase = replace(recipe().phases[1], steps=2, windows=11)  # as the finished network sees them
    windows = room.windows(phase, 1)
    batches = [collate([windows[8], windows[9]]), collate([windows[10]])]
    recalibrate(network, [encode(batch.counts, network.spec.encoding) for batch in batches])
    stored = weights_of(whole)
    changed = 0
    for name, value in network.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            assert torch.equal(stored[name], value.half().float())
            changed += not torch.equal(value, state["averaged"][name])
    assert changed == sum("running" in name for name in stored)


def test_normalisation_can_be_left_as_it_was_averaged(room: DataRoom, tmp_path: Path) -> None:
    train(replace(recipe(), recalibrate_windows=0), room.windows, tmp_path, HERE)
    averaged = torch.load(tmp_path / "state.pt", weights_only=True)["averaged"]
    for name, value in weights_of(tmp_path).items():
        assert torch.equal(value, averaged[name].half().float())


def save_after_every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "SAVE_EVERY_S", -1.0)
    monkeypatch.setattr(loop, "draw_curves", lambda folder, recipe: None)  # slower than a step


def die_at(
    monkeypatch: pytest.MonkeyPatch, owner: object, name: str, nth: int, after: bool
) -> None:
    """Let the nth call of a function end the run, before or after it did its work."""
    work, calls = getattr(owner, name), []

    def dying(*args: object, **kwargs: object) -> object:
        calls.append(name)
        if len(calls) == nth and not after:
            raise KeyboardInterrupt
        result = work(*args, **kwargs)
        if len(calls) == nth:
            raise KeyboardInterrupt
        return result

    monkeypatch.setattr(owner, name, dying)


@pytest.mark.parametrize(
    ("owner", "name", "nth", "after"),
    [
        (RunFiles, "add_row", 1, False),  # before anything is saved
        (RunFiles, "add_row", 3, True),  # a step is told, its state is not saved
        (RunFiles, "save_state", 3, True),
        (RunFiles, "save_state", 4, False),  # the end of the first phase
        (RunFiles, "save_state", 4, True),
        (loop, "save_checkpoint", 1, True),  # between the phases
        (RunFiles, "save_state", 8, True),  # the end of the last
        (loop, "recalibrate", 1, True),
        (loop, "save_checkpoint", 2, True),
        (RunFiles, "add_row", 11, True),  # the last row of validation.csv
    ],
)
def test_a_run_killed_anywhere_ends_with_the_same_weights_and_rows(
    room: DataRoom,
    whole: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    owner: object,
    name: str,
    nth: int,
    after: bool,
) -> None:
    save_after_every_step(monkeypatch)
    with monkeypatch.context() as context:
        die_at(context, owner, name, nth, after)
        with pytest.raises(KeyboardInterrupt):
            train(recipe(), room.windows, tmp_path, HERE, validate=score)
    train(recipe(), room.windows, tmp_path, AGAIN, validate=score)
    assert same_weights(tmp_path, whole)
    assert rows_of(tmp_path) == rows_of(whole)
    assert rows_of(tmp_path, "validation.csv") == rows_of(whole, "validation.csv")


def test_a_resumed_run_tells_each_step_once_though_it_takes_some_again(
    room: DataRoom, whole: Path, tmp_path: Path
) -> None:
    def stop(progress: Progress) -> None:
        if (progress.phase, progress.step) == (1, 3):  # saved at the first phase's end only
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(recipe(), room.windows, tmp_path, HERE, report=stop)
    assert len(rows_of(tmp_path)) == 1 + 7
    train(recipe(), room.windows, tmp_path, AGAIN)
    assert rows_of(tmp_path) == rows_of(whole)


def test_another_recipes_run_is_not_resumed(room: DataRoom, whole: Path, tmp_path: Path) -> None:
    shutil.copyfile(whole / "state.pt", tmp_path / "state.pt")
    with pytest.raises(CheckpointError, match=r"another recipe's run.*: seed was 0 and is 9"):
        train(replace(recipe(), seed=9), room.windows, tmp_path, AGAIN)


def test_a_state_saved_before_a_key_existed_is_resumed(
    room: DataRoom, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as context:
        die_at(context, loop, "save_checkpoint", 1, after=False)
        with pytest.raises(KeyboardInterrupt):
            train(recipe(), room.windows, tmp_path, HERE, validate=score)
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    record = ast.literal_eval(state["recipe"])
    del record["synchronise_norms"], record["recalibrate_windows"], record["validation"]
    del record["model"]["encoding"]["gamma"], record["model"]["weights"]
    del record["phases"][0]["warmup"]
    torch.save({**state, "recipe": repr(record)}, tmp_path / "state.pt")
    train(recipe(), room.windows, tmp_path, AGAIN, validate=score)
    assert same_weights(tmp_path, whole)


def break_loss(monkeypatch: pytest.MonkeyPatch, nth: int, spoil: Spoil) -> None:
    """Let the nth loss be spoiled."""
    calls = []

    def broken(predictions: RawPredictions, *args: object) -> LossTerms:
        calls.append(predictions)
        terms = detection_loss(predictions, *args)
        return spoil(terms, predictions) if len(calls) == nth else terms

    monkeypatch.setattr("vidar_det.training.step.detection_loss", broken)


def infinite_loss(terms: LossTerms, _: RawPredictions) -> LossTerms:
    return terms._replace(total=terms.total * torch.inf, box=terms.box * torch.nan)


def infinite_gradient(terms: LossTerms, predictions: RawPredictions) -> LossTerms:
    return terms._replace(total=terms.total + (predictions.scores * 0).sum().sqrt())


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (infinite_loss, r"the loss is no finite number \(total = inf, box = nan\)"),
        (infinite_gradient, "the gradient's norm is nan, wanted a finite number"),
    ],
)
def test_a_loss_or_gradient_that_is_not_finite_stops_the_run_and_keeps_what_was_good(
    room: DataRoom,
    whole: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    spoil: Spoil,
    message: str,
) -> None:
    with monkeypatch.context() as context:
        break_loss(context, 7, spoil)
        place = "phase 2 of 2, step 3 of 4, windows 4 to 5 of the phase: "
        with pytest.raises(TrainingError, match=place + message):
            train(recipe(), room.windows, tmp_path, HERE)
    assert len(rows_of(tmp_path)) == 1 + 6
    assert all(value.isfinite().all() for value in weights_of(tmp_path).values())
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    assert (state["phase"], state["step"]) == (0, 4)
    train(recipe(), room.windows, tmp_path, AGAIN)
    assert same_weights(tmp_path, whole)


def test_weights_that_are_not_finite_are_not_saved(
    room: DataRoom, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_after_every_step(monkeypatch)

    def overflow(self: Averaged, network: SpikingDetector) -> None:
        self.updates += 1
        if self.updates == 3:
            network.backbone.stem[1].running_var.fill_(torch.inf)

    monkeypatch.setattr(Averaged, "update", overflow)
    name = "backbone.stem.1.running_var"
    with pytest.raises(TrainingError, match=f"phase 1, after step 3: {name} is not finite"):
        train(recipe(), room.windows, tmp_path, HERE)
    assert torch.load(tmp_path / "state.pt", weights_only=True)["step"] == 2


@contextlib.contextmanager
def full_disk(file_bytes: int) -> Iterator[None]:
    """Let the operating system refuse files larger than this."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_on_a_full_disk_the_state_before_survives(
    room: DataRoom, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_after_every_step(monkeypatch)
    save = RunFiles.save_state

    def save_third_on_a_full_disk(self: RunFiles, state: dict[str, object]) -> None:
        with full_disk(1_000_000) if state["step"] == 3 else contextlib.nullcontext():
            save(self, state)

    with monkeypatch.context() as context:
        context.setattr(RunFiles, "save_state", save_third_on_a_full_disk)
        with pytest.raises(OutputError, match=r"state\.pt: cannot be written: File too large"):
            train(recipe(), room.windows, tmp_path, HERE)
    assert torch.load(tmp_path / "state.pt", weights_only=True)["step"] == 2
    assert not list(tmp_path.glob("*.partial*")) + list(tmp_path.glob(".*"))
    train(recipe(), room.windows, tmp_path, AGAIN)
    assert same_weights(tmp_path, whole)


def test_on_a_full_disk_the_weights_before_survive(
    room: DataRoom, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored: list[bytes] = []
    save = loop.save_checkpoint

    def save_second_on_a_full_disk(path: Path, *args: object, **kwargs: object) -> None:
        with full_disk(100_000) if stored else contextlib.nullcontext():
            save(path, *args, **kwargs)
        stored.append(path.read_bytes())

    with monkeypatch.context() as context:
        context.setattr(loop, "save_checkpoint", save_second_on_a_full_disk)
        with pytest.raises(OutputError, match=r"model\.safetensors: cannot be written"):
            train(recipe(), room.windows, tmp_path, HERE)
    assert (tmp_path / "model.safetensors").read_bytes() == stored[0]
    train(recipe(), room.windows, tmp_path, AGAIN)
    assert same_weights(tmp_path, whole)
