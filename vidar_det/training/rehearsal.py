"""One batch comes in; whether a network can learn it by heart goes out.

Whoever cannot learn four windows by heart will not learn from a million: data, loss, network or
settings are broken, and average precision would stay 0.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass

import torch

from vidar_det.detector.encoding import encode
from vidar_det.detector.network import SpikingDetector, build_detector
from vidar_det.detector.normalisation import recalibrate
from vidar_det.training.recipe import PhaseSpec, RecipeSpec
from vidar_det.training.simulation import Batch
from vidar_det.training.start import detector_spec
from vidar_det.training.step import build_optimiser, learning_rate, train_step

LOOK_EVERY = 50
"""Steps between two looks at what was learned."""


@dataclass(frozen=True)
class Rehearsal:
    """How learning one batch by heart went.

    Attributes:
        steps: steps that were taken.
        first_loss: before the first of them.
        last_loss: before the last of them.
        score: of the network at the end, 0 to 1.
    """

    steps: int
    first_loss: float
    last_loss: float
    score: float


def learn_by_heart(
    recipe: RecipeSpec,
    batch: Batch,
    score: Callable[[SpikingDetector], float],
    *,
    enough: float = 0.9,
    steps: int = 400,
    device: str = "cpu",
    report: Callable[[int, int], None] = lambda done, total: None,
) -> Rehearsal:
    """Train a fresh network on one batch, again and again.

    Args:
        recipe: the network, the loss and the highest learning rate.
        batch: windows as the finished network sees them.
        score: how well a network in evaluation mode knows the batch, 0 to 1.
        enough: stops as soon as this score is reached.
        steps: stops at the latest after so many.
        device: torch device.
        report: told after every step.

    Returns:
        How it went.

    Raises:
        TrainingError: the loss or its gradient is not finite.

    Example:
        >>> learn_by_heart(recipe, batch, average_precision).score  # doctest: +SKIP
        0.97
    """
    rate = max(phase.learning_rate for phase in recipe.phases)
    phase = PhaseSpec(windows=steps, batch=1, learning_rate=rate)
    with torch.random.fork_rng():
        torch.manual_seed(recipe.seed)
        network = build_detector(detector_spec(recipe))
    network.to(device).to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]  # torch's stubs miss it
    optimiser = build_optimiser(network, recipe, phase)
    inputs = encode(batch.counts.to(device), network.spec.encoding)
    losses: list[float] = []
    found = 0.0
    while found < enough and len(losses) < steps:
        step_rate = learning_rate(phase, len(losses), steps)
        losses.append(float(train_step(network, optimiser, batch, recipe, step_rate).total))
        report(len(losses), steps)
        if len(losses) % LOOK_EVERY == 0 or len(losses) == steps:
            at_rest = copy.deepcopy(network)
            recalibrate(at_rest, [inputs])
            found = score(at_rest.eval())
    return Rehearsal(len(losses), losses[0], losses[-1], found)
