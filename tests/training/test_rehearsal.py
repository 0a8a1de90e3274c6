from pathlib import Path

import pytest
import torch

from tests.training.little_recipe import RECIPE
from vidar_det.detector.network import SpikingDetector
from vidar_det.training.rehearsal import Rehearsal, learn_by_heart
from vidar_det.training.simulation import Batch, collate
from vidar_det.training.sources import open_data


@pytest.fixture(scope="module")
def batch() -> Batch:
    return collate([open_data(RECIPE, Path()).windows(RECIPE.phases[0], 0)[0]])


def test_it_stops_as_soon_as_enough_is_known(batch: Batch) -> None:
    looks: list[int] = []

    def score(network: SpikingDetector) -> float:
        assert not network.training
        looks.append(1)
        return 0.5 * len(looks)

    told: list[tuple[int, int]] = []
    done = learn_by_heart(RECIPE, batch, score, report=lambda *step: told.append(step))
    assert (done.steps, done.score) == (100, 1.0)
    assert done.last_loss < done.first_loss
    assert told == [(step, 400) for step in range(1, 101)]


def test_it_stops_at_the_latest_after_its_steps_and_looks_once_more(batch: Batch) -> None:
    before = torch.get_rng_state()
    done, again = (learn_by_heart(RECIPE, batch, lambda _: 0.25, steps=3) for _ in range(2))
    assert (done.steps, done.score) == (3, 0.25)
    assert done == again == Rehearsal(3, done.first_loss, done.last_loss, 0.25)
    assert torch.equal(torch.get_rng_state(), before)
