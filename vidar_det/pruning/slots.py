"""Channels that meet come in; sets of channels that stand or fall together go out."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, fx
from torch.utils._pytree import tree_flatten

from vidar_det.pruning.refusals import refusal

FIXED = 0
"""The slot of everything that must stay: inputs and outputs of the network."""


class Slots:
    """Union-find over channel slots (Tarjan, 1975), the smallest member naming each set.

    Example:
        >>> slots = Slots()
        >>> first, second = slots.new(2), slots.new(2)
        >>> slots.tie(first, second)
        >>> slots.fix(second[1:])
        >>> slots.sets(first).tolist(), slots.sets(second).tolist()
        ([1, 0], [1, 0])
    """

    def __init__(self) -> None:
        self._parents = [FIXED]

    def new(self, count: int) -> Tensor:
        """Return so many fresh slots, ``(count,) int64``."""
        first = len(self._parents)
        self._parents.extend(range(first, first + count))
        return torch.arange(first, first + count)

    def tie(self, first: Tensor, second: Tensor) -> None:
        """Let slots at the same place of two int64 tensors of one shape stand or fall together."""
        pairs = torch.stack((first.reshape(-1), second.reshape(-1)), 1)
        for one, other in torch.unique(pairs, dim=0).tolist():
            low, high = sorted((self._find(one), self._find(other)))
            self._parents[high] = low

    def fix(self, slots: Tensor) -> None:
        """Keep slots for good."""
        self.tie(slots, torch.full_like(slots, FIXED))

    def sets(self, slots: Tensor) -> NDArray[np.int64]:
        """Name the set of each slot, 0 for those that stay: int64 of the same shape."""
        found = [self._find(slot) for slot in slots.reshape(-1).tolist()]
        return np.array(found, np.int64).reshape(slots.shape)

    def _find(self, slot: int) -> int:
        while self._parents[slot] != slot:
            self._parents[slot] = self._parents[self._parents[slot]]
            slot = self._parents[slot]
        return slot


def tensors(values: object) -> list[Tensor]:
    """List the tensors among nested values."""
    return [leaf for leaf in tree_flatten(values)[0] if isinstance(leaf, Tensor)]


def varying(shadow: Tensor) -> list[int]:
    """Axes along which the slots of a shadow change."""
    return [
        dim
        for dim in range(shadow.ndim)
        if shadow.shape[dim] > 1 and not bool((shadow == shadow.narrow(dim, 0, 1)).all())
    ]


def compress(shadow: Tensor) -> Tensor:
    """Hold every axis along which nothing changes as one element, repeated; same values."""
    thin = shadow
    for dim in range(shadow.ndim):
        first = thin.narrow(dim, 0, 1)
        if thin.stride(dim) == 0 or bool((thin == first).all()):
            thin = first
    return thin.expand(shadow.shape)


def thin(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Take one element along every axis that two compressed shadows of one shape both repeat."""
    for dim in range(first.ndim):
        if first.stride(dim) == 0 and second.stride(dim) == 0:
            first, second = first.narrow(dim, 0, 1), second.narrow(dim, 0, 1)
    return first, second


def spread(slots: Tensor, dim: int, shape: Sequence[int]) -> Tensor:
    """Repeat a vector of slots along all axes of a shape but one."""
    sizes = [1] * len(shape)
    sizes[dim] = len(slots)
    return slots.reshape(sizes).expand(tuple(shape))


def along(node: fx.Node, shadow: Tensor, dim: int) -> Tensor:
    """Read the slots along one axis of a shadow; refuses where they change along another one."""
    if any(other != dim for other in varying(shadow)):
        raise refusal(node, f"{node.target} on an input whose axis {dim} is not the channels")
    line = shadow.movedim(dim, 0).reshape(shadow.shape[dim], -1)
    return line[:, 0].clone()
