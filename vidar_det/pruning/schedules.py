"""Optimiser steps done and the learning rates they used come in; the spines' threshold goes out.

Soft-threshold training is implicit L1 shrinkage: the effective coefficient of step t is
``lambda_t = (1 - momentum) * (d_{t+1} - d_t) / eta_t`` (Chen et al., *A Unified Framework for Soft
Threshold Pruning*, ICLR 2023). `FromRates` and `ConstantStrength` hold it constant under any
learning-rate policy; the closed forms are its published cases. With Adam the reading as L1 holds
per coordinate only up to ``sqrt(v) + eps``: there lambda is nominal.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import nn

from vidar_det.errors import ConfigError

RateScheduler = torch.optim.lr_scheduler.LRScheduler


class Schedule(Protocol):
    """What the threshold is after each optimiser step; it keeps no state, so it resumes exactly.

    Any class with this method will do. A run is resumed by a schedule of the same class whose
    attributes are the same.
    """

    def threshold(self, steps: int, rates: float) -> float:
        """Threshold d after ``steps`` optimiser steps whose learning rates sum up to ``rates``."""


@dataclass(frozen=True)
class Constant:
    """The threshold is D from the first step on; weights keep their values when it is attached.

    Attributes:
        final: D, the threshold.
    """

    final: float

    def __post_init__(self) -> None:
        _check_positive("final", self.final)

    def threshold(self, steps: int, rates: float) -> float:
        """D, at any time."""
        return self.final


@dataclass(frozen=True)
class _Growing:
    """A threshold that grows from 0 to D in N steps and then stays.

    Attributes:
        final: D, the threshold after the last step.
        steps: N, the optimiser steps in which it is reached.

    Raises:
        ConfigError: a knob is not above 0.
    """

    final: float
    steps: int

    def __post_init__(self) -> None:
        _check_positive("final", self.final)
        _check_positive("steps", self.steps)

    def threshold(self, steps: int, rates: float) -> float:
        """D times the share that is due after ``steps``; the learning rates do not matter."""
        return self.final if steps >= self.steps else self.final * self._share(steps / self.steps)

    def _share(self, x: float) -> float:
        raise NotImplementedError


class Sine(_Growing):
    """``d = D sin^2(pi x / 2)``, x = n / N: the schedule of STDS (ICML 2022).

    Example:
        >>> f"{Sine(final=2.0, steps=10).threshold(5, 0.0):.6f}"
        '1.000000'
    """

    def _share(self, x: float) -> float:
        return math.sin(math.pi * x / 2) ** 2


class Linear(_Growing):
    """``d = D x``, x = n / N: with a falling learning rate its lambda blows up at the end."""

    def _share(self, x: float) -> float:
        return x


class SLats(_Growing):
    """``d = D (x + sin(pi x) / pi)``: constant lambda when the rate is a cosine set every step."""

    def _share(self, x: float) -> float:
        return x + math.sin(math.pi * x) / math.pi


@dataclass(frozen=True)
class Pgh(_Growing):
    """Proximal gradient homotopy: lambda falls as ``beta^x`` under a cosine set every step.

    Attributes:
        final: D, the threshold after the last step.
        steps: N, the optimiser steps in which it is reached.
        beta: lambda at the end over lambda at the start; 1 is `SLats`.
    """

    beta: float

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_positive("beta", self.beta)

    def _share(self, x: float) -> float:
        decay = math.log(self.beta)
        return self._integral(x, decay) / self._integral(1.0, decay)

    @staticmethod
    def _integral(x: float, decay: float) -> float:
        """``int_0^x (1 + cos(pi u)) exp(decay u) du``; no cancellation near ``decay = 0``."""
        flat = x if decay == 0 else math.expm1(decay * x) / decay
        grown, angle = math.exp(decay * x), math.pi * x
        wave = grown * (decay * math.cos(angle) + math.pi * math.sin(angle)) - decay
        return flat + wave / (decay**2 + math.pi**2)


@dataclass(frozen=True)
class Lats:
    """Constant lambda when the rate is a cosine set every epoch.

    After step b of epoch e, ``d = D [sum_{q<e} (1 + cos(pi q / E)) + (b / B)(1 + cos(pi e / E))] /
    (E + 1)``.

    Attributes:
        final: D, the threshold after the last step.
        epochs: E.
        batches: B, optimiser steps in an epoch.

    Raises:
        ConfigError: a knob is not above 0.

    Example:
        >>> schedule = Lats(final=1.0, epochs=2, batches=4)
        >>> [round(schedule.threshold(n, 0.0), 3) for n in (2, 4, 8)]
        [0.333, 0.667, 1.0]
    """

    final: float
    epochs: int
    batches: int

    def __post_init__(self) -> None:
        for name in ("final", "epochs", "batches"):
            _check_positive(name, getattr(self, name))

    def threshold(self, steps: int, rates: float) -> float:
        """D times the share that is due after ``steps``; the learning rates do not matter."""
        epoch, batch = divmod(steps, self.batches)
        if epoch >= self.epochs:
            return self.final
        # sum_{q<e} cos(pi q / E) in closed form, so that a step costs the same in every epoch
        half = math.pi / (2 * self.epochs)
        base = epoch + (1 + math.sin((2 * epoch - 1) * half) / math.sin(half)) / 2
        gain = 1 + math.cos(math.pi * epoch / self.epochs)
        return self.final * (base + batch / self.batches * gain) / (self.epochs + 1)


@dataclass(frozen=True)
class FromRates:
    """The general rule with D as the knob: ``d = D sum_{i<=t} eta_i / sum_all eta_i``.

    Attributes:
        final: D, the threshold when all rates are spent; it stays there.
        total_rate: sum of the learning rates of all steps (see `rehearse_rates`).

    Raises:
        ConfigError: a knob is not above 0.

    Example:
        >>> FromRates(final=0.5, total_rate=4.0).threshold(steps=7, rates=1.0)
        0.125
    """

    final: float
    total_rate: float

    def __post_init__(self) -> None:
        _check_positive("final", self.final)
        _check_positive("total_rate", self.total_rate)

    def threshold(self, steps: int, rates: float) -> float:
        """D times the share of the learning that is done."""
        return self.final * min(rates / self.total_rate, 1.0)


@dataclass(frozen=True)
class ConstantStrength:
    """The general rule with lambda as the knob: ``d = lambda sum_{i<=t} eta_i / (1 - momentum)``.

    It needs no plan of the rates: policies that react to the loss, and early ends, are fine.

    Attributes:
        strength: lambda, the effective L1 coefficient.
        momentum: of the heavy ball, 0 or more and below 1; if it is dampened, the momentum that
            would do without, ``1 - (1 - momentum) / (1 - dampening)``.

    Raises:
        ConfigError: a knob lies outside its range.

    Example:
        >>> f"{ConstantStrength(strength=0.01, momentum=0.9).threshold(steps=3, rates=2.0):.6f}"
        '0.200000'
    """

    strength: float
    momentum: float = 0.0

    def __post_init__(self) -> None:
        _check_positive("strength", self.strength)
        if not 0 <= self.momentum < 1:
            raise ConfigError(f"momentum: found {self.momentum}, wanted 0 or more and below 1")

    def threshold(self, steps: int, rates: float) -> float:
        """Lambda times the learning done, momentum counted in."""
        return self.strength * rates / (1 - self.momentum)


def rehearse_rates(
    build_scheduler: Callable[[torch.optim.Optimizer], RateScheduler],
    rate: float,
    steps: int,
    steps_per_update: int = 1,
) -> list[float]:
    """Learning rates that a policy will use, found by running it on a stand-in optimiser.

    Args:
        build_scheduler: makes the policy for an optimiser, as the training will.
        rate: the optimiser's initial learning rate.
        steps: optimiser steps.
        steps_per_update: optimiser steps between two steps of the policy (an epoch's, often).

    Returns:
        The rate of each optimiser step.

    Raises:
        ConfigError: ``steps`` or ``steps_per_update`` is not above 0.

    Example:
        >>> halve = lambda optimizer: torch.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.5)
        >>> rehearse_rates(halve, rate=0.4, steps=4, steps_per_update=2)
        [0.4, 0.4, 0.2, 0.2]
    """
    _check_positive("steps", steps)
    _check_positive("steps_per_update", steps_per_update)
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=rate)
    scheduler, rates = build_scheduler(optimizer), []
    for step in range(1, steps + 1):
        rates.append(float(optimizer.param_groups[0]["lr"]))
        optimizer.step()
        if step % steps_per_update == 0:
            scheduler.step()
    return rates


def plan_from_rates(strength: float, rates: Iterable[float], momentum: float = 0.0) -> FromRates:
    """The general rule for planned rates, by its lambda: ``D = lambda sum eta / (1 - momentum)``.

    Raises:
        ConfigError: ``strength``, ``momentum`` or the sum of the rates lies outside its range.

    Example:
        >>> plan_from_rates(strength=0.5, rates=[1.0, 3.0], momentum=0.5)
        FromRates(final=4.0, total_rate=4.0)
    """
    total = math.fsum(rates)
    rule = ConstantStrength(strength, momentum)
    return FromRates(rule.threshold(0, total), total)


def _check_positive(name: str, value: float) -> None:
    if not (math.isfinite(value) and value > 0):
        raise ConfigError(f"{name}: found {value}, wanted a finite number above 0")
