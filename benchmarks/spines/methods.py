"""A method's name and a sparsity come in; what prunes a network while it trains goes out."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from vidar_det.pruning.layers import prunable_layers
from vidar_det.pruning.prior import Prior
from vidar_det.pruning.rewiring import GradientRewiring
from vidar_det.pruning.schedules import FromRates, Sine, SLats
from vidar_det.pruning.soft_threshold import ReachSparsity, SoftThreshold

RATE = 1e-3
REACHED = 0.8
"""Share of the steps after which a method that is asked for a sparsity has reached it."""

PUBLISHED_SINKING = 0.64
"""What Grad R's prior takes from every spine in the published runs: alpha 1e-3 times a rate of 1e-4
in 2048 epochs of 3125 steps. Here alpha is chosen so that it takes as much."""


@dataclass(frozen=True)
class Run:
    """What a method is told.

    Attributes:
        network: what learns.
        steps: of the whole run.
        total_rate: sum of their learning rates.
        sparsity: asked.
        threshold: D that reached the sparsity in the run of ``asked``; 0 where it is not needed.
    """

    network: nn.Module
    steps: int
    total_rate: float
    sparsity: float
    threshold: float = 0.0


@dataclass(frozen=True)
class Pruning:
    """The optimiser, what is done after each of its steps, and at the end."""

    optimizer: torch.optim.Optimizer
    after: Callable[[int], None] = lambda step: None
    finish: Callable[[], float] = lambda: 0.0


def prepare(method: str, run: Run) -> Pruning:
    """Set a method up; ``finish`` makes plain weights and returns the last threshold."""
    if method == "Grad R":
        alpha, due = PUBLISHED_SINKING / run.total_rate, round(REACHED * run.steps)
        prior = Prior(alpha=alpha, reach=run.sparsity, reach_steps=due)
        rewired = GradientRewiring(run.network, prior, lr=RATE, allow_dead_layers=True)
        return Pruning(rewired)
    optimizer = torch.optim.Adam(run.network.parameters(), RATE, fused=True)
    if method == "dense":
        return Pruning(optimizer)
    if method == "magnitude":
        return _magnitude(run, optimizer)
    schedules = {
        "asked": lambda: ReachSparsity(run.sparsity, round(REACHED * run.steps)),
        "STDS": lambda: Sine(run.threshold, run.steps),
        "S-LATS": lambda: SLats(run.threshold, run.steps),
        "LATS": lambda: FromRates(run.threshold, run.total_rate),
    }
    spines = SoftThreshold(run.network, optimizer, schedules[method](), allow_dead_layers=True)

    def finish() -> float:
        spines.finalise()
        return spines.threshold

    return Pruning(optimizer, finish=finish)


def _magnitude(run: Run, optimizer: torch.optim.Optimizer) -> Pruning:
    """Cut the smallest weights once, after half of the steps, and go on without them."""
    layers = [layer.weight for layer in prunable_layers(run.network).values()]
    masks: list[torch.Tensor] = []

    @torch.no_grad()
    def after(step: int) -> None:
        if step == run.steps // 2:
            sizes = torch.cat([weight.abs().flatten() for weight in layers])
            least = sizes.kthvalue(round(run.sparsity * len(sizes))).values
            masks.extend(weight.abs() > least for weight in layers)
        for weight, mask in zip(layers, masks, strict=False):
            weight.mul_(mask)

    return Pruning(optimizer, after)
