"""A network that learns comes in, step by step; its averaged weights go out."""

import torch
from torch import nn


class Averaged:
    """Exponential moving average of a network's state.

    The decay rises from 0, ``min(decay, (1 + n) / (10 + n))``, so that the start is soon forgotten.

    Attributes:
        decay: of one update, once the start is forgotten.
        updates: n, how many there were.
        state: the average, by name.

    Example:
        >>> network = nn.Linear(1, 1, bias=False)
        >>> nn.init.zeros_(network.weight).item()
        0.0
        >>> averaged = Averaged(network, decay=0.998)
        >>> nn.init.ones_(network.weight).item()
        1.0
        >>> averaged.update(network)
        >>> f"{averaged.state['weight'].item():.3f}"     # 1 - 2 / 11
        '0.818'
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.decay = decay
        self.updates = 0
        self.state = {name: value.detach().clone() for name, value in network.state_dict().items()}

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Move towards the network's present state."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        for name, value in network.state_dict().items():
            if value.is_floating_point():
                self.state[name].lerp_(value, 1 - decay)
            else:
                self.state[name].copy_(value)
