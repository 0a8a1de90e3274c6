"""Gammas and betas of a network come in; the spines of its groups go out, and come back shrunk."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vidar_det.errors import CheckpointError, ConfigError
from vidar_det.pruning.groups import ChannelGroups
from vidar_det.pruning.importance import group_sizes, spine_layers
from vidar_det.pruning.resuming import refuse_other_figures


class GroupSpines:
    """Gamma and beta of all normalisations, the spines behind them, and their channels' groups.

    Args:
        network: with affine batch normalisations.
        groups: of the network.
        initial: what each gamma started from, by the name of its normalisation; 1 where missing.

    Attributes:
        spines: by the name of the parameter.

    Raises:
        ConfigError: there is no affine normalisation.
    """

    def __init__(
        self, network: nn.Module, groups: ChannelGroups, initial: Mapping[str, float]
    ) -> None:
        self.count = groups.count
        self.parameters: dict[str, nn.Parameter] = {}
        self.spines: dict[str, Tensor] = {}
        self.outs: dict[str, NDArray[np.int64]] = {}
        self.initial: dict[str, float] = {}
        for layer, outs in spine_layers(network, groups).items():
            for part in ("weight", "bias"):
                name = f"{layer}.{part}"
                self.parameters[name] = network.get_parameter(name)
                self.spines[name] = self.parameters[name].detach().clone()
                self.outs[name], self.initial[name] = outs, initial.get(layer, 1.0)
        if not self.spines:
            raise ConfigError("group threshold: found no affine normalisation, wanted at least one")

    def check(self, optimizer: torch.optim.Optimizer) -> None:
        """Refuse an optimiser that does not hold a gamma or beta; raises ConfigError."""
        held = {id(p) for group in optimizer.param_groups for p in group["params"]}
        for name, parameter in self.parameters.items():
            if id(parameter) not in held:
                raise ConfigError(f"group threshold: the optimiser does not hold {name!r}")

    def refuse_others(self, state: Mapping[str, Any]) -> None:
        """Refuse the ``spines`` of another network, or those that grew from another ``initial``.

        Raises:
            CheckpointError: a name, a shape or a first gamma differs. States of older versions do
                not hold the first gammas.
        """
        own = {name: spine.shape for name, spine in self.spines.items()}
        found = {name: spine.shape for name, spine in state["spines"].items()}
        for name in (*own, *found):
            if found.get(name) != own.get(name):
                raise CheckpointError(
                    f"state of group threshold, spine {name!r}: found {found.get(name)}, wanted "
                    f"{own.get(name)}"
                )
        if "initial" in state:
            saved = [state["initial"][name] for name in own]
            refuse_other_figures("group threshold, initial", saved, self.initial.values())

    @torch.no_grad()
    def lend(self) -> None:
        """Put the spines in the places of gamma and beta."""
        for name, parameter in self.parameters.items():
            parameter.copy_(self.spines[name])

    @torch.no_grad()
    def take_back(self) -> None:
        """Read the spines from there."""
        for name, parameter in self.parameters.items():
            self.spines[name].copy_(parameter)

    @torch.no_grad()
    def shrink(self, factors: NDArray[np.float64]) -> None:
        """Write ``factor * spine`` into the network."""
        whole = np.append(factors, 1.0)  # the last one answers for STAYS, which is -1
        for name, parameter in self.parameters.items():
            factor = torch.from_numpy(whole[self.outs[name]]).to(parameter)
            parameter.copy_(self.spines[name] * factor)

    def gates(self) -> NDArray[np.float64]:
        """Derivative of the loss by a gate on each group's spine, ``(G,) float64``."""
        total = np.zeros(self.count + 1)  # the last one answers for STAYS, which is -1
        for name, spine in self.spines.items():
            gradient = self.parameters[name].grad
            if gradient is not None:
                np.add.at(total, self.outs[name], (spine * gradient).double().cpu().numpy())
        return total[:-1]

    def sizes(self) -> NDArray[np.float64]:
        """Size of each group's spine; see `vidar_det.pruning.importance.spine_sizes`."""
        return group_sizes(
            self.count,
            ((self.outs[name], spine / self.initial[name]) for name, spine in self.spines.items()),
        )
