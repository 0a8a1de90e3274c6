"""Groups come in; what a network costs with any of them kept goes out: params, MACs or SynOps."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, fx, nn
from torch.nn import functional

from vidar_det.errors import PruningError
from vidar_det.pruning.groups import STAYS, ChannelGroups, GroupedLayer
from vidar_det.pruning.shadow_layers import SPATIAL
from vidar_det.pruning.tracing import reset_neurons

_CONVOLVE: Mapping[int, Callable[..., Tensor]] = {
    1: functional.conv1d,
    2: functional.conv2d,
    3: functional.conv3d,
}
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
        network: as the groups were found on, in evaluation mode. Neurons that hold a state are
            reset before and after each window.
        groups: its groups.
        windows: inputs; each call is one window.

    Returns:
        The cost per window, of convolutions and linear layers. Those that see the input itself add
        none: light multiplies every weight, even where its values are whole numbers. Nor do those
        that see numbers that are not whole.

    Raises:
        PruningError: there is no window, or no layer sees spikes.
    """
    layers = {layer.name: layer for layer in groups.layers if layer.weights_per_pair}
    landed: dict[str, NDArray[np.float64]] = {}
    analogue = layers.keys() - _names_behind_modules(groups)
    rows = count = 0

    def watch(name: str, layer: nn.Module, given: tuple[Tensor, ...]) -> None:
        nonlocal rows
        (x,) = given
        folds = getattr(layer, "step_mode", "s") == "m" and x.ndim > 2
        x = x.flatten(0, 1) if folds else x
        rows = max(rows, len(x))
        spikes = x.double() * (rows // len(x))  # a read-out sees the mean over steps
        if not torch.allclose(spikes, spikes.round(), rtol=0, atol=1e-3):
            analogue.add(name)
        landed[name] = landed.get(name, np.zeros(1)) + _landings(layer, spikes.round())

    hooks = [
        network.get_submodule(name).register_forward_pre_hook(
            lambda layer, args, kwargs, name=name: watch(name, layer, (*args, *kwargs.values())),
            with_kwargs=True,
        )
        for name in layers
    ]
    try:
        for window in windows:
            rows, count = 1, count + 1
            reset_neurons(network)
            network(window)
    finally:
        reset_neurons(network)
        for hook in hooks:
            hook.remove()
    if not count:
        raise PruningError("SynOps: found no window to measure on, wanted at least one")
    spiking = {name: seen / count for name, seen in landed.items() if name not in analogue}
    if not any(seen.any() for seen in spiking.values()):
        raise PruningError(
            "SynOps: found no spikes on these windows: behind the first layer, all inputs are 0 or "
            "no whole numbers"
        )
    terms = tuple(_synops_term(layers[name], seen) for name, seen in spiking.items())
    return CostModel("synops", groups.count, terms)


def _names_behind_modules(groups: ChannelGroups) -> set[str]:
    """Name the modules that see more than the input, pooled or resized at most."""
    behind: set[fx.Node] = set()
    for node in groups.graph.graph.nodes:
        for source in node.all_input_nodes:
            module = source.op == "call_module" and groups.graph.get_submodule(str(source.target))
            if source in behind or (module and not isinstance(module, SPATIAL)):
                behind.add(node)
    return {str(node.target) for node in behind if node.op == "call_module"}


def _synops_term(layer: GroupedLayer, landed: NDArray[np.float64]) -> CostTerm:
    if layer.ins is None:  # depthwise: each output sees one input
        copies = len(layer.outs) // len(landed)
        return CostTerm(np.array([STAYS]), layer.outs, np.repeat(landed, copies))
    return CostTerm(layer.outs, layer.ins, landed)


def _landings(layer: nn.Module, spikes: Tensor) -> NDArray[np.float64]:
    """Count, by input channel, the outputs of one output channel that its spikes reach."""
    if isinstance(layer, nn.Linear):
        return cast("NDArray[np.float64]", spikes.flatten(0, -2).sum(0).cpu().numpy())
    conv = cast(nn.Conv2d, layer)
    kernel = torch.ones(spikes.shape[1], 1, *conv.kernel_size).to(spikes)
    reached = _CONVOLVE[len(conv.kernel_size)](
        spikes.sum(0, keepdim=True),
        kernel,
        stride=conv.stride,
        padding=conv.padding,
        dilation=conv.dilation,
        groups=spikes.shape[1],
    )
    return cast("NDArray[np.float64]", reached[0].flatten(1).sum(1).cpu().numpy())
