"""What learns in a run, where it is not the network that the recipe names."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch

from vidar_det.detector.network import SpikingDetector


class Attachment(Protocol):
    """Something that acts on a network whenever its optimiser steps, such as a pruning method."""

    def state_dict(self) -> dict[str, Any]:
        """All that a later run needs beside the states of the network and of the optimiser."""

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where another run stopped."""

    def finalise(self) -> None:
        """Let go of the network."""


Attach = Callable[[SpikingDetector, torch.optim.Optimizer, int], Attachment]
"""Network, its optimiser and the steps of the phase -> what was attached to them."""


@dataclass(frozen=True)
class Student:
    """A network that goes on learning.

    Attributes:
        network: where it starts; its spec counts, and not the recipe's size.
        teacher: a network whose predictions it learns from too; None = from labels alone.
        distillation: weight of the teacher beside the labels.
        attach: attaches something to the optimiser of each phase.
    """

    network: SpikingDetector
    teacher: SpikingDetector | None = None
    distillation: float = 1.0
    attach: Attach | None = None
