"""A network, its optimiser and a schedule come in; sparse weights grow in ordinary training.

Chen et al., *State Transition of Dendritic Spines Improves Learning of Sparse SNNs* (STDS, ICML
2022): a weight is the part of its spine theta that rises above a growing threshold d,
``w = sign(theta) max(|theta| - d, 0)``. Spines below d keep learning and may regrow, with either
sign. The schedules turn it into the LATS family (ICLR 2023).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn.utils import parametrize

from vidar_det.errors import ConfigError, TrainingError
from vidar_det.pruning.layers import prunable_layers
from vidar_det.pruning.resuming import describe, refuse_another
from vidar_det.pruning.schedules import Schedule
from vidar_det.pruning.shrinkage import SpineShrinkage, remove_spines
from vidar_det.pruning.steps import rate_and_drag, was_skipped


@dataclass(frozen=True)
class ReachSparsity:
    """Instead of a schedule: the threshold that makes an asked share of the weights 0.

    After each optimiser step d is the smallest threshold that leaves at least ``sparsity * s`` of
    all chosen weights 0, ``s = 1 - (1 - n / N)^3``. It sorts the spines in every step, and says
    nothing of lambda: that is what the data make of it.

    Attributes:
        sparsity: asked share of zeros over all chosen weights, above 0 and below 1.
        steps: N, the optimiser steps in which it is reached; from then on it is held.

    Raises:
        ConfigError: a setting lies outside its range.
    """

    sparsity: float
    steps: int

    def __post_init__(self) -> None:
        if not 0 < self.sparsity < 1:
            raise ConfigError(f"sparsity: found {self.sparsity}, wanted above 0 and below 1")
        if self.steps < 1:
            raise ConfigError(f"steps: found {self.steps}, wanted 1 or more")

    def share(self, steps: int) -> float:
        """Share of zeros that is due after ``steps``."""
        left = max(0.0, 1 - steps / self.steps)
        return self.sparsity * (1 - left**3)


class SoftThreshold:
    """Prunes a network while it trains: attach it, train as always, finalise.

    The threshold moves by itself after every step that the optimiser really makes (a step skipped
    by mixed precision moves nothing), by the learning rate of that very step. Parameters stay the
    same objects, so it may be attached before or after the optimiser's state exists. Keep weight
    decay away from the spines: the threshold is the pressure.

    An average of the network (``ema = copy.deepcopy(network)``, moved towards the network's
    ``state_dict`` after each step) averages spines: ``finalise(ema)`` prunes it by today's
    threshold and makes it an ordinary network. To look at it on the way, finalise a copy of it.

    Args:
        network: any network, spiking or not.
        optimizer: holds the chosen weights, all with one learning rate; where there are two,
            attach one to each.
        schedule: one of `vidar_det.pruning.schedules`, or `ReachSparsity`.
        layers: names as in `prunable_layers`; None takes every convolution and fully connected
            layer.
        plain: the true gradient instead of the redefined one (see `SpineShrinkage`).
        allow_dead_layers: let a layer lose all its weights; otherwise that is refused.

    Attributes:
        threshold: d, as it is now.
        strength: lambda of the last step, ``(1 - momentum) * (rise of d) / (learning rate)``, over
            ``1 - dampening`` where the optimiser has that.
        steps: optimiser steps made since it was attached.
        rates: sum of their learning rates.

    Raises:
        ConfigError: unknown layer names, a weight that is already parametrised or that the
            optimiser does not hold.
        PruningError: another module computes with a chosen weight too.

    Example:
        >>> from vidar_det.pruning.layers import measure_sparsity
        >>> from vidar_det.pruning.schedules import Linear
        >>> network = nn.Linear(2, 1, bias=False)
        >>> with torch.no_grad():
        ...     _ = network.weight.copy_(torch.tensor([[-0.1, 2.0]]))
        >>> optimizer = torch.optim.SGD(network.parameters(), lr=0.0)
        >>> pruning = SoftThreshold(network, optimizer, Linear(final=0.5, steps=1))
        >>> network(torch.ones(1, 2)).sum().backward()
        >>> optimizer.step()
        >>> pruning.finalise()
        >>> network.weight.tolist(), measure_sparsity(network).total
        ([[-0.0, 1.5]], 0.5)
    """

    def __init__(
        self,
        network: nn.Module,
        optimizer: torch.optim.Optimizer,
        schedule: Schedule | ReachSparsity,
        layers: Sequence[str] | None = None,
        plain: bool = False,
        allow_dead_layers: bool = False,
    ) -> None:
        self._allow_dead_layers = allow_dead_layers
        self._layers = prunable_layers(network, layers)
        self._optimizer, self._schedule, self._plain = optimizer, schedule, plain
        self.steps, self.rates, self.threshold, self.strength = 0, 0.0, 0.0, 0.0
        if not isinstance(schedule, ReachSparsity):
            self.threshold = schedule.threshold(0, 0.0)
        self._check_layers()
        self._spines: dict[str, nn.Parameter] = {}
        self._shrinkages: list[SpineShrinkage] = []
        for name, layer in self._layers.items():
            weight = layer.get_parameter("weight")
            shrinkage = SpineShrinkage(weight, self.threshold, plain)
            parametrize.register_parametrization(layer, "weight", shrinkage)
            self._spines[name] = weight
            self._shrinkages.append(shrinkage)
        self._set_threshold(self.threshold)
        self._hook = optimizer.register_step_post_hook(self._advance)

    def finalise(self, other: nn.Module | None = None) -> None:
        """Turn spines into plain weights: the network is an ordinary one again, zeros included.

        The parameters stay the same objects. Call it once, after the last step.

        Args:
            other: a copy of the network, such as an average of it, that shall become ordinary
                instead: its own spines are pruned by today's threshold. The network goes on.

        Raises:
            ConfigError: ``other`` has no spines where the network has them.
        """
        layers = self._layers
        if other is None:
            self._hook.remove()
        else:
            layers = self._find_spines(other)
        for layer in layers.values():
            remove_spines(layer)

    def _find_spines(self, other: nn.Module) -> dict[str, nn.Module]:
        """Layers of a copy, by today's threshold."""
        parts = dict(other.named_modules())
        for name in self._layers:
            shrinkage = parts.get(f"{name}.parametrizations.weight.0".lstrip("."))
            if not isinstance(shrinkage, SpineShrinkage):
                raise ConfigError(
                    f"other: found no spines in {name!r}, wanted a copy of the network that was "
                    "made after the threshold was attached (of an AveragedModel, its module)"
                )
            shrinkage.threshold.fill_(self.threshold)
        return {name: parts[name] for name in self._layers}

    def state_dict(self) -> dict[str, Any]:
        """All that a later run needs beside the states of the network and of the optimiser."""
        return {**self._identity(), **{name: getattr(self, name) for name in _PROGRESS}}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where another run stopped; load network and optimiser too.

        Raises:
            CheckpointError: the state is of other layers, another schedule or another optimiser.
        """
        refuse_another("soft threshold", state, self._identity())
        for name in _PROGRESS:
            setattr(self, name, state[name])
        self._set_threshold(self.threshold)

    def _identity(self) -> dict[str, Any]:
        """What must be the same when a run is resumed."""
        return {
            "layers": list(self._layers),
            "schedule": describe(self._schedule),
            "optimizer": type(self._optimizer).__name__,
            "plain": self._plain,
        }

    def _check_layers(self) -> None:
        held = {id(p) for group in self._optimizer.param_groups for p in group["params"]}
        for name, layer in self._layers.items():
            if parametrize.is_parametrized(layer, "weight") or "weight" not in layer._parameters:
                raise ConfigError(f"layers: the weight of {name!r} is computed, wanted a plain one")
            if id(layer.get_parameter("weight")) not in held:
                raise ConfigError(f"layers: the optimiser does not hold the weight of {name!r}")

    def _advance(self, *_: object) -> None:
        """Move the threshold after a step of the optimiser."""
        if was_skipped(self._optimizer):
            return
        rate, drag = rate_and_drag(self._optimizer, self._spines.values(), "the pruned layers")
        steps, rates = self.steps + 1, self.rates + rate
        if isinstance(self._schedule, ReachSparsity):
            threshold = self._quantile(self._schedule.share(steps))
        else:
            threshold = self._schedule.threshold(steps, rates)
        if not self._allow_dead_layers:
            self._refuse_dead_layers(threshold)
        rise = (threshold - self.threshold) * drag
        self.steps, self.rates = steps, rates
        self.strength = rise / rate if rate else 0.0
        self._set_threshold(threshold)

    @torch.no_grad()
    def _quantile(self, share: float) -> float:
        """Smallest threshold that makes at least this share of the weights 0."""
        sizes = torch.cat([spine.abs().flatten() for spine in self._spines.values()])
        count = math.ceil(share * sizes.numel() - 1e-9)
        return float(sizes.kthvalue(count).values) if count else 0.0

    @torch.no_grad()
    def _refuse_dead_layers(self, threshold: float) -> None:
        largest = torch.stack([spine.abs().max().double() for spine in self._spines.values()])
        for name, size in zip(self._spines, largest.tolist(), strict=True):
            if size <= threshold:
                raise TrainingError(
                    f"step {self.steps + 1}: the threshold {threshold:g} would kill all of layer "
                    f"{name!r}, whose largest spine is {size:g}; choose a lower final threshold "
                    "(or sparsity), or leave the layer out"
                )

    def _set_threshold(self, threshold: float) -> None:
        self.threshold = threshold
        for shrinkage in self._shrinkages:
            shrinkage.threshold.fill_(threshold)
            shrinkage.identity.fill_(self.steps == 0 and threshold == 0)


_PROGRESS = ("steps", "rates", "threshold", "strength")
