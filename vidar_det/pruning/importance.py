"""A network and its groups come in; how much each group matters goes out."""

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from vidar_det.pruning.groups import STAYS, ChannelGroups


def spine_sizes(
    network: nn.Module, groups: ChannelGroups, initial: Mapping[str, float] | None = None
) -> NDArray[np.float64]:
    """Size of each group's spine: what the threshold of channel pruning is compared with.

    The root mean square, over all normalised channels of the group, of ``(gamma, beta) / gamma_0``.
    A stage's stream has many of them and an inner channel has one: the mean judges them alike.

    Args:
        network: with affine normalisations; those of averaged weights will do.
        groups: its groups.
        initial: gamma_0 by the name of the normalisation, what it started from; 1 where missing.

    Returns:
        ``(G,) float64``; infinite for groups that no normalisation belongs to: they stay.
    """
    parts = []
    for name, outs in spine_layers(network, groups).items():
        start = (initial or {}).get(name, 1.0)
        norm = network.get_submodule(name)
        parts += [(outs, part.detach() / start) for part in norm.parameters()]
    return group_sizes(groups.count, parts)


def group_sizes(
    count: int, parts: Iterable[tuple[NDArray[np.int64], Tensor]]
) -> NDArray[np.float64]:
    """Root mean square of groups over their normalised channels.

    Args:
        count: G.
        parts: gammas and betas, each relative to what its gamma started from, with the groups of
            its channels.

    Returns:
        ``(G,) float64``, infinite for groups without any.
    """
    squares, members = np.zeros(count), np.zeros(count)
    for outs, values in parts:
        own = outs != STAYS
        np.add.at(squares, outs[own], values.double().square().cpu().numpy()[own])
        np.add.at(members, outs[own], 0.5)  # gamma and beta make one channel
    return _ratio(squares, members) ** 0.5


def spine_layers(network: nn.Module, groups: ChannelGroups) -> dict[str, NDArray[np.int64]]:
    """Affine normalisations by name, with the groups of their channels."""
    return {
        layer.name: layer.outs
        for layer in groups.layers
        if isinstance(norm := network.get_submodule(layer.name), _BatchNorm) and norm.affine
    }


def filter_sizes(network: nn.Module, groups: ChannelGroups) -> NDArray[np.float64]:
    """Mean absolute weight of each group's filters, relative to their layers' mean.

    L1 group magnitude (Li et al., *Pruning Filters for Efficient ConvNets*, ICLR 2017), made
    comparable between layers.

    Returns:
        ``(G,) float64``; infinite for groups without a filter.
    """
    sizes = {}
    for layer in groups.layers:
        if layer.weights_per_pair:
            weight = network.get_parameter(f"{layer.name}.weight").detach().double()
            size = weight.abs().flatten(1).mean(1)
            sizes[layer.name] = size / size.mean().clamp(min=1e-30)
    outs = {layer.name: layer.outs for layer in groups.layers}
    return _means(groups.count, ((outs[name], size) for name, size in sizes.items()))


def gamma_sizes(network: nn.Module, groups: ChannelGroups) -> NDArray[np.float64]:
    """Mean ``|gamma|`` of each group (network slimming; Liu et al., ICCV 2017).

    Returns:
        ``(G,) float64``; infinite for groups that no normalisation belongs to.
    """
    layers = spine_layers(network, groups)
    return _means(
        groups.count,
        ((outs, network.get_parameter(f"{name}.weight").abs()) for name, outs in layers.items()),
    )


def over_kappa(importance: NDArray[np.float64], kappa: NDArray[np.float64]) -> NDArray[np.float64]:
    """Judge groups the more harshly, the larger their kappa: ``importance / kappa``.

    Returns:
        ``(G,) float64``; infinite where kappa is 0: these groups stay.
    """
    scores = np.full(len(importance), np.inf)
    np.divide(importance, kappa, out=scores, where=kappa > 0)
    return scores


def _means(count: int, parts: Iterable[tuple[NDArray[np.int64], Tensor]]) -> NDArray[np.float64]:
    total, members = np.zeros(count), np.zeros(count)
    for outs, values in parts:
        own = outs != STAYS
        np.add.at(total, outs[own], values.detach().double().cpu().numpy()[own])
        np.add.at(members, outs[own], 1)
    return _ratio(total, members)


def _ratio(total: NDArray[np.float64], members: NDArray[np.float64]) -> NDArray[np.float64]:
    ratio = np.full(len(total), np.inf)
    np.divide(total, members, out=ratio, where=members > 0)
    return ratio
