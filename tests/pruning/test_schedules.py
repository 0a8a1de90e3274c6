"""Thresholds follow their formulas, and the general rule holds lambda constant for any policy."""

import math
from itertools import pairwise

import pytest
import torch
from numpy.polynomial.legendre import leggauss

from vidar_det.errors import ConfigError
from vidar_det.pruning.schedules import (
    Constant,
    ConstantStrength,
    FromRates,
    Lats,
    Linear,
    Pgh,
    Schedule,
    Sine,
    SLats,
    plan_from_rates,
    rehearse_rates,
)

GROWING = [
    Sine(0.5, 12),
    Linear(0.5, 12),
    SLats(0.5, 12),
    Pgh(0.5, 12, beta=0.01),
    Pgh(0.5, 12, beta=3.0),
    Lats(0.5, epochs=3, batches=4),
]


@pytest.mark.parametrize("schedule", GROWING)
def test_a_threshold_grows_from_nothing_to_its_final_value_and_stays(schedule: Schedule) -> None:
    thresholds = [schedule.threshold(step, 0.0) for step in range(13)]
    assert thresholds[0] == pytest.approx(0, abs=1e-15)
    assert all(low < high for low, high in pairwise(thresholds))
    assert thresholds[12] == schedule.threshold(100, 0.0) == 0.5


def test_homotopy_is_the_integral_it_claims_to_be() -> None:
    nodes, weights = leggauss(40)

    def integral(x: float, beta: float) -> float:
        points = (nodes + 1) * x / 2
        return sum(
            w * (1 + math.cos(math.pi * u)) * beta**u for u, w in zip(points, weights, strict=True)
        ) * (x / 2)

    for beta in (1e-4, 0.3, 0.999999999, 7.0):
        wanted = integral(0.3, beta) / integral(1.0, beta)
        assert Pgh(1.0, 10, beta).threshold(3, 0.0) == pytest.approx(wanted, rel=1e-12)


def test_homotopy_without_decay_is_s_lats() -> None:
    for step in range(9):
        s_lats = SLats(0.1, 8).threshold(step, 0.0)
        assert Pgh(0.1, 8, beta=1.0).threshold(step, 0.0) == pytest.approx(s_lats, abs=1e-15)


def warm_up_then_cosine(optimizer: torch.optim.Optimizer) -> torch.optim.lr_scheduler.LRScheduler:
    return torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.3, total_steps=50)


def test_the_general_rule_holds_lambda_constant_through_warm_up() -> None:
    rates = rehearse_rates(warm_up_then_cosine, rate=0.1, steps=50)
    rule = FromRates(final=0.2, total_rate=math.fsum(rates))
    spent, before, strengths = 0.0, 0.0, []
    for step, rate in enumerate(rates, start=1):
        spent += rate
        after = rule.threshold(step, spent)
        strengths.append((after - before) / rate)
        before = after
    assert min(rates) < max(rates) / 100
    assert strengths == pytest.approx([strengths[0]] * 50, rel=1e-8)
    assert before == pytest.approx(0.2)


def test_lats_is_the_general_rule_of_a_cosine_set_every_epoch() -> None:
    def cosine(optimizer: torch.optim.Optimizer) -> torch.optim.lr_scheduler.LRScheduler:
        return torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=5)

    rates = rehearse_rates(cosine, rate=0.1, steps=15, steps_per_update=3)
    rule, lats = FromRates(0.2, math.fsum(rates)), Lats(0.2, epochs=5, batches=3)
    for step in range(16):
        spent = math.fsum(rates[:step])
        assert lats.threshold(step, spent) == pytest.approx(rule.threshold(step, spent), abs=1e-12)


def test_both_knobs_of_the_general_rule_agree() -> None:
    by_lambda = ConstantStrength(strength=1e-3, momentum=0.9)
    by_final = plan_from_rates(1e-3, [0.1, 0.2, 0.1], momentum=0.9)
    assert by_final.final == pytest.approx(4e-3)
    assert by_lambda.threshold(2, 0.3) == pytest.approx(by_final.threshold(2, 0.3))


@pytest.mark.parametrize(
    ("build", "word"),
    [
        (lambda: Sine(-1.0, 10), "final"),
        (lambda: Linear(1.0, 0), "steps"),
        (lambda: Constant(math.nan), "final"),
        (lambda: Pgh(1.0, 10, beta=0.0), "beta"),
        (lambda: Lats(1.0, epochs=0, batches=2), "epochs"),
        (lambda: FromRates(1.0, 0.0), "total_rate"),
        (lambda: ConstantStrength(1.0, momentum=1.0), "momentum"),
        (lambda: rehearse_rates(warm_up_then_cosine, 0.1, 0), "steps"),
    ],
)
def test_knobs_outside_their_range_are_refused_by_name(build, word: str) -> None:
    with pytest.raises(ConfigError, match=f"{word}: found"):
        build()
