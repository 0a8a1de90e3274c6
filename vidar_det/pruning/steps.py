"""An optimiser that has just stepped comes in; whether it moved, and how fast, goes out."""

from collections.abc import Iterable

import torch
from torch import nn

from vidar_det.errors import ConfigError


def was_skipped(optimizer: torch.optim.Optimizer) -> bool:
    """Whether mixed precision found an infinite gradient, so that the step moved nothing.

    Most optimisers are not even called then. Fused ones are, and are told by `GradScaler` in
    ``found_inf``.
    """
    found = getattr(optimizer, "found_inf", None)
    return found is not None and bool(found)


def rate_and_drag(
    optimizer: torch.optim.Optimizer, parameters: Iterable[nn.Parameter], what: str
) -> tuple[float, float]:
    """Learning rate of the step just made, and how much slower than it a gradient moves a weight.

    All that a gradient moves, in this step and through the heavy ball in all later ones, is its
    learning rate over the drag, ``(1 - momentum) / (1 - dampening)``.

    Args:
        optimizer: has stepped.
        parameters: of these.
        what: they are, for the message.

    Raises:
        ConfigError: they do not have the same rate, momentum and dampening, or dampening leaves
            nothing of a gradient.

    Example:
        >>> weight = nn.Parameter(torch.zeros(1))
        >>> optimizer = torch.optim.SGD([weight], lr=0.1, momentum=0.75, dampening=0.5)
        >>> rate_and_drag(optimizer, [weight], "the weight")
        (0.1, 0.5)
    """
    wanted = {id(parameter) for parameter in parameters}
    names = ("lr", "momentum", "dampening")
    used = {
        tuple(float(group.get(name, 0.0)) for name in names)
        for group in optimizer.param_groups
        if any(id(parameter) in wanted for parameter in group["params"])
    }
    if len(used) != 1:
        raise ConfigError(
            f"learning rate, momentum and dampening of {what}: found {sorted(used)}, wanted the "
            "same everywhere"
        )
    rate, momentum, dampening = used.pop()
    if dampening >= 1:
        raise ConfigError(f"dampening: found {dampening}, wanted below 1")
    return rate, (1 - momentum) / (1 - dampening)
