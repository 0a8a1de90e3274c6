"""Groups and those of them that are kept come in; the width of every layer goes out."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vidar_det.pruning.groups import STAYS, ChannelGroups, Family


@dataclass(frozen=True)
class LayerWidth:
    """How many channels leave a layer.

    Attributes:
        name: in the network.
        before: channels today.
        after: channels kept.
        ties: letters, one for each set of layers that it loses channels together with; layers with
            the same letter are tied through a skip connection.
        stays: whether no channel may go, since the output sees all of them.
    """

    name: str
    before: int
    after: int
    ties: tuple[str, ...]
    stays: bool


def layer_widths(groups: ChannelGroups, kept: NDArray[np.bool_]) -> tuple[LayerWidth, ...]:
    """Return the widths of all layers but normalisations, in the order in which they run.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from vidar_det.pruning.groups import find_groups
        >>> network = nn.Sequential(nn.Conv2d(1, 2, 1), nn.Conv2d(2, 1, 1))
        >>> groups = find_groups(network, torch.zeros(1, 1, 2, 2))
        >>> [(one.before, one.after) for one in layer_widths(groups, np.array([True, False]))]
        [(2, 1), (1, 1)]
    """
    letters = tie_letters(groups.families)
    present = np.append(kept, True)  # the last answers for STAYS, which is -1
    return tuple(
        LayerWidth(
            layer.name,
            len(layer.outs),
            int(present[layer.outs].sum()),
            tuple(letter for tied, letter in letters.items() if layer.name in tied),
            bool((layer.outs == STAYS).all()),
        )
        for layer in groups.layers
        if layer.weights_per_pair
    )


def tie_letters(families: Sequence[Family]) -> dict[tuple[str, ...], str]:
    """Give each set of tied layers a letter: A to Z, then AA, BB and so on."""
    tied = dict.fromkeys(family.layers for family in families if len(family.layers) > 1)
    return {
        layers: chr(ord("A") + number % 26) * (number // 26 + 1)
        for number, layers in enumerate(tied)
    }
