"""A trace comes in; groups of channels, each of which can only vanish whole, go out."""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, fx, nn

from vidar_det.errors import ConfigError
from vidar_det.pruning.slots import FIXED
from vidar_det.pruning.tracing import trace

STAYS = -1
"""In place of a group's number: the channel is an input or output of the network and stays."""


@dataclass(frozen=True)
class GroupedAxis:
    """One axis of one parameter or buffer.

    Attributes:
        tensor: its name in the network.
        dim: which axis.
        groups: ``(n,) int64``: the group of each index, or ``STAYS``.
        writes: whether zeros along it make the channels 0; otherwise the layer reads them.
    """

    tensor: str
    dim: int
    groups: NDArray[np.int64]
    writes: bool


@dataclass(frozen=True)
class GroupedLayer:
    """A layer with weights.

    Attributes:
        name: in the network.
        outs: ``(n,) int64``: groups of the channels that leave it, or ``STAYS``.
        ins: the same for the channels that it mixes; None where it mixes none.
        axes: what shrinks in it.
        weights_per_pair: weights between one input and one output channel; 0 in a normalisation.
        places: outputs per output channel in the traced run.
    """

    name: str
    outs: NDArray[np.int64]
    ins: NDArray[np.int64] | None
    axes: tuple[GroupedAxis, ...]
    weights_per_pair: int
    places: int


@dataclass(frozen=True)
class GroupedSplit:
    """A node of the graph that cuts a tensor along its channels.

    Attributes:
        node: its name.
        dim: the axis.
        pieces: groups of each piece's channels, or ``STAYS``.
    """

    node: str
    dim: int
    pieces: tuple[NDArray[np.int64], ...]


@dataclass(frozen=True)
class Family:
    """Groups that the very same layers write and read, such as a stage's stream.

    Attributes:
        layers: that write them, in the order in which they run; more than one where a skip
            connection ties them.
        groups: ``(n,) int64``: their numbers.
    """

    layers: tuple[str, ...]
    groups: NDArray[np.int64]

    @property
    def name(self) -> str:
        """The first layer's."""
        return self.layers[0]


@dataclass(frozen=True)
class ChannelGroups:
    """How the channels of a network hang together.

    Attributes:
        count: G, how many groups there are; they are numbered in the order in which the network
            makes them.
        layers: those with weights, in the order in which they run.
        splits: where the network cuts a tensor along its channels.
        graph: the network's operations, with a copy of its modules.
    """

    count: int
    layers: tuple[GroupedLayer, ...]
    splits: tuple[GroupedSplit, ...]
    graph: fx.GraphModule

    @cached_property
    def families(self) -> tuple[Family, ...]:
        """Groups by what writes and reads them, in the order in which the network makes them."""
        writers: dict[int, list[str]] = {group: [] for group in range(self.count)}
        readers: dict[int, list[str]] = {group: [] for group in range(self.count)}
        for layer in self.layers:
            if layer.weights_per_pair:
                for group in np.unique(layer.outs[layer.outs != STAYS]).tolist():
                    writers[group].append(layer.name)
            if layer.ins is not None:
                for group in np.unique(layer.ins[layer.ins != STAYS]).tolist():
                    readers[group].append(layer.name)
        members: dict[tuple[tuple[str, ...], ...], list[int]] = {}
        for group in range(self.count):
            members.setdefault((tuple(writers[group]), tuple(readers[group])), []).append(group)
        return tuple(Family(path[0], np.array(own)) for path, own in members.items())

    def written_by(self, patterns: Sequence[str]) -> NDArray[np.bool_]:
        """Tell which groups only layers of certain names write.

        Args:
            patterns: of the names, in full or as `short_name` shows them, as in a shell; empty =
                all.

        Returns:
            ``(G,) bool``.

        Raises:
            ConfigError: no layer has such a name, it makes the output, or it is tied to a layer
                that is not named.
        """
        named = set(self.named(patterns or ("*",)))
        written = np.zeros(self.count, bool)
        for family in self.families:
            own = [name for name in family.layers if name in named]
            others = [short_name(name) for name in family.layers if name not in named]
            if own and others:
                raise ConfigError(
                    f"layers: {short_name(own[0])} is tied to {' and '.join(others)} through a "
                    "skip connection: name both"
                )
            written[family.groups] = not others
        return written

    def named(self, patterns: Sequence[str]) -> list[str]:
        """Find the layers of certain names, in the order in which they compute.

        Args:
            patterns: as in `written_by`; empty = none.

        Raises:
            ConfigError: no layer has such a name, or it makes the output.
        """
        found = {name for pattern in patterns for name in self._named(pattern)}
        return [layer.name for layer in self.layers if layer.name in found]

    def _named(self, pattern: str) -> list[str]:
        """Find the layers that write groups and have such a name."""
        names = [layer.name for layer in self.layers if layer.weights_per_pair]
        found = [
            name
            for name in names
            if fnmatchcase(name, pattern) or fnmatchcase(short_name(name), pattern)
        ]
        writers = dict.fromkeys(name for family in self.families for name in family.layers)
        if not found:
            shown = ", ".join(short_name(name) for name in writers)
            raise ConfigError(f"layers: found {pattern!r}, wanted names among: {shown}")
        if not writers.keys() & found:
            raise ConfigError(f"layers: {pattern} makes the network's output and stays")
        return found


def short_name(name: str) -> str:
    """Leave out the number that a convolution has within its pair with the normalisation."""
    return name.removesuffix(".0")


def find_groups(
    network: nn.Module, example: Tensor, leaves: Sequence[type[nn.Module]] = ()
) -> ChannelGroups:
    """Find which channels of a network stand or fall together.

    A group is what one removed channel takes along: the filters that make it, its normalisation,
    the slices of all that read it, and, through every skip connection, the channels that it is
    added to. Channels that reach the output stay.

    Args:
        network: see `vidar_det.pruning.tracing.trace`.
        example: an input; a batch of one sample makes the counts of places those of one sample.
        leaves: further modules that keep shape and channels and send 0 to 0.

    Returns:
        The groups.

    Raises:
        PruningError: an operation is not understood; it is named with its line.

    Example:
        >>> import torch
        >>> network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 1))
        >>> groups = find_groups(network, torch.zeros(1, 1, 8, 8))
        >>> groups.count, groups.families[0].layers
        (4, ('0',))
    """
    traced = trace(network, example, leaves)
    written = [layer.outs for layer in traced.layers if layer.weights_per_pair]
    sets = dict.fromkeys(found for slots in written for found in traced.slots.sets(slots).tolist())
    sets.pop(FIXED, None)
    numbers = {found: number for number, found in enumerate(sets)}

    def numbered(slots: Tensor) -> NDArray[np.int64]:
        found = traced.slots.sets(slots).tolist()
        return np.array([numbers.get(one, STAYS) for one in found], np.int64)

    layers = tuple(
        GroupedLayer(
            layer.name,
            numbered(layer.outs),
            None if layer.ins is None else numbered(layer.ins),
            tuple(
                GroupedAxis(axis.tensor, axis.dim, numbered(axis.slots), axis.writes)
                for axis in layer.axes
            ),
            layer.weights_per_pair,
            layer.places,
        )
        for layer in traced.layers
    )
    splits = tuple(
        GroupedSplit(split.node, split.dim, tuple(numbered(piece) for piece in split.pieces))
        for split in traced.splits
    )
    return ChannelGroups(len(numbers), layers, splits, traced.graph)
