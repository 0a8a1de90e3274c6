from pathlib import Path

import pytest
import torch

from vidar_det.training.loading import load_batches
from vidar_det.training.recipe import ComposedMix, PhaseSpec, RecipeSpec
from vidar_det.training.simulation import SimulatedWindows
from vidar_det.training.sources import open_data


@pytest.fixture(scope="module")
def windows() -> SimulatedWindows:
    mix = ComposedMix(procedural_sprites=1, procedural_backgrounds=1)
    recipe = RecipeSpec((PhaseSpec(windows=12),), composed=(mix,), width=64, height=64)
    return open_data(recipe, Path()).windows(recipe.phases[0], 0)


def test_batches_hold_the_windows_that_were_asked_for_in_order(windows: SimulatedWindows) -> None:
    numbers = [range(4, 8, 2), range(3), range(9, 10)]
    batches = list(load_batches(windows, numbers, workers=0))
    assert [len(batch.counts) for batch in batches] == [2, 3, 1]
    for batch, wanted in zip(batches, numbers, strict=True):
        for counts, number in zip(batch.counts, wanted, strict=True):
            assert (counts.numpy() == windows[number].counts).all()


def test_nothing_left_is_no_batch(windows: SimulatedWindows) -> None:
    assert list(load_batches(windows, [], workers=0)) == []


@pytest.mark.slow
def test_a_worker_makes_the_same_batches(windows: SimulatedWindows) -> None:
    numbers = [range(2), range(2, 3)]
    here, there = (list(load_batches(windows, numbers, workers)) for workers in (0, 1))
    for left, right in zip(here, there, strict=True):
        assert torch.equal(left.counts, right.counts)
        assert torch.equal(left.targets.boxes, right.targets.boxes)
