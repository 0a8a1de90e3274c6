"""Groups come in; what a network costs with any of them kept goes out: params, MACs or SynOps."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from vidar_det.errors import PruningError
from vidar_det.pruning.groups import STAYS, ChannelGroups, GroupedLayer

Unit = Literal["params", "macs", "synops"]


@dataclass(frozen=True)
class CostTerm:
    """Cost of one tensor or layer: ``(sum of the kept inputs' weights) * (kept outputs)``.

    Attributes:
        outs: ``(n,) int64``: groups, or ``STAYS``.
        ins: the same for the inputs.
        weights: ``(m,) float64``: cost of one pair, by input.
    """

    outs: NDArray[np.int64]
    ins: NDArray[np.int64]
    weights: NDArray[np.float64]


@dataclass(frozen=True)
class CostModel:
    """What a network costs, as a function of the groups that are kept.

    Attributes:
        unit: ``params`` (learnable numbers), ``macs`` (multiply-accumulates of one run on the
            traced sample) or ``synops`` (additions that spikes cause, per window).
        count: G.
        terms: their sum is the cost.
        constant: cost of what no group is part of.
    """

    unit: Unit
    count: int
    terms: tuple[CostTerm, ...]
    constant: float = 0.0

    def total(self, kept: NDArray[np.bool_] | None = None) -> float:
        """Cost with these groups kept, ``(G,) bool``; None keeps all."""
        present = self._present(kept)
        pairs = (term.weights @ present[term.ins] * present[term.outs].sum() for term in self.terms)
        return float(sum(pairs)) + self.constant

    def marginal(self, kept: NDArray[np.bool_] | None = None) -> NDArray[np.float64]:
        """What the loss of each group alone would save, ``(G,) float64``."""
        present = self._present(kept)
        saved = np.zeros(self.count + 1)
        for term in self.terms:
            inputs = term.weights * present[term.ins]
            outputs = present[term.outs]
            by_in = np.bincount(term.ins % (self.count + 1), inputs, self.count + 1)
            by_out = np.bincount(term.outs % (self.count + 1), outputs, self.count + 1)
            saved += by_in * outputs.sum() + by_out * inputs.sum() - by_in * by_out
        return saved[: self.count]

    def _present(self, kept: NDArray[np.bool_] | None) -> NDArray[np.float64]:
        """1 for what is there; the last element answers for ``STAYS``, which is -1."""
        present = np.ones(self.count + 1)
        if kept is not None:
            present[:-1] = kept
        return present


def count_params(network: nn.Module, groups: ChannelGroups) -> CostModel:
    """Cost in learnable numbers.

    Example:
        >>> from vidar_det.pruning.groups import find_groups
        >>> network = nn.Sequential(nn.Conv2d(1, 4, 1), nn.Conv2d(4, 2, 1))
        >>> costs = count_params(network, find_groups(network, torch.zeros(1, 1, 2, 2)))
        >>> costs.total(), float(costs.marginal()[0])    # a filter, its bias, two readers
        (18.0, 4.0)
    """
    axes: dict[str, list[NDArray[np.int64]]] = {}
    for layer in groups.layers:
        for axis in layer.axes:
            axes.setdefault(axis.tensor, []).append(axis.groups)
    terms, constant = [], 0.0
    for name, parameter in network.named_parameters():
        followed = axes.get(name, [])
        if not followed:
            constant += parameter.numel()
            continue
        outs, ins = (*followed, np.array([STAYS]))[:2]
        numbers = parameter.numel() / (len(outs) * len(ins))
        terms.append(CostTerm(outs, ins, np.full(len(ins), numbers)))
    return CostModel("params", groups.count, tuple(terms), constant)


def count_macs(groups: ChannelGroups) -> CostModel:
    """Cost in multiply-accumulates of the traced run, those with padding and zeros included."""
    terms = []
    for layer in groups.layers:
        if layer.weights_per_pair:
            macs = float(layer.weights_per_pair * layer.places)
            ins = np.array([STAYS]) if layer.ins is None else layer.ins
            terms.append(CostTerm(layer.outs, ins, np.full(len(ins), macs)))
    return CostModel("macs", groups.count, tuple(terms))


@torch.no_grad()
def measure_synops(
    network: nn.Module, groups: ChannelGroups, windows: Iterable[Tensor]
) -> CostModel:
    """Cost in additions that spikes cause, at today's firing.

    How often the neurons fire changes when others vanish, so this is what the present network
    would cost without some of its channels, and an estimate for the network that is trained on.

    Args:
        network: as the groups were found on, in evaluation mode, with 2-D convolutions.
        groups: its groups.
        windows: inputs; each call is one window.

    Returns:
        The cost per window. Convolutions whose inputs are not whole numbers (the first one, that
        sees light) add none.

    Raises:
        PruningError: there is no window, or no convolution sees spikes.
    """
    convolutions = {name: part for name, part in network.named_modules() if type(part) is nn.Conv2d}
    landed = {name: np.zeros(part.in_channels) for name, part in convolutions.items()}
    analogue: set[str] = set()
    rows = 0

    def watch(name: str, conv: nn.Conv2d, x: Tensor) -> None:
        spikes = x.double() * (rows // len(x))  # a read-out sees the mean over steps
        if not torch.allclose(spikes, spikes.round(), rtol=0, atol=1e-3):
            analogue.add(name)
        landed[name] += _landings(conv, spikes.round())

    hooks = [
        part.register_forward_hook(lambda conv, args, _, name=name: watch(name, conv, args[0]))
        for name, part in convolutions.items()
    ]
    count = 0
    try:
        for window in windows:
            rows, count = len(window), count + 1
            network(window)
    finally:
        for hook in hooks:
            hook.remove()
    if not count:
        raise PruningError("SynOps: found no window to measure on, wanted at least one")
    spiking = {name: seen / count for name, seen in landed.items() if name not in analogue}
    layers = [
        layer
        for layer in groups.layers
        if layer.name in spiking and (layer.ins is None or (layer.ins != STAYS).any())
    ]
    if not sum(float(spiking[layer.name].sum()) for layer in layers):
        raise PruningError("SynOps: no convolution sees spikes on these windows")
    return CostModel("synops", groups.count, tuple(_synops_term(one, spiking) for one in layers))


def _synops_term(layer: GroupedLayer, landed: Mapping[str, NDArray[np.float64]]) -> CostTerm:
    seen = landed[layer.name]
    if layer.ins is None:  # depthwise: each output sees one input
        copies = len(layer.outs) // len(seen)
        return CostTerm(np.array([STAYS]), layer.outs, np.repeat(seen, copies))
    return CostTerm(layer.outs, layer.ins, seen)


def _landings(conv: nn.Conv2d, spikes: Tensor) -> NDArray[np.float64]:
    """Count, by input channel, the places in an output map that its spikes reach."""
    kernel = torch.ones(spikes.shape[1], 1, *conv.kernel_size, dtype=spikes.dtype)
    reached = functional.conv2d(
        spikes.sum(0, keepdim=True),
        kernel,
        stride=conv.stride,
        padding=cast("tuple[int, int]", conv.padding),
        dilation=conv.dilation,
        groups=spikes.shape[1],
    )
    return cast("NDArray[np.float64]", reached.sum((0, 2, 3)).numpy())
