import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from vidar_det.detector.checkpoint import read_checkpoint
from vidar_det.errors import ConfigError
from vidar_det.training.distributed import ALONE, Processes
from vidar_det.training.recipe import ComposedMix, PhaseSpec, RecipeSpec

SHARED_RUN = Path(__file__).with_name("shared_run.py")
RECIPE = """
width = 96
height = 64
mixed_precision = false
recalibrate_windows = 4
clip = 1e9
[model.encoding]
bin_planes = 16
[[composed]]
procedural_sprites = 2
procedural_backgrounds = 2
scene = { objects = [1, 3], height_px = [30, 50], light_at_white = [0.5, 0.9] }
[[phases]]
windows = 9
batch = 3
steps = 1
[[phases]]
windows = 6
batch = 3
"""


def start(*words: object, processes: int = 1) -> subprocess.CompletedProcess[str]:
    """Run Python, or ``torchrun``; nothing leaves this machine."""
    launcher = [] if processes == 1 else ["-m", "torch.distributed.run", "--standalone"]
    count = [] if processes == 1 else ["--nproc-per-node", str(processes)]
    command = [sys.executable, *launcher, *count, *map(str, words)]
    environment = {**os.environ, "GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"}
    return subprocess.run(  # noqa: S603  # our own command
        command, env=environment, capture_output=True, text=True, timeout=300, check=False
    )


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recipe") / "recipe.toml"
    path.write_text(RECIPE)
    return path


@pytest.mark.slow
def test_two_processes_find_the_gradients_of_one(recipe: Path, tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    for folder, count in ((one, 1), (two, 2)):
        folder.mkdir()
        done = start(SHARED_RUN, "gradients", recipe, folder, processes=count)
        assert done.returncode == 0, done.stderr
    alone = torch.load(one / "0.pt", weights_only=True)
    first, second = (torch.load(two / name, weights_only=True) for name in ("0.pt", "1.pt"))
    for case in ("at rest", "twins"):
        wanted, terms = alone[case]
        found, together = first[case]
        # the same sums in another order: float32 rounds at 6e-8, a neuron may pass that on
        assert together == pytest.approx(terms, rel=1e-5)
        for name, gradient in wanted.items():
            assert torch.equal(found[name], second[case][0][name])
            assert (found[name] - gradient).norm() <= 1e-4 * gradient.norm() + 1e-9


@pytest.mark.slow
def test_a_shared_run_that_was_killed_ends_with_the_weights_of_one_that_was_not(
    recipe: Path, tmp_path: Path
) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    words = ("-m", "vidar_det", "train", recipe, "--workers", 0)
    done = start(*words, "--out", whole, processes=2)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [str(whole / "model.safetensors")]  # one process writes
    killed.mkdir()
    assert start(SHARED_RUN, "die", recipe, killed, processes=2).returncode != 0
    state = torch.load(killed / "state.pt", weights_only=True)
    assert (state["phase"], state["step"]) == (0, 3)
    assert start(*words, "--out", killed, "--resume", processes=2).returncode == 0
    left, right = (read_checkpoint(run / "model.safetensors").tensors for run in (whole, killed))
    assert all(torch.equal(left[name], right[name]) for name in left)
    rows = [(run / "progress.csv").read_text().splitlines() for run in (whole, killed)]
    assert len(rows[0]) == 1 + 5
    assert [row.split(",")[:8] for row in rows[0]] == [row.split(",")[:8] for row in rows[1]]


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_shares_are_the_whole_batch_each_window_once(count: int) -> None:
    batch = range(30, 37)
    shares = [Processes(rank, count).share_of(batch) for rank in range(count)]
    assert sorted(number for share in shares for number in share) == list(batch)
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_alone_there_is_nobody_to_ask() -> None:
    value = torch.ones(2)
    assert ALONE.is_first
    assert ALONE.add_up(value) is value
    assert ALONE.from_first("mine") == "mine"


def test_a_batch_that_cannot_be_shared_is_refused() -> None:
    recipe = RecipeSpec((PhaseSpec(windows=8, batch=2),), composed=(ComposedMix(),))
    Processes(0, 2).check(recipe)
    with pytest.raises(ConfigError, match="3 processes cannot share a batch of 2"):
        Processes(0, 3).check(recipe)


def test_normalisation_is_synchronised_on_cuda_alone() -> None:
    phases = (PhaseSpec(windows=8),)
    recipe = replace(RecipeSpec(phases, composed=(ComposedMix(),)), synchronise_norms=True)
    ALONE.check(recipe)  # one process sees the whole batch
    Processes(0, 2, torch.device("cuda")).check(recipe)
    with pytest.raises(ConfigError, match="synchronise_norms works on CUDA alone, found cpu"):
        Processes(0, 2).check(recipe)
