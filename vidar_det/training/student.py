"""What learns in a run, where it is not the network that the recipe names."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import nn

from vidar_det.detector.network import SpikingDetector


class Attachment(Protocol):
    """Something that acts on a network whenever its optimiser steps, such as a pruning method."""

    def state_dict(self) -> dict[str, Any]:
        """All that a later run needs beside the states of the network and of the optimiser."""

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where another run stopped."""

    def finalise(self, other: nn.Module | None = None) -> None:
        """Let go of the network.

        Args:
            other: a copy of the network, such as an average of it, that shall be an ordinary one
                instead; the network itself goes on.
        """


Attach = Callable[[SpikingDetector, torch.optim.Optimizer, int], Attachment]
"""Network, its optimiser and the steps of the phase -> what was attached to them."""


BuildOptimiser = Callable[[SpikingDetector, int], torch.optim.Optimizer]
"""Network and the steps of the phase -> what moves all its parameters."""


@dataclass(frozen=True)
class Student:
    """A network that goes on learning.

    What is attached may compute weights from other parameters (`SoftThreshold` does): averages are
    then averages of these, and ordinary weights whenever they are scored or stored. An optimiser
    that prunes (`GradientRewiring`) is made by ``build_optimiser`` and attached to itself, so that
    the average has its zeros too::

        Student(
            network,
            attach=lambda network, optimizer, steps: optimizer,
            build_optimiser=lambda network, steps: GradientRewiring(network, Prior()),
        )

    Attributes:
        network: where it starts; its spec counts, and not the recipe's size.
        teacher: a network whose predictions it learns from too; None = from labels alone.
        distillation: weight of the teacher beside the labels.
        attach: attaches something to the optimiser of each phase.
        build_optimiser: makes that optimiser, whose rate the recipe sets; None = AdamW with the
            recipe's weight decay on kernels.
        frozen: names of parts of the network that stay as they are, normalisation included; a step
            is quicker, above all where they come first.
    """

    network: SpikingDetector
    teacher: SpikingDetector | None = None
    distillation: float = 1.0
    attach: Attach | None = None
    build_optimiser: BuildOptimiser | None = None
    frozen: tuple[str, ...] = ()
