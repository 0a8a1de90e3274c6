import csv
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from vidar_det.detections.boxes import box_iou
from vidar_det.detector.checkpoint import load_network, read_checkpoint
from vidar_det.detector.network import build_detector
from vidar_det.detector.predictor import Detector, Thresholds
from vidar_det.detector.runtime import TorchRuntime
from vidar_det.detector.spec import EncodingSpec
from vidar_det.errors import CheckpointError, ConfigError, SourceError
from vidar_det.spikes.scene_spec import SceneSpec
from vidar_det.training.loop import (
    Progress,
    build_optimiser,
    detector_spec,
    learning_rate,
    train,
    train_step,
)
from vidar_det.training.recipe import (
    ComposedMix,
    ModelSpec,
    PhaseSpec,
    RecipeSpec,
    read_recipe,
)
from vidar_det.training.simulation import collate
from vidar_det.training.sources import DataRoom, open_data

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


@pytest.mark.slow
def test_a_network_can_learn_one_batch_by_heart(room: DataRoom) -> None:
    settings = recipe(PhaseSpec(windows=8, batch=4, learning_rate=4e-3))
    windows = room.windows(settings.phases[0], 0)
    examples = [windows[index] for index in range(3)]
    batch = collate(examples)
    torch.manual_seed(0)
    network = build_detector(detector_spec(settings)).train()
    optimiser = build_optimiser(network, settings, settings.phases[0])
    for _ in range(150):
        train_step(network, optimiser, batch, settings, 4e-3)
    for _ in range(20):  # let the running statistics of BN settle on this batch
        train_step(network, optimiser, batch, settings, 1e-5)
    detector = Detector(TorchRuntime(network.eval()), network.spec, "", "", 0)
    for example in examples:
        truth = example.labels.xyxy[~example.labels.ignore]
        found = detector.predict(example.counts, Thresholds(conf=0.3))
        assert len(truth) > 0
        assert (box_iou(truth, found.xyxy).max(1) > 0.5).all()


def test_a_run_writes_weights_and_progress(room: DataRoom, tmp_path: Path) -> None:
    seen: list[Progress] = []
    path = train(recipe(), room.windows, tmp_path, workers=0, report=seen.append)
    assert load_network(path).spec == detector_spec(recipe())
    assert [(p.phase, p.step) for p in seen] == [(n, s) for n in (0, 1) for s in (1, 2, 3, 4)]
    with (tmp_path / "progress.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 8


@pytest.mark.parametrize("stop_after", [2, 4, 6])
def test_a_killed_run_ends_with_the_same_weights(
    room: DataRoom, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop_after: int
) -> None:
    monkeypatch.setattr("vidar_det.training.loop.SAVE_EVERY_S", 0.0)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    whole.mkdir()
    killed.mkdir()
    train(recipe(), room.windows, whole, workers=0)
    done = 0

    def stop(_: Progress) -> None:
        nonlocal done
        done += 1
        if done > stop_after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(recipe(), room.windows, killed, workers=0, report=stop)
    train(recipe(), room.windows, killed, workers=0, resume=True)
    left = read_checkpoint(whole / "model.safetensors").tensors
    right = read_checkpoint(killed / "model.safetensors").tensors
    assert all(torch.equal(left[name], right[name]) for name in left)
    rows = [
        (tmp_path / run / "progress.csv").read_text().splitlines() for run in ("whole", "killed")
    ]
    steps = [[line.split(",")[:5] for line in lines] for lines in rows]
    assert steps[0] == steps[1]


def test_a_resumed_run_tells_each_step_once_though_it_takes_some_again(
    room: DataRoom, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vidar_det.training.loop.SAVE_EVERY_S", 1e9)  # saves at a phase's end only

    def stop(progress: Progress) -> None:
        if (progress.phase, progress.step) == (1, 3):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(recipe(), room.windows, tmp_path, workers=0, report=stop)
    train(recipe(), room.windows, tmp_path, workers=0, resume=True)
    with (tmp_path / "progress.csv").open() as file:
        places = [(int(row["phase"]), int(row["step"])) for row in csv.DictReader(file)]
    assert places == [(number, step) for number in (0, 1) for step in (1, 2, 3, 4)]


def test_another_recipes_run_is_not_resumed(room: DataRoom, tmp_path: Path) -> None:
    train(recipe(PhaseSpec(windows=2, batch=2)), room.windows, tmp_path, workers=0)
    with pytest.raises(CheckpointError, match="another recipe"):
        train(replace(recipe(), seed=9), room.windows, tmp_path, workers=0, resume=True)


def test_the_rate_rises_to_its_peak_and_falls_to_two_percent() -> None:
    phase = PhaseSpec(windows=1600, learning_rate=1.0, warmup=0.1)
    rates = [learning_rate(phase, step, 100) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == 1.0
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[-1] == pytest.approx(0.02, abs=1e-3)


def test_a_recipe_is_read_strictly(tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text("[[phases]]\nwindows = 16\n[[composed]]\nweight = 2\n")
    assert read_recipe(path).phases[0].windows == 16
    path.write_text("[[phases]]\nwindow = 16\n[[composed]]\n")
    with pytest.raises(ConfigError, match="did you mean 'windows'"):
        read_recipe(path)
    path.write_text("phases = ")
    with pytest.raises(ConfigError, match="no TOML"):
        read_recipe(path)
    path.write_text("[[phases]]\nwindows = 16\n")
    with pytest.raises(ConfigError, match="no data"):
        read_recipe(path)
    with pytest.raises(SourceError, match="no such recipe"):
        read_recipe(tmp_path / "none.toml")
