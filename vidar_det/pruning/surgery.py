"""A network and the groups to keep come in; the same network with fewer channels goes out."""

import copy
from collections.abc import Mapping
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, fx, nn

from vidar_det.errors import PruningError
from vidar_det.pruning.groups import ChannelGroups
from vidar_det.pruning.shadow_layers import CONVOLUTIONS

_COUNTS = {
    ("weight", 0): ("out_channels", "out_features", "num_features", "num_parameters"),
    ("weight", 1): ("in_channels", "in_features"),
}
"""What a layer calls the length of an axis of its weight."""


def mask(network: nn.Module, groups: ChannelGroups, kept: NDArray[np.bool_]) -> nn.Module:
    """Set the channels of groups to 0, without making anything smaller.

    Every filter, bias and normalisation that writes them is set to 0, so that no current flows and
    nothing fires: gamma alone would not do, since beta makes a neuron fire too.

    Args:
        network: as the groups were found on; it stays as it is.
        groups: its groups.
        kept: ``(G,) bool``.

    Returns:
        A copy.

    Raises:
        PruningError: ``kept`` does not fit the groups, or a layer would lose all its channels.

    Example:
        >>> from vidar_det.pruning.groups import find_groups
        >>> network = nn.Sequential(nn.Conv2d(1, 2, 1), nn.Conv2d(2, 1, 1))
        >>> groups = find_groups(network, torch.zeros(1, 1, 2, 2))
        >>> mask(network, groups, np.array([True, False]))[0].weight[1].item()
        0.0
    """
    _check(groups, kept)
    masked = copy.deepcopy(network)
    tensors = {**dict(masked.named_parameters()), **dict(masked.named_buffers())}
    with torch.no_grad():
        for layer in groups.layers:
            for axis in layer.axes:
                gone = torch.from_numpy(~_present(axis.groups, kept))
                if axis.writes and bool(gone.any()):
                    tensor = tensors[axis.tensor]
                    (at,) = gone.to(tensor.device).nonzero(as_tuple=True)
                    tensor.index_fill_(axis.dim, at, 0.0)
    return masked


def cut(network: nn.Module, groups: ChannelGroups, kept: NDArray[np.bool_]) -> nn.Module:
    """Remove groups: fewer filters, narrower readers, shorter normalisations.

    The result is an ordinary network that computes what `mask`'s does, up to the order of sums.

    Args:
        network: as the groups were found on; it stays as it is.
        groups: its groups.
        kept: ``(G,) bool``.

    Returns:
        A narrower copy. Where the network cuts tensors along their channels, the sizes of the
        pieces are written anew and it is a ``torch.fx.GraphModule`` with the same parameter names.

    Raises:
        PruningError: ``kept`` does not fit the groups, or a layer would lose all its channels.

    Example:
        >>> from vidar_det.pruning.groups import find_groups
        >>> network = nn.Sequential(nn.Conv2d(1, 2, 1), nn.Conv2d(2, 1, 1))
        >>> groups = find_groups(network, torch.zeros(1, 1, 2, 2))
        >>> cut(network, groups, np.array([True, False]))
        Sequential(
          (0): Conv2d(1, 1, kernel_size=(1, 1), stride=(1, 1))
          (1): Conv2d(1, 1, kernel_size=(1, 1), stride=(1, 1))
        )
    """
    _check(groups, kept)
    narrow = copy.deepcopy(network)
    for layer in groups.layers:
        for axis in layer.axes:
            present = _present(axis.groups, kept)
            if not present.all():
                _shorten(narrow, axis.tensor, axis.dim, present)
    pieces = {
        split.node: ([int(_present(piece, kept).sum()) for piece in split.pieces], split.dim)
        for split in groups.splits
    }
    return _resplit(narrow, groups.graph.graph, pieces) if pieces else narrow


def cut_state(
    state: Mapping[str, Tensor], groups: ChannelGroups, kept: NDArray[np.bool_]
) -> dict[str, Tensor]:
    """Remove groups from a network's state alone, such as an average of its weights.

    Args:
        state: by name, as the network's ``state_dict``; it stays as it is.
        groups: the network's groups.
        kept: ``(G,) bool``.

    Returns:
        The narrower state.

    Raises:
        PruningError: ``kept`` does not fit the groups, or a layer would lose all its channels.
    """
    _check(groups, kept)
    narrow = dict(state)
    for layer in groups.layers:
        for axis in layer.axes:
            narrow[axis.tensor] = _select(
                narrow[axis.tensor], axis.dim, _present(axis.groups, kept)
            )
    return narrow


def _check(groups: ChannelGroups, kept: NDArray[np.bool_]) -> None:
    if kept.shape != (groups.count,) or kept.dtype != bool:
        raise PruningError(
            f"kept groups: found {kept.dtype} of shape {kept.shape}, wanted bool of shape "
            f"({groups.count},)"
        )
    for layer in groups.layers:
        for what, channels in (("channels", layer.outs), ("inputs", layer.ins)):
            if channels is not None and not _present(channels, kept).any():
                raise PruningError(f"{layer.name}: would lose all {len(channels)} {what}")


def _present(groups: NDArray[np.int64], kept: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return np.append(kept, True)[groups]  # the last answers for STAYS, which is -1


def _select(tensor: Tensor, dim: int, present: NDArray[np.bool_]) -> Tensor:
    (at,) = torch.from_numpy(present).to(tensor.device).nonzero(as_tuple=True)
    return tensor.index_select(dim, at)


def _shorten(network: nn.Module, name: str, dim: int, present: NDArray[np.bool_]) -> None:
    """Shorten one axis of a parameter or buffer, and what its layer says of that axis."""
    path, _, part = name.rpartition(".")
    owner = network.get_submodule(path)
    tensor = cast(Tensor, getattr(owner, part))
    shorter = _select(tensor.detach(), dim, present)
    if isinstance(tensor, nn.Parameter):
        setattr(owner, part, nn.Parameter(shorter, requires_grad=tensor.requires_grad))
    else:
        setattr(owner, part, shorter)
    for count in _COUNTS.get((part, dim), ()):
        if hasattr(owner, count):
            setattr(owner, count, shorter.shape[dim])
    if part == "running_mean" and hasattr(owner, "num_features"):
        setattr(owner, "num_features", len(shorter))  # noqa: B010  # mypy knows a module's parts only
    if part == "weight" and isinstance(owner, CONVOLUTIONS) and owner.groups > 1:  # depthwise
        copies = len(present) // owner.groups
        owner.in_channels = owner.groups = owner.out_channels // copies


def _resplit(
    network: nn.Module, operations: fx.Graph, pieces: Mapping[str, tuple[list[int], int]]
) -> fx.GraphModule:
    """Write the sizes of split tensors anew."""
    graph = copy.deepcopy(operations)
    for node in list(graph.nodes):
        if node.name in pieces:
            sizes, dim = pieces[node.name]
            with graph.inserting_after(node):
                fresh = graph.call_function(torch.split, (node.all_input_nodes[0], sizes, dim))
            node.replace_all_uses_with(fresh)
            graph.erase_node(node)
    graph.lint()
    return fx.GraphModule(network, graph)
